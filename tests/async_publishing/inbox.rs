use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use persisting_message_bus::asynchronous::Inbox;
use persisting_message_bus::{Error, InboxKey};
use persisting_message_bus_tests::topics::OrderPlaced;

use crate::databases::{AsyncDatabase, run};
use crate::transactions::{committed, orders};

fn inbox() -> Inbox {
    let key = InboxKey {
        consumer: "billing",
        source: "https://payments.example/webhook",
    };
    Inbox::new(key).unwrap()
}

/// Handles a delivery, whose effect is a message. Returns whether it was new.
async fn deliver<D: AsyncDatabase>(
    connection: &mut D::Connection,
    id: &str,
    order: u64,
) -> Result<bool, Error> {
    let new = inbox();
    let handled = new.process_once(connection, id, async |connection: &mut D::Connection| {
        orders()
            .dispatch(connection, &OrderPlaced::number(order))
            .await
    });
    Ok(handled.await?.is_some())
}

pub fn a_message_from_outside_has_its_effect_once<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let mut new = Vec::new();
        for (order, id) in ["1", "2", "1", "1", "2"].into_iter().enumerate() {
            new.push(
                deliver::<D>(&mut connection, id, order as u64)
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(new, [true, true, false, false, false]);
    });
    assert_eq!(committed(&database), [0, 1]);
}

pub fn simultaneous_deliveries_have_one_effect<D: AsyncDatabase>() {
    let database = D::create();
    let new = run(async {
        let deliveries = (0..8).map(async |order| {
            let mut connection = database.connect().await;
            deliver::<D>(&mut connection, "evt", order).await.unwrap()
        });
        futures_util::future::join_all(deliveries).await
    });
    assert_eq!(new.iter().filter(|&&new| new).count(), 1, "{new:?}");
    assert_eq!(committed(&database).len(), 1);
}

pub fn a_failed_delivery_can_be_repeated<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let inbox = inbox();
        let failed = inbox.process_once(
            &mut connection,
            "evt",
            async |connection: &mut D::Connection| {
                orders()
                    .dispatch(connection, &OrderPlaced::number(1))
                    .await?;
                Err::<(), _>(Error::permanent("paying", "no money"))
            },
        );
        let failed = failed.await.unwrap_err();
        assert!(format!("{failed:#}").contains("no money"));
        assert!(deliver::<D>(&mut connection, "evt", 2).await.unwrap());
    });
    assert_eq!(committed(&database), [2]);
}

/// The handler has ended the transaction, or goes on after an error after which the database keeps
/// nothing.
pub fn an_ignored_error_is_no_success<D: AsyncDatabase>() {
    let database = D::create();
    let mut deeds = vec!["ROLLBACK", "COMMIT"];
    if D::FAILED_STATEMENTS_END_TRANSACTIONS {
        deeds.push("SELECT 1 / 0");
    }
    for deed in deeds {
        run(async {
            let mut connection = database.connect().await;
            let inbox = inbox();
            let handled = inbox.process_once(
                &mut connection,
                deed,
                async |connection: &mut D::Connection| {
                    let _ignored = connection.batch_execute(deed).await;
                    Ok::<_, Error>(())
                },
            );
            let left = handled.await.unwrap_err();
            let text = format!("{left:#}");
            assert!(text.contains(deed), "{text}");
        });
    }
    assert!(committed(&database).is_empty());
}

pub fn old_entries_are_pruned<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        for order in 0..3 {
            let id = order.to_string();
            assert!(deliver::<D>(&mut connection, &id, order).await.unwrap());
        }
        assert_eq!(inbox().prune(&mut connection).await.unwrap(), 0);
        let forgetful = inbox().retention(Duration::ZERO);
        assert_eq!(forgetful.prune(&mut connection).await.unwrap(), 3);
        assert!(deliver::<D>(&mut connection, "0", 3).await.unwrap());
    });
}
