//! LISTEN and NOTIFY wake a consumer that does not look by itself.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use persisting_message_bus::diesel::postgres::Notifications;
use persisting_message_bus::{
    Error, Message, MessageBus, MessageConsumer, MessageSource, PageRequest, Position, Retry,
    Runner, Running, Sightings, StoredMessage,
};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::servers::postgres_url;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

use super::orders;

const HOUR: Duration = Duration::from_secs(3_600);
const LONG: Duration = Duration::from_secs(60);

fn connect() -> ConnectionResult<PgConnection> {
    PgConnection::establish(&postgres_url())
}

/// Fails so often, and then connects.
fn connect_after(failures: u32) -> impl Fn() -> ConnectionResult<PgConnection> + Send {
    let left = AtomicU32::new(failures);
    move || {
        let fail = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        match fail {
            Ok(_) => Err(ConnectionError::BadConnection("not yet".to_owned())),
            Err(_) => connect(),
        }
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A channel of a test's own, with somebody who sees what happens on it.
struct Channel {
    name: String,
    observer: PgConnection,
}

impl Channel {
    fn create() -> Self {
        Self {
            name: format!("A \"channel\" {}", Uuid::now_v7()),
            observer: connect().unwrap(),
        }
    }

    /// That is quick to connect again.
    fn notifications(&self) -> Notifications {
        let retry = Retry::default().base(Duration::from_millis(2));
        Notifications::on_channel(&self.name).unwrap().retry(retry)
    }

    fn run(&mut self, command: &str, payload: &str) {
        let channel = self.name.replace('"', "\"\"");
        self.observer
            .batch_execute(&format!("{command} \"{channel}\"{payload}"))
            .unwrap();
    }

    /// The process of the server for whoever said that last on the channel, and waits.
    fn process(&mut self, command: &str) -> Option<i32> {
        let sql =
            sql::<Integer>("SELECT pid FROM pg_stat_activity WHERE state = 'idle' AND query = ")
                .bind::<diesel::sql_types::Text, _>(format!(
                    "{command} \"{}\"",
                    self.name.replace('"', "\"\"")
                ))
                .sql(" AND pid <> pg_backend_pid()");
        sql.get_result(&mut self.observer).optional().unwrap()
    }

    fn wait_for(&mut self, command: &str) -> i32 {
        let mut process = None;
        wait_until(command, || {
            process = self.process(command);
            process.is_some()
        });
        process.unwrap()
    }

    fn terminate(&mut self, process: i32) {
        diesel::sql_query("SELECT pg_terminate_backend($1)")
            .bind::<Integer, _>(process)
            .execute(&mut self.observer)
            .unwrap();
        let gone = format!("SELECT pid FROM pg_stat_activity WHERE pid = {process}");
        wait_until("it is gone", || {
            let found = sql::<Integer>(&gone).get_result::<i32>(&mut self.observer);
            found.optional().unwrap().is_none()
        });
    }

    /// How many notifications come until one that says it is the last.
    fn count(&mut self) -> u32 {
        self.run("NOTIFY", ", 'the last'");
        let mut count = 0;
        loop {
            if self.next() == "the last" {
                return count;
            }
            count += 1;
        }
    }

    fn next(&mut self) -> String {
        let mut next = None;
        wait_until("a notification", || {
            next = self.observer.notifications_iter().next();
            next.is_some()
        });
        next.unwrap().unwrap().payload
    }
}

/// Says that nothing has changed: who reads from here looks when it is nudged.
struct Quiet {
    messages: PgConnection,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Changes,
    Messages,
}

impl MessageSource for Quiet {
    fn horizon(&mut self, topic: &str, sightings: &mut Sightings) -> Result<Position, Error> {
        self.asked.lock().unwrap().push(Asked::Messages);
        self.messages.horizon(topic, sightings)
    }

    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error> {
        self.messages.head(topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.messages.last_position()
    }

    fn changes(&mut self) -> Result<Option<i64>, Error> {
        self.asked.lock().unwrap().push(Asked::Changes);
        Ok(Some(0))
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.messages.read_page(request, receive)
    }
}

/// A runner that only a nudge wakes.
struct Sleeper {
    database: Arc<Postgres>,
    running: Running,
    asked: Arc<Mutex<Vec<Asked>>>,
    seen: Receiver<u64>,
}

impl Sleeper {
    fn start() -> Self {
        let database = Arc::new(Postgres::create());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (sender, seen) = channel();
        let consumer =
            MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
                Ok(sender.send(message.payload().order())?)
            });
        let connect = {
            let (database, asked) = (Arc::clone(&database), Arc::clone(&asked));
            move || {
                let (messages, asked) = (database.connect(), Arc::clone(&asked));
                let bus = MessageBus::new(Quiet { messages, asked }, database.connect());
                Ok::<_, Infallible>(bus)
            }
        };
        let running = Runner::new(connect)
            .idle_interval(HOUR)
            .consumer(consumer)
            .start();
        Self {
            database,
            running,
            asked,
            seen,
        }
    }

    /// Publishes while it rests.
    fn publish(&self, order: u64) {
        wait_until("it rests", || {
            let asked = self.asked.lock().unwrap();
            asked.ends_with(&[Asked::Changes, Asked::Changes])
        });
        orders()
            .dispatch(&mut self.database.connect(), &OrderPlaced::number(order))
            .unwrap();
    }

    fn assert_sees(&self, order: u64) {
        assert_eq!(self.seen.recv_timeout(LONG), Ok(order));
    }
}

#[test]
fn a_notification_wakes_a_runner_that_rests() {
    let mut channel = Channel::create();
    let sleeper = Sleeper::start();
    let notifier = channel.notifications().notifier(connect);
    let nudge = sleeper.running.nudge();
    let _listener = channel.notifications().listener(connect, nudge);
    channel.wait_for("LISTEN");
    for order in 0..5 {
        sleeper.publish(order);
        notifier.notify();
        sleeper.assert_sees(order);
    }
}

#[test]
fn a_burst_is_one_notification_and_what_is_pending_is_sent_at_the_end() {
    let mut channel = Channel::create();
    channel.run("LISTEN", "");
    let notifier = channel
        .notifications()
        .notify_interval(HOUR)
        .notifier(connect);
    notifier.notify();
    assert_eq!(channel.next(), "");
    for _ in 0..10_000 {
        notifier.notify();
    }
    assert_eq!(channel.count(), 0);
    drop(notifier);
    assert_eq!(channel.count(), 1);
}

#[test]
fn nothing_is_sent_at_the_end_when_nothing_is_pending() {
    let mut channel = Channel::create();
    channel.run("LISTEN", "");
    let notifier = channel.notifications().notifier(connect);
    notifier.notify();
    assert_eq!(channel.next(), "");
    channel.wait_for("NOTIFY");
    drop(notifier);
    assert_eq!(channel.count(), 0);
}

#[test]
fn between_two_notifications_there_is_the_interval() {
    let mut channel = Channel::create();
    channel.run("LISTEN", "");
    let interval = Duration::from_millis(20);
    let begun = Instant::now();
    let notifier = channel
        .notifications()
        .notify_interval(interval)
        .notifier(connect);
    while begun.elapsed() < 10 * interval {
        notifier.notify();
        thread::yield_now();
    }
    drop(notifier);
    // One at the beginning, and one at the end.
    let most = begun.elapsed().as_millis() / interval.as_millis() + 2;
    let count = channel.count();
    assert!((2..=most).contains(&count.into()), "{count} of {most}");
}

#[test]
fn a_listener_that_lost_its_connection_nudges_when_it_has_another_one() {
    let mut channel = Channel::create();
    let sleeper = Sleeper::start();
    let nudge = sleeper.running.nudge();
    let _listener = channel.notifications().listener(connect, nudge);
    let process = channel.wait_for("LISTEN");
    sleeper.publish(0);
    channel.terminate(process);
    sleeper.assert_sees(0);
    channel.wait_for("LISTEN");
    sleeper.publish(1);
    channel.run("NOTIFY", "");
    sleeper.assert_sees(1);
}

#[test]
fn a_notifier_that_lost_its_connection_makes_another_one_at_once() {
    let mut channel = Channel::create();
    channel.run("LISTEN", "");
    let notifier = channel
        .notifications()
        .retry(Retry::default().base(HOUR).cap(HOUR))
        .notifier(connect);
    for _ in 0..3 {
        notifier.notify();
        assert_eq!(channel.next(), "");
        let process = channel.wait_for("NOTIFY");
        channel.terminate(process);
    }
}

#[test]
fn a_connection_that_cannot_be_had_is_tried_again() {
    let mut channel = Channel::create();
    channel.run("LISTEN", "");
    let notifier = channel.notifications().notifier(connect_after(3));
    notifier.notify();
    assert_eq!(channel.next(), "");
    channel.run("UNLISTEN", "");

    let sleeper = Sleeper::start();
    sleeper.publish(0);
    let nudge = sleeper.running.nudge();
    let _listener = channel.notifications().listener(connect_after(3), nudge);
    sleeper.assert_sees(0);
}

#[test]
fn dropping_them_ends_their_connections() {
    let mut channel = Channel::create();
    let notifier = channel.notifications().notifier(connect);
    let sleeper = Sleeper::start();
    let nudge = sleeper.running.nudge();
    let listener = channel.notifications().listener(connect, nudge);
    notifier.notify();
    for command in ["NOTIFY", "LISTEN"] {
        channel.wait_for(command);
    }
    drop((notifier, listener));
    for command in ["NOTIFY", "LISTEN"] {
        wait_until("it has ended", || channel.process(command).is_none());
    }
}

#[test]
fn a_notifier_without_a_server_ends_too() {
    let unreachable = || Err::<PgConnection, _>(());
    let channel = Channel::create();
    let notifier = channel.notifications().notifier(unreachable);
    notifier.notify();
    drop(notifier);
}

#[test]
fn a_channel_without_a_name_is_refused() {
    let error = Notifications::on_channel("").unwrap_err();
    assert!(error.is_invalid_name(), "{error}");
}
