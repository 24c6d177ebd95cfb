//! Publishers and consumers at the same time. No message is skipped, and no reader waits for a
//! transaction that does not concern it.
//!
//! `SOAK_SECONDS=30 cargo test --release --test concurrency soak` makes the soak run longer.

mod between;
mod interleavings;
mod processes;
mod replays;
mod soak;

use std::sync::{Arc, Mutex};

use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

/// Runs every case on databases that assign positions before the commit.
macro_rules! concurrency_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        mod $backend {
            use persisting_message_bus_tests::databases::$database;

            concurrency_on! { @cases $database
                interleavings: [
                    a_late_commit_of_the_lower_position_is_not_skipped,
                    an_uncommitted_first_message_is_waited_for,
                    a_publisher_that_begins_after_a_read_is_waited_for,
                    a_new_reader_waits_for_open_publishers,
                    overlapping_publishers_do_not_starve_a_reader,
                    a_rolled_back_position_does_not_stall,
                    a_rolled_back_savepoint_keeps_earlier_messages,
                    a_publisher_stays_visible_after_a_rolled_back_savepoint,
                    many_open_publishers_commit_in_any_order,
                    many_messages_in_a_transaction_hold_one_fence,
                    a_publisher_on_another_topic_does_not_stall,
                    a_foreign_transaction_does_not_stall,
                    delivery_is_measured_while_a_foreign_transaction_is_open,
                    publishers_do_not_wait_for_each_other,
                    several_topics_wait_for_each_other,
                    a_reset_to_the_end_skips_no_open_publisher,
                    a_dispatch_on_two_topics_holds_back_both,
                    publishers_can_choose_their_isolation_level,
                    an_old_snapshot_is_not_read,
                ]
                between: [
                    publishers_between_the_statements_of_a_reader_lose_nothing,
                ]
                processes: [
                    a_killed_publisher_does_not_stall_readers,
                ]
                soak: [
                    everything_committed_is_delivered_in_order,
                ]
            }
        }
    )*};
    (@cases $database:ident $($module:ident: [$($case:ident),* $(,)?])*) => {$($(
        #[test]
        fn $case() {
            super::$module::$case::<$database>();
        }
    )*)*};
}

concurrency_on! {
    postgres: Postgres,
    mariadb: Mariadb,
}

/// SQLite has one writer at a time, so there is nothing to interleave.
mod sqlite {
    use persisting_message_bus_tests::databases::Sqlite;

    #[test]
    fn everything_committed_is_delivered_in_order() {
        super::soak::everything_committed_is_delivered_in_order::<Sqlite>();
    }
}

fn place(bus: &mut impl MessageRepository, order: u64) -> Result<(), Error> {
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &OrderPlaced::number(order))
        .map(drop)
}

fn pay(bus: &mut impl MessageRepository, order: u64) -> Result<(), Error> {
    MessageDispatcher::<Payments>::new()
        .dispatch(bus, &Paid { order })
        .map(drop)
}

/// A long-lived consumer, on a database that has messages on both topics.
struct Reader<D: Database> {
    database: D,
    bus: D::Bus,
    consumer: MessageConsumer<Orders, External<Handler>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

impl<D: Database> Reader<D> {
    /// Creates a reader and two publishers.
    fn create() -> (Self, [D::Bus; 2]) {
        let database = D::create();
        let mut bus = database.connect();
        place(&mut bus, 0).expect("a message");
        pay(&mut bus, 0).expect("a message");
        let mut reader = Self::on(database);
        assert_eq!(reader.read(), [0]);
        let publishers = [(); 2].map(|()| reader.database.connect());
        (reader, publishers)
    }

    fn on(database: D) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handled = Arc::clone(&seen);
        let handler: Handler = Box::new(move |message| {
            let mut handled = handled.lock().expect("the handled orders");
            handled.push(message.payload().order());
            Ok(())
        });
        Self {
            bus: database.connect(),
            database,
            consumer: MessageConsumer::external("all", handler),
            seen,
        }
    }

    /// Handles pages until the consumer has caught up, and returns the numbers of the orders.
    fn read(&mut self) -> Vec<u64> {
        while self.consumer.handle_page(&mut self.bus).expect("a page") > 0 {}
        std::mem::take(&mut self.seen.lock().expect("the handled orders"))
    }
}
