//! Runners on pools.

use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use persisting_message_bus::Message;
use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
use persisting_message_bus_tests::topics::Orders;

use crate::{Pooled, current_thread};

#[test]
fn a_pool_that_is_too_small_is_an_error_with_the_number_of_connections() {
    current_thread().block_on(async {
        // No connection is opened, so there is no server.
        let manager = AsyncDieselConnectionManager::new("postgres://nowhere.invalid/shop");
        let pool: Pool<AsyncPgConnection> = Pool::builder(manager).max_size(3).build().unwrap();
        let external =
            || MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| Ok(()));
        let transactional = MessageConsumer::<Orders>::transactional(
            "writer",
            async |_: &mut Pooled, _: &Message<_>| Ok(()),
        );
        let ended = Runner::on_pool(pool)
            .consumer(external())
            .consumer(transactional)
            .start()
            .await;
        for exit in &ended {
            let text = format!("{:#}", exit.error.as_ref().unwrap());
            assert!(
                text.contains("need 4 connections") && text.contains("at most 3"),
                "{text}"
            );
        }
        let connect = async || Err::<AsyncPgConnection, _>("not called");
        let ended = Runner::new(connect)
            .pool_size(2)
            .consumer(external())
            .start()
            .await;
        let text = format!("{:#}", ended[0].error.as_ref().unwrap());
        assert!(
            text.contains("need 3 connections") && text.contains("at most 2"),
            "{text}"
        );
    });
}
