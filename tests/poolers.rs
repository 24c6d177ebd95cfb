//! PostgreSQL through pgbouncer, in each of its modes. Debian 12 has a version that is older than 1.21
//! and knows no prepared statements of its clients; a newer version is built once.

use std::thread;

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, RunQueryDsl};
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::servers::{Pgbouncer, postgres_url};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

/// A database of its own, and a pooler for it.
struct Pooled {
    name: String,
    pooler: Pgbouncer,
}

impl Pooled {
    fn create(settings: &str) -> Self {
        Self::create_with(|port| Pgbouncer::start(port, settings))
    }

    fn create_with(start: impl FnOnce(u16) -> Pgbouncer) -> Self {
        let name = format!("pooled_{}", Uuid::now_v7().simple());
        let server = postgres_url();
        let mut connection = PgConnection::establish(&server).unwrap();
        connection
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let (address, _) = server.rsplit_once('/').unwrap();
        let (_, port) = address.rsplit_once(':').unwrap();
        let pooled = Self {
            pooler: start(port.parse().unwrap()),
            name,
        };
        migrate(&mut pooled.connect_directly()).unwrap();
        pooled
    }

    fn connect_directly(&self) -> PgConnection {
        let server = postgres_url();
        let (address, _) = server.rsplit_once('/').unwrap();
        PgConnection::establish(&format!("{address}/{}", self.name)).unwrap()
    }

    fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.pooler.url(&self.name)).unwrap()
    }

    fn messages(&self) -> i64 {
        let count = diesel::dsl::sql::<BigInt>("SELECT count(*) FROM public_messages");
        count.get_result(&mut self.connect_directly()).unwrap()
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Ok(mut connection) = PgConnection::establish(&postgres_url()) {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            let _not_dropped = connection.batch_execute(&drop);
        }
    }
}

fn place(connection: &mut PgConnection, order: u64) -> Result<(), Error> {
    MessageDispatcher::<Orders>::new()
        .dispatch(connection, &OrderPlaced::number(order))
        .map(drop)
}

#[track_caller]
fn assert_names_the_setting(error: &Error) {
    let text = format!("{error:#}");
    assert!(text.contains("max_prepared_statements"), "{text}");
    assert!(text.contains("pool_mode = session"), "{text}");
    assert!(error.is_retryable() && error.is_disconnected(), "{text}");
}

#[test]
fn sessions_that_are_pooled_work() {
    assert_works(&Pooled::create(
        "pool_mode = session\ndefault_pool_size = 10",
    ));
}

#[test]
fn transactions_that_are_pooled_work_with_prepared_statements() {
    let settings = "pool_mode = transaction\ndefault_pool_size = 3\nmax_prepared_statements = 100";
    let pooled = Pooled::create_with(|port| Pgbouncer::start_newer(port, settings));
    assert_works(&pooled);
    assert_works_side_by_side(&pooled);
}

#[test]
fn a_newer_pooler_without_prepared_statements_is_an_error_that_names_the_setting() {
    let settings = "pool_mode = transaction\ndefault_pool_size = 1\nmax_prepared_statements = 0";
    let pooled = Pooled::create_with(|port| Pgbouncer::start_newer(port, settings));
    let (mut one, mut other) = (pooled.connect(), pooled.connect());
    place(&mut one, 1).unwrap();
    assert_names_the_setting(&place(&mut other, 2).unwrap_err());
    assert_eq!(pooled.messages(), 1);
}

/// An open publisher, a large batch and a transactional consumer.
fn assert_works(pooled: &Pooled) {
    let (mut one, mut other) = (pooled.connect(), pooled.connect());
    let mut reader = pooled.connect();
    TransactionControl::begin(&mut one).unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    assert!(consume(&mut reader).is_empty());
    TransactionControl::commit(&mut one).unwrap();
    assert_eq!(consume(&mut reader), [1, 2]);
    let batch = (3..5_003).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut one, batch)
        .unwrap();
    let mut transactional = MessageConsumer::<Orders>::transactional(
        "transactional",
        |_: &mut PgConnection, _: &Message<Orders>| Ok(()),
    );
    let mut handled = 0;
    loop {
        match transactional.handle_page(&mut reader).unwrap() {
            0 => break,
            page => handled += page,
        }
    }
    assert_eq!(handled, 5_002);
}

/// More clients than sessions.
fn assert_works_side_by_side(pooled: &Pooled) {
    let before = pooled.messages();
    thread::scope(|scope| {
        for publisher in 0..8_u64 {
            scope.spawn(move || {
                let mut connection = pooled.connect();
                for order in 0..50 {
                    place(&mut connection, 10_000 + 100 * publisher + order).unwrap();
                }
            });
        }
    });
    assert_eq!(pooled.messages(), before + 400);
    assert_eq!(consume(&mut pooled.connect()).len(), 5_400);
}

/// Both clients give their statements the same names.
#[test]
fn a_session_that_two_clients_share_is_an_error_that_names_the_setting() {
    let pooled = Pooled::create("pool_mode = transaction\ndefault_pool_size = 1");
    let (mut one, mut other) = (pooled.connect(), pooled.connect());
    place(&mut one, 1).unwrap();
    assert_names_the_setting(&place(&mut other, 2).unwrap_err());
    assert_eq!(pooled.messages(), 1);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    assert_names_the_setting(&consumer.handle_page(&mut pooled.connect()).unwrap_err());
}

/// The second session does not know the statements that were prepared in the first one.
#[test]
fn a_session_that_is_exchanged_is_an_error_that_names_the_setting() {
    let pooled = Pooled::create("pool_mode = transaction\ndefault_pool_size = 2");
    let (mut one, mut other) = (pooled.connect(), pooled.connect());
    place(&mut one, 1).unwrap();
    other.batch_execute("BEGIN; SELECT 1").unwrap();
    assert_names_the_setting(&place(&mut one, 2).unwrap_err());
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(pooled.messages(), 1);
}

/// The pooler ends the connection at BEGIN. Its reason is not part of the error that libpq returns.
#[test]
fn statements_that_are_pooled_cannot_be_used_in_transactions() {
    let pooled = Pooled::create("pool_mode = statement\ndefault_pool_size = 2");
    let mut connection = pooled.connect();
    let begun = TransactionControl::begin(&mut connection);
    assert!(begun.unwrap_err().is_disconnected());
    assert_eq!(pooled.messages(), 0);
}
