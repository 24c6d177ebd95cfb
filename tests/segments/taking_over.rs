//! How soon a living member takes the segments of a process that was killed. A machine can be slow, so
//! looks are counted. From one look to the next, it takes the `idle_interval` of the runner and 100 ms, at
//! most.

use std::io;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, future, thread};

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous;
use persisting_message_bus::backend::ConsumerRow;
use persisting_message_bus::sql::StatementWatch;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::waiting::wait_until;

use super::begun::{Log, member, publish, published};
use super::records::{Verdict, judge};
use super::running::has_ended_well;
use super::sql::Sql;
use super::topic::{KEYS, Orders};
use super::{connector, segments, segments_if_any};

/// Each process has a thread for each segment.
const SEGMENTS: u16 = 4;
const MESSAGES: u64 = 200;

/// So few messages of each segment must be handled alone after a kill.
const PAGE: usize = 2;

/// The lease of the process that is killed. It renews its leases until then.
const LEASE: Duration = Duration::from_secs(2);

/// Makes this process one whose handlers do not return: the address of its database, after `ASYNC` if its
/// handlers are async.
const TASK: &str = "SEGMENTS_STUCK";
const ASYNC: &str = "async ";

/// The body of such a process, if the environment variable is set. Passes otherwise.
#[test]
fn stuck_process() {
    let Ok(address) = env::var(TASK) else { return };
    if let Some(address) = address.strip_prefix(ASYNC) {
        be_stuck_in_futures(address.to_owned());
    } else if address.starts_with("postgres") {
        be_stuck::<Postgres>(address);
    } else if address.starts_with("mysql") {
        be_stuck::<Mariadb>(address);
    } else {
        be_stuck::<Sqlite>(address);
    }
}

fn be_stuck<D: Sql>(address: String) {
    let make = || {
        MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
            thread::sleep(Duration::MAX);
            Ok(())
        })
        .lease_duration(LEASE)
    };
    let consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
    let _running = Runner::new(move || Ok::<_, io::Error>(D::connect_at(&address)))
        .parallel(consumer.threads(SEGMENTS.into()))
        .start();
    wait_for_the_end();
}

fn be_stuck_in_futures(address: String) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let make = || {
        asynchronous::MessageConsumer::<Orders>::external("all", async |_: &Message<Orders>| {
            future::pending::<()>().await;
            Ok(())
        })
        .lease_duration(LEASE)
    };
    let consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
    let connect = async move || AsyncPgConnection::establish(&address).await;
    let _running = asynchronous::Runner::on_dedicated_connections(connect)
        .parallel(consumer.threads(SEGMENTS.into()))
        .start();
    wait_for_the_end();
}

/// Ends the process if the test ends before it is killed.
fn wait_for_the_end() {
    io::stdin().lines().for_each(drop);
    process::exit(0);
}

fn start_stuck(task: String) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .args(["taking_over::stuck_process", "--exact", "--nocapture"])
        .env(TASK, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
}

/// The looks of the living member: how many have begun, and what the test permits. Each waits for its
/// permit, unless the test has dropped the sender.
#[derive(Debug, Clone)]
struct Looks(Arc<AtomicUsize>, Arc<Mutex<Receiver<()>>>);

impl Instrumentation for Looks {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let query = query.to_string();
            let (sql, values) = query.split_once("-- binds").unwrap_or((&query, ""));
            // A single segment is read by its name, such as `all/3 of 4`.
            if sql.contains("AS segment") && !values.contains("all/") {
                self.0.fetch_add(1, Ordering::SeqCst);
                let permits = self.1.lock().unwrap();
                let _permit = permits.recv_timeout(Duration::from_secs(60));
            }
        }
    }
}

fn is_held(row: &ConsumerRow) -> bool {
    row.lease_owner.is_some() && row.lease_expires_at > Some(row.now)
}

/// A process is killed while it has each segment in a handler. The living member has looked before, and
/// looks once after the leases are over.
fn are_taken_within_a_look<D: Sql>(kind: &str)
where
    D::Connection: Connection,
{
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    publish(&mut bus, 0..MESSAGES, KEYS);
    let mut stuck = start_stuck(format!("{kind}{}", database.address())).unwrap();
    wait_until("the process holds all segments", || {
        let rows = segments_if_any(&mut bus, "all");
        rows.len() == usize::from(SEGMENTS) && rows.iter().all(is_held)
    });
    let (permit, permits) = channel();
    let looks = Looks(Arc::default(), Arc::new(Mutex::new(permits)));
    let (log, watching) = (Arc::<Log>::default(), looks.clone());
    let noted = Arc::clone(&log);
    let make = move || member::<Orders>(&noted, 1, Duration::ZERO).page_size(PAGE);
    let consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
    let running = Runner::new(move || {
        let mut bus = connect();
        bus.set_instrumentation(StatementWatch::around(watching.clone()));
        Ok::<_, io::Error>(bus)
    })
    .idle_interval(Duration::from_millis(50))
    .parallel(consumer.threads(SEGMENTS.into()))
    .start();
    let permit_looks = |looks| (0..looks).for_each(|_| permit.send(()).unwrap());
    permit_looks(3);
    wait_until("the member has looked three times", || {
        looks.0.load(Ordering::SeqCst) > 3
    });
    assert_eq!(log.different(), 0, "all segments are held");
    // This is SIGKILL.
    stuck.kill().unwrap();
    stuck.wait().unwrap();
    wait_until("the leases are over", || {
        !segments(&mut bus, "all").iter().any(is_held)
    });
    let left = segments(&mut bus, "all");
    assert!(left.iter().all(|row| row.work.is_some()), "{left:?}");
    permit_looks(1);
    wait_until("each segment is taken within a look", || {
        let rows = segments(&mut bus, "all");
        let mut rows = rows.iter().zip(&left);
        rows.all(|(row, left)| row.lease_epoch > left.lease_epoch)
    });
    drop(permit);
    wait_until("everything is handled", || log.different() == MESSAGES);
    has_ended_well(running);
    let verdict = judge(&log.records(), &published(MESSAGES, KEYS), &[]);
    assert_eq!(verdict, Verdict::default());
}

pub fn segments_of_a_killed_process_are_taken_within_a_look<D: Sql>()
where
    D::Connection: Connection,
{
    are_taken_within_a_look::<D>("");
}

#[test]
fn segments_of_a_killed_process_with_async_handlers_are_taken_within_a_look() {
    are_taken_within_a_look::<Postgres>(ASYNC);
}
