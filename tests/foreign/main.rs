//! Other programs that insert messages by themselves, beside this library's publishers. With the
//! guard of foreign inserts, consumers skip none of their messages.

mod guarding;
mod interleavings;
mod mariadb;
mod postgres;
mod scripts;
mod soak;
mod switch;

use std::sync::{Arc, Mutex};

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::sql::{TableSchema, guard_foreign_inserts, unguard_foreign_inserts};
use persisting_message_bus::{
    Error, Headers, Message, MessageConsumer, MessageDispatcher, OnDuplicate,
};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};
use uuid::Uuid;

/// A database that can be guarded.
trait Guarded: Server {
    /// Selects rows from the table `other`, in an order that the server has to sort.
    const INSERT_SELECT: &'static str;

    fn guard(connection: &mut Self::Plain) -> Result<(), Error>;
    fn unguard(connection: &mut Self::Plain) -> Result<(), Error>;

    /// Dispatches orders with this library.
    fn place(
        schema: &TableSchema,
        connection: &mut Self::Plain,
        orders: std::ops::Range<u64>,
    ) -> Result<(), Error>;

    /// Dispatches a payment with this library.
    fn pay(schema: &TableSchema, connection: &mut Self::Plain, order: u64) -> Result<(), Error>;

    /// Dispatches two messages, both twice, and checks that the duplicates are recognised.
    fn dispatch_twice(schema: &TableSchema, connection: &mut Self::Plain);

    /// Returns the statement that changes an installed guard to one that refuses all rows.
    fn other_version() -> String;

    /// Counts the sessions that wait to change the message table.
    fn waiting_installations(connection: &mut Self::Plain) -> i64;

    /// Returns the statements that install the guard.
    fn statements() -> Vec<String>;

    /// Handles one page.
    fn handle(
        schema: &TableSchema,
        consumer: &mut Consumer,
        connection: &mut Self::Plain,
    ) -> Result<usize, Error>;

    /// Creates a database with the guard.
    fn create_guarded() -> Self {
        let database = Self::create();
        let mut connection = database.connect();
        Self::guard(&mut connection).expect("the guard");
        Self::begin_topics(&mut connection);
        database
    }

    /// Makes a reader create the slots, so that publishers of first messages do not wait.
    fn begin_topics(connection: &mut Self::Plain) {
        for topic in ["orders", "payments"] {
            connection.current_head(topic).expect("a head");
        }
    }
}

macro_rules! guarded {
    ($($database:ident, $module:ident: $select:literal, $other:expr, $waiting:literal);* $(;)?) => {$(
        impl Guarded for $database {
            const INSERT_SELECT: &'static str = $select;

            fn guard(connection: &mut Self::Plain) -> Result<(), Error> {
                guard_foreign_inserts(connection)
            }

            fn unguard(connection: &mut Self::Plain) -> Result<(), Error> {
                unguard_foreign_inserts(connection)
            }

            fn place(
                schema: &TableSchema,
                connection: &mut Self::Plain,
                orders: std::ops::Range<u64>,
            ) -> Result<(), Error> {
                let dispatcher = MessageDispatcher::<Orders>::new();
                let mut bus = schema.bind(connection);
                if orders.clone().count() == 1 {
                    let placed = OrderPlaced::number(orders.start);
                    return dispatcher.dispatch(&mut bus, &placed).map(drop);
                }
                let batch = orders.map(OrderPlaced::number);
                dispatcher.dispatch_batch(&mut bus, batch).map(drop)
            }

            fn pay(
                schema: &TableSchema,
                connection: &mut Self::Plain,
                order: u64,
            ) -> Result<(), Error> {
                let mut bus = schema.bind(connection);
                MessageDispatcher::<Payments>::new()
                    .dispatch(&mut bus, &Paid { order })
                    .map(drop)
            }

            fn dispatch_twice(schema: &TableSchema, connection: &mut Self::Plain) {
                let mut bus = schema.bind(connection);
                let placed = OrderPlaced::number(7);
                let headers = || {
                    let mut headers = Headers::new();
                    headers.set_message_id(Uuid::now_v7());
                    headers
                };
                let (one, other) = (headers(), headers());
                let fail = MessageDispatcher::<Orders>::new();
                fail.dispatch_with(&mut bus, &placed, one.clone()).expect("a message");
                let twice = fail.dispatch_with(&mut bus, &placed, one);
                assert!(twice.expect_err("a duplicate").is_duplicate());
                let ignore = MessageDispatcher::<Orders>::new().on_duplicate(OnDuplicate::Ignore);
                for _ in 0..2 {
                    ignore
                        .dispatch_with(&mut bus, &placed, other.clone())
                        .expect("a message, or an ignored duplicate");
                }
            }

            fn other_version() -> String {
                $other
            }

            fn waiting_installations(connection: &mut Self::Plain) -> i64 {
                sql::<BigInt>($waiting).get_result(connection).expect("a number")
            }

            fn statements() -> Vec<String> {
                persisting_message_bus::sql::$module::guard_statements(&TableSchema::default())
            }

            fn handle(
                schema: &TableSchema,
                consumer: &mut Consumer,
                connection: &mut Self::Plain,
            ) -> Result<usize, Error> {
                consumer.handle_page(&mut schema.bind(connection))
            }
        }
    )*};
}

guarded! {
    Postgres, postgres:
        "SELECT message_id::uuid, topic, message_type, payload::json, headers::json, now()
        FROM other ORDER BY message_type, message_id",
        refusing(&postgres_text(), "BEGIN", "BEGIN\nRAISE EXCEPTION 'another version';"),
        "SELECT count(*) FROM pg_locks WHERE relation = 'public_messages'::regclass AND NOT granted";
    Mariadb, mysql:
        "SELECT message_id, topic, message_type, payload, headers, now() FROM other ORDER BY payload",
        mariadb_text(),
        "SELECT count(*) FROM information_schema.processlist
        WHERE db = database() AND state LIKE 'Waiting for table%'";
}

fn postgres_text() -> String {
    persisting_message_bus::sql::postgres::guard_statements(&TableSchema::default()).remove(0)
}

fn refusing(text: &str, from: &str, to: &str) -> String {
    text.replacen(from, &to.replace('\'', "''"), 1)
}

fn mariadb_text() -> String {
    let text =
        persisting_message_bus::sql::mysql::guard_statements(&TableSchema::default()).remove(0);
    text.replacen(
        "IF NEW.`id` <> 0",
        "SIGNAL SQLSTATE '45000'; IF NEW.`id` <> 0",
        1,
    )
}

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;
type Consumer = MessageConsumer<Orders, External<Handler>>;

/// A long-lived consumer of orders.
struct Reader<D: Guarded> {
    connection: D::Plain,
    schema: TableSchema,
    consumer: Consumer,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl<D: Guarded> Reader<D> {
    fn on(database: &D, schema: TableSchema) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handled = Arc::clone(&seen);
        let handler: Handler = Box::new(move |message| {
            let order = message.payload().order();
            handled.lock().expect("the handled orders").push(order);
            Ok(())
        });
        Self {
            connection: database.connect(),
            schema,
            consumer: MessageConsumer::external("all", handler),
            seen,
        }
    }

    /// Handles pages until the consumer has caught up, and returns the numbers of the orders.
    fn read(&mut self) -> Vec<u64> {
        while D::handle(&self.schema, &mut self.consumer, &mut self.connection).expect("a page") > 0
        {
        }
        std::mem::take(&mut self.seen.lock().expect("the handled orders"))
    }
}

/// The default tables, with the guard.
fn guarded_schema() -> TableSchema {
    TableSchema::default().with_foreign_inserts()
}

/// Both forms of the library's statements, on tables that have the guard.
fn both_schemas() -> [TableSchema; 2] {
    [TableSchema::default(), guarded_schema()]
}

const COLUMNS: &str = "(message_id, topic, message_type, payload, headers, published_at)";

/// The values of an order, as the PHP package writes them.
fn values(order: u64) -> String {
    values_on("orders", "OrderPlaced", order)
}

fn values_on(topic: &str, message_type: &str, order: u64) -> String {
    let id = Uuid::now_v7();
    format!(
        r#"('{id}', '{topic}', '{message_type}', '{{"order":{order},"note":""}}',
            '{{"__message_id":"{id}","__message_type":"{message_type}"}}',
            '2023-07-26 08:26:00')"#
    )
}

/// Inserts an order by SQL alone.
fn insert(program: &mut impl SimpleConnection, order: u64) -> QueryResult<()> {
    program.batch_execute(&format!(
        "INSERT INTO public_messages {COLUMNS} VALUES {}",
        values(order)
    ))
}

/// Runs every case on databases that assign positions before the commit.
macro_rules! foreign_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        mod $backend {
            use persisting_message_bus_tests::databases::$database;

            foreign_on! { @cases $database
                interleavings: [
                    without_the_guard_a_late_commit_of_another_program_is_skipped,
                    a_late_commit_of_another_program_is_not_skipped,
                    another_program_that_inserts_the_first_message_is_waited_for,
                    a_rolled_back_savepoint_keeps_the_announcement,
                    rows_of_several_topics_in_a_transaction_hold_back_both,
                    another_topic_is_not_held_back,
                    every_isolation_level_is_guarded,
                    every_form_of_insert_is_guarded,
                    the_library_and_another_program_share_a_transaction,
                ]
                switch: [
                    a_missing_guard_is_an_error_of_readers,
                    with_the_guard_every_way_of_publishing_works,
                    the_switch_takes_no_more_statements,
                    a_duplicate_is_recognised_with_the_guard,
                ]
                guarding: [
                    the_guard_is_installed_once,
                    installing_waits_for_open_publishers,
                    installing_in_a_transaction_is_refused,
                    a_removed_guard_leaves_the_table_as_it_was,
                    an_installed_guard_of_another_version_is_replaced,
                    the_statements_can_be_run_by_a_migration,
                ]
                soak: [
                    programs_and_publishers_at_random_lose_nothing,
                ]
            }
        }
    )*};
    (@cases $database:ident $($module:ident: [$($case:ident),* $(,)?])*) => {$($(
        #[test]
        fn $case() {
            crate::$module::$case::<$database>();
        }
    )*)*};
}

mod on {
    foreign_on! {
        postgres: Postgres,
        mariadb: Mariadb,
    }
}
