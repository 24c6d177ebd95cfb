//! Servers that are killed and started again while two runners are at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql as sql_of;
use diesel::sql_types::Integer;
use diesel::{Connection, MysqlConnection, PgConnection, RunQueryDsl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use persisting_message_bus::backend::{MessageConsumerState, MessageSource, TransactionControlOn};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{
    EventSet, Message, MessageConsumer, ParallelConsumer, Position, RetryPolicy, Runner,
};
use persisting_message_bus_tests::databases::{Mariadb, Postgres};
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use persisting_message_bus_tests::waiting::{wait_for, wait_until_every};

use super::begun::{Begun, Log, holders, publish, published, segment_of};
use super::records::{Published, assert_exactly_once};
use super::running::has_ended_well;
use super::sql::{Sql, effects};
use super::topic::{KEYS, Numbered, Steps};
use super::worker::{PAYER, TELLER};
use super::{division, segments};

const CRASHES: usize = 2;
const THREADS: usize = 3;
const PAGE: usize = 10;

/// The interval at which this process looks what is handled.
const INTERVAL: Duration = Duration::from_millis(10);

fn set<S: EventSet, H>(consumer: MessageConsumer<S, H>) -> MessageConsumer<S, H> {
    consumer
        .page_size(PAGE)
        .lease_duration(Duration::from_secs(120))
        .time_slice(Duration::from_millis(20))
}

/// Starts a runner with an external and a transactional handler.
fn start<C>(url: &str, log: &Arc<Log>, own: u32) -> RunHandle
where
    C: Connection + MessageSource + MessageConsumerState + TransactionControlOn<C> + Send + 'static,
{
    const PAUSE: Duration = Duration::from_millis(1);
    let (url, log) = (url.to_owned(), Arc::clone(log));
    let teller = move || {
        let log = Arc::clone(&log);
        set(MessageConsumer::external(
            TELLER,
            move |message: &Message<Steps>| {
                log.note(own, message);
                thread::sleep(PAUSE);
                Ok(())
            },
        ))
    };
    let payer = || {
        let pay = |bus: &mut C, message: &Message<Steps>| {
            let (order, number) = message.payload().numbers();
            effects(bus, [(order, number)])?;
            thread::sleep(PAUSE);
            Ok(())
        };
        set(MessageConsumer::transactional(PAYER, pay))
    };
    let retry = RetryPolicy::default()
        .initial_delay(Duration::from_millis(10))
        .max_delay(Duration::from_millis(100));
    Runner::new(move || C::establish(&url))
        .idle_interval(Duration::from_millis(20))
        .retry(retry)
        .parallel(
            ParallelConsumer::by_key(teller)
                .segments(16)
                .threads(THREADS),
        )
        .parallel(
            ParallelConsumer::by_key(payer)
                .segments(16)
                .threads(THREADS),
        )
        .start()
}

/// What an external handler has begun again, and what the server had stored before each crash.
struct Outcome {
    begun: Vec<Begun>,
    /// How many messages came again.
    repeated: usize,
    /// How many came again although a cursor after them was stored.
    forgotten: usize,
}

/// Runs two runners while the server crashes, and checks that nothing is skipped, and that effects of
/// transactional handlers are exact. `publisher` is the address of the connection that publishes.
fn nothing_is_skipped<D>(url: &str, publisher: &str, mut crash: impl FnMut()) -> Outcome
where
    D: Sql<Connection: Connection>,
{
    let connect = || wait_for("a connection", || D::Connection::establish(publisher));
    let mut bus = connect();
    let effects = format!(
        "CREATE TABLE effects (place {}, order_number bigint, number bigint)",
        D::PLACE
    );
    bus.batch_execute(&effects).unwrap();
    let log = Arc::<Log>::default();
    let members = [0, 1].map(|own| start::<D::Connection>(url, &log, own));
    wait_until_every(INTERVAL, "both consumers are divided", || {
        [TELLER, PAYER]
            .iter()
            .all(|it| division(&mut bus, it).is_some())
    });
    let (mut messages, mut stored) = (0, Vec::new());
    for _ in 0..CRASHES {
        publish(&mut bus, messages..messages + 800, KEYS);
        let before = [log.different(), D::count_effects(&mut bus)];
        messages += 800;
        wait_until_every(INTERVAL, "both consumers are at work", || {
            let now = [log.different(), D::count_effects(&mut bus)];
            now.iter()
                .zip(before)
                .all(|(now, before)| *now > before + 200)
        });
        stored.push(cursors(&mut bus));
        log.crash();
        crash();
        bus = connect();
    }
    publish(&mut bus, messages..messages + 100, KEYS);
    messages += 100;
    wait_until_every(INTERVAL, "everything is handled", || {
        log.different() == messages && D::count_effects(&mut bus) == messages
    });
    for member in members {
        has_ended_well(member);
    }
    let published = published(messages, KEYS);
    assert_exactly_once(D::effects(&mut bus), &published);
    let begun = log.all();
    let is_forgotten = |it: &&Begun| {
        let stored = it.crashes.checked_sub(1).map(|crash| &stored[crash]);
        stored.is_some_and(|stored| Some(it.position) <= stored[&it.record.order])
    };
    Outcome {
        repeated: repeated(&begun, &published),
        forgotten: begun.iter().filter(is_forgotten).count(),
        begun,
    }
}

/// Returns the stored cursor of each order's segment.
fn cursors(bus: &mut impl MessageConsumerState) -> BTreeMap<u64, Option<Position>> {
    let division = division(bus, TELLER).unwrap();
    let rows = segments(bus, TELLER);
    let cursor = |order| rows[usize::from(segment_of(division, order))].cursor;
    (0..KEYS).map(|order| (order, cursor(order))).collect()
}

/// Returns how many messages came again. Each order may go back once after each crash, and leaves nothing
/// out.
fn repeated(begun: &[Begun], published: &Published) -> usize {
    let mut repeated = 0;
    // How many messages are handled, and after how many crashes the order went back.
    let mut orders = BTreeMap::<u64, (usize, usize)>::new();
    for it in begun {
        let at = published[&it.record.order].binary_search(&it.record.number);
        let at = at.expect("a number");
        let (handled, went_back) = orders.entry(it.record.order).or_default();
        assert!(at <= *handled, "skipped before {it:?}");
        if at < *handled {
            assert!(it.crashes > *went_back, "back without a crash: {it:?}");
            *went_back = it.crashes;
            repeated += *handled - at;
        }
        *handled = at + 1;
    }
    for (order, numbers) in published {
        assert_eq!(orders[order].0, numbers.len(), "messages of order {order}");
    }
    repeated
}

/// Nothing that was stored is forgotten.
fn only_pages_at_work_are_repeated(outcome: &Outcome, bus: &mut impl MessageConsumerState) {
    assert_eq!(outcome.forgotten, 0, "messages before a stored cursor");
    let most = CRASHES * 2 * THREADS * PAGE;
    assert!(outcome.repeated <= most, "{} repeated", outcome.repeated);
    holders(&outcome.begun, division(bus, TELLER).unwrap());
    let mut tokens = BTreeMap::new();
    for Begun { record, .. } in &outcome.begun {
        let before = tokens.insert(record.order, record.token);
        assert!(before <= Some(record.token), "{record:?} after {before:?}");
    }
}

/// `crash` kills the server of this address and starts it again.
fn work_goes_on<D>(url: &str, crash: impl FnMut())
where
    D: Sql<Connection: Connection>,
{
    let outcome = nothing_is_skipped::<D>(url, url, crash);
    only_pages_at_work_are_repeated(&outcome, &mut D::Connection::establish(url).unwrap());
}

#[test]
fn work_goes_on_after_mariadb_was_killed() {
    let mut server = MariadbServer::start();
    migrate(&mut MysqlConnection::establish(&server.url()).unwrap()).unwrap();
    work_goes_on::<Mariadb>(&server.url(), || {
        server.kill();
        server.start_again();
    });
}

#[test]
fn work_goes_on_after_postgres_was_killed() {
    let mut server = PostgresServer::start();
    migrate(&mut PgConnection::establish(&server.url()).unwrap()).unwrap();
    work_goes_on::<Postgres>(&server.url(), || {
        server.kill();
        server.start_again();
    });
}

/// Stops the process that writes the commits for which no session waits, until the server starts again.
fn stop_wal_writer(url: &str) {
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'";
    let mut connection = PgConnection::establish(url).unwrap();
    let process: i32 = sql_of::<Integer>(sql).get_result(&mut connection).unwrap();
    kill(Pid::from_raw(process), Signal::SIGSTOP).unwrap();
}

/// The commits of consumers do not wait for the disk. So the first crash undoes the last cursors of the
/// segments, and the effects of the same transactions. Published messages stay.
#[test]
fn nothing_is_skipped_when_postgres_forgets_the_last_cursors() {
    let mut server = PostgresServer::start_with(&[
        "fsync=off",
        "autovacuum=off",
        "bgwriter_lru_maxpages=0",
        "synchronous_commit=off",
        "wal_buffers=64MB",
        "wal_writer_delay=10s",
    ]);
    let url = server.url();
    let publisher = format!("{url}?options=-csynchronous_commit%3Don");
    migrate(&mut PgConnection::establish(&publisher).unwrap()).unwrap();
    stop_wal_writer(&url);
    let outcome = nothing_is_skipped::<Postgres>(&url, &publisher, || {
        server.kill_at_once();
        server.start_again();
    });
    assert!(outcome.forgotten > 0, "no cursor was lost");
}
