use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use crate::databases::{AsyncDatabase, run};
use crate::transactions::{begin, commit, orders};

/// The async publisher has drawn the lower position when a sync one commits the higher one.
pub fn a_consumer_waits_for_a_message_before_the_commits_of_others<D: AsyncDatabase>() {
    if !D::HAS_MANY_WRITERS {
        // The second publisher waits for the first one, so there is no such interleaving.
        return;
    }
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let mut other = database.sync().connect();
        let mut reader = database.sync().connect();
        let sync = MessageDispatcher::<Orders>::new();
        // The first publisher of a topic on MariaDB makes others wait for the end of its transaction.
        sync.dispatch(&mut other, &OrderPlaced::number(0)).unwrap();
        assert_eq!(consume(&mut reader), [0]);
        for (first, batch) in [(1, false), (4, true)] {
            begin(&mut connection).await;
            if batch {
                let messages = [OrderPlaced::number(first), OrderPlaced::number(first + 1)];
                orders()
                    .dispatch_batch(&mut connection, messages)
                    .await
                    .unwrap();
            } else {
                let message = OrderPlaced::number(first);
                orders().dispatch(&mut connection, &message).await.unwrap();
                let message = OrderPlaced::number(first + 1);
                orders().dispatch(&mut connection, &message).await.unwrap();
            }
            sync.dispatch(&mut other, &OrderPlaced::number(first + 2))
                .unwrap();
            assert!(consume(&mut reader).is_empty());
            commit(&mut connection).await;
            assert_eq!(consume(&mut reader), [first, first + 1, first + 2]);
        }
    });
}
