//! Waiting until consumers have handled everything.

use std::time::Duration;

use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{
    Message, MessageConsumer as SyncConsumer, MessageDispatcher, RetryPolicy,
};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::{SOON, current_thread, in_memory, place, quick};

/// The time after which a consumer that cannot arrive is reported.
const SHORT: Duration = Duration::from_millis(300);

/// All committed messages are handled when the call returns, however slow the handler is.
fn everything_is_handled_when_consumers_have_caught_up<D: Database + Send + 'static>() {
    current_thread().block_on(async {
        let database = std::sync::Arc::new(D::create());
        let connecting = std::sync::Arc::clone(&database);
        let (sender, mut handled) = mpsc::unbounded_channel();
        let consumer = MessageConsumer::<Orders>::external("slow", async move |message| {
            sleep(Duration::from_millis(2)).await;
            sender.send(message.payload().order())?;
            Ok(())
        });
        let connect = move || Ok::<_, std::io::Error>(connecting.connect());
        let running = quick(Runner::on_sync_connections(connect))
            .consumer(consumer)
            .start();
        let mut bus = database.connect();
        for round in 0..10 {
            place(&mut bus, round * 3..round * 3 + 3);
            running.caught_up_within(SOON).await.unwrap();
            let seen: Vec<_> = std::iter::from_fn(|| handled.try_recv().ok()).collect();
            assert_eq!(seen, [round * 3, round * 3 + 1, round * 3 + 2]);
        }
        running.stop_within(SOON).await.unwrap();
    });
}

/// A transaction in flight holds back a message that was committed after it began.
fn a_committed_message_is_awaited_when_a_publisher_holds_it_back<D: Database + Send + 'static>() {
    current_thread().block_on(async {
        let database = std::sync::Arc::new(D::create());
        let connecting = std::sync::Arc::clone(&database);
        let consumer = MessageConsumer::<Orders>::external("reader", async |_: &Message<_>| Ok(()));
        let connect = move || Ok::<_, std::io::Error>(connecting.connect());
        let running = quick(Runner::on_sync_connections(connect))
            .consumer(consumer)
            .start();
        running.caught_up_within(SOON).await.unwrap();
        let [mut slow, mut fast] = [(); 2].map(|()| database.connect());
        slow.begin().unwrap();
        let orders = MessageDispatcher::<Orders>::new();
        orders.dispatch(&mut slow, &OrderPlaced::number(1)).unwrap();
        place(&mut fast, 2..3);
        let late = running.caught_up_within(SHORT).await.unwrap_err();
        let text = late.to_string();
        assert!(
            text.contains("\"reader\"") && text.contains("transaction in flight"),
            "{text}"
        );
        slow.commit().unwrap();
        running.caught_up_within(SOON).await.unwrap();
    });
}

macro_rules! caught_up_on {
    ($($backend:ident: $database:ty),* $(,)?) => {$(
        mod $backend {
            #[test]
            fn everything_is_handled_when_consumers_have_caught_up() {
                super::everything_is_handled_when_consumers_have_caught_up::<$database>();
            }
        }
    )*};
}

caught_up_on! {
    memory: persisting_message_bus_tests::databases::Memory,
    sqlite: persisting_message_bus_tests::databases::Sqlite,
    postgres: persisting_message_bus_tests::databases::Postgres,
    mariadb: persisting_message_bus_tests::databases::Mariadb,
}

#[test]
fn a_committed_message_is_awaited_when_a_publisher_holds_it_back_on_postgres() {
    a_committed_message_is_awaited_when_a_publisher_holds_it_back::<Postgres>();
}

#[test]
fn a_committed_message_is_awaited_when_a_publisher_holds_it_back_on_mariadb() {
    a_committed_message_is_awaited_when_a_publisher_holds_it_back::<Mariadb>();
}

#[test]
fn a_consumer_that_cannot_catch_up_is_named_with_the_reason() {
    current_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        place(&mut bus.clone(), 0..1);
        let (sender, mut begun) = mpsc::unbounded_channel();
        let (_release, mut released) = mpsc::channel::<()>(1);
        let stuck = MessageConsumer::<Orders>::external("stuck", async move |_: &Message<_>| {
            sender.send(())?;
            released.recv().await;
            Ok(())
        });
        let fails = || {
            MessageConsumer::<Orders>::external("failing", async |_: &Message<_>| {
                Err("the handler refuses the order".into())
            })
        };
        let retried = RetryPolicy::default().initial_delay(SOON).max_delay(SOON);
        let mut state = bus.clone();
        let mut paused = SyncConsumer::<Orders>::external("paused", |_| Ok(()));
        assert_eq!(paused.handle_page(&mut state).unwrap(), 1);
        paused.pause(&mut state).unwrap();
        place(&mut state, 1..2);
        let running = in_memory(&bus)
            .consumer(stuck)
            .consumer(fails().retry(retried))
            .consumer(paused)
            .start();
        begun.recv().await.unwrap();
        let late = running.caught_up_within(SHORT).await.unwrap_err();
        let reason = |name: &str| &late.consumers.iter().find(|(it, _)| it == name).unwrap().1;
        assert!(
            reason("stuck").contains("still handling messages"),
            "{late}"
        );
        assert_eq!(reason("paused"), "it is paused");
        assert!(reason("failing").contains("refuses the order"), "{late}");

        let other = InMemoryMessageBus::default();
        place(&mut other.clone(), 0..1);
        let ended = in_memory(&other)
            .consumer(fails().retry(RetryPolicy::default().max_attempts(1)))
            .start();
        let late = ended.caught_up_within(SOON).await.unwrap_err();
        let text = late.to_string();
        assert!(
            text.contains("has ended") && text.contains("refuses the order"),
            "{text}"
        );
    });
}

#[test]
fn a_sync_handle_waits_for_its_consumers_too() {
    let database = std::sync::Arc::new(Sqlite::create());
    let connecting = std::sync::Arc::clone(&database);
    let (sender, handled) = std::sync::mpsc::channel();
    let handler = move |message: &Message<Orders>| Ok(sender.send(message.payload().order())?);
    let consumer = SyncConsumer::<Orders>::external("reader", handler);
    let connect = move || Ok::<_, std::io::Error>(connecting.connect());
    let running = persisting_message_bus::Runner::new(connect)
        .consumer(consumer)
        .start();
    place(&mut database.connect(), 0..3);
    running.caught_up_within(SOON).unwrap();
    assert_eq!(handled.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
}
