//! LISTEN and NOTIFY wake a consumer that does not poll by itself.

mod asynchronous;
mod channel;
mod sleeper;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use persisting_message_bus::Backoff;
use persisting_message_bus::sql::postgres::Notifications;
use persisting_message_bus_tests::servers::postgres_url;
use persisting_message_bus_tests::silent_server::{PausableProxy, SilentServer};
use persisting_message_bus_tests::waiting::wait_until;

use self::channel::Channel;
use self::sleeper::Sleeper;

const HOUR: Duration = Duration::from_secs(3_600);
const LONG: Duration = Duration::from_secs(60);

fn connect() -> ConnectionResult<PgConnection> {
    PgConnection::establish(&postgres_url())
}

/// Returns a `connect` that fails this many times, and then connects.
fn connect_after(failures: u32) -> impl Fn() -> ConnectionResult<PgConnection> + Send + Sync {
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

#[test]
fn a_notification_wakes_an_idle_runner() {
    let mut channel = Channel::create();
    let sleeper = Sleeper::start();
    let notifier = channel.notifications().notifier(connect);
    let waker = sleeper.running.waker();
    let _listener = channel.notifications().listener(connect, waker);
    channel.wait_for("LISTEN");
    for order in 0..5 {
        sleeper.publish(order);
        notifier.notify();
        sleeper.assert_sees(order);
    }
}

#[test]
fn a_burst_is_one_notification_and_a_pending_one_is_sent_at_the_end() {
    let mut channel = Channel::create();
    channel.run("LISTEN");
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
    channel.run("LISTEN");
    let notifier = channel.notifications().notifier(connect);
    notifier.notify();
    assert_eq!(channel.next(), "");
    channel.wait_for("NOTIFY");
    drop(notifier);
    assert_eq!(channel.count(), 0);
}

#[test]
fn notifications_keep_their_interval() {
    let mut channel = Channel::create();
    channel.run("LISTEN");
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
    // Two more: one at the beginning, and one at the end.
    let most = begun.elapsed().as_millis() / interval.as_millis() + 2;
    let count = channel.count();
    assert!((2..=most).contains(&count.into()), "{count} of {most}");
}

#[test]
fn a_listener_wakes_the_runner_when_it_has_reconnected() {
    let mut channel = Channel::create();
    let sleeper = Sleeper::start();
    let waker = sleeper.running.waker();
    let _listener = channel.notifications().listener(connect, waker);
    let process = channel.wait_for("LISTEN");
    sleeper.publish(0);
    channel.terminate(process);
    sleeper.assert_sees(0);
    channel.wait_for("LISTEN");
    sleeper.publish(1);
    channel.run("NOTIFY");
    sleeper.assert_sees(1);
}

#[test]
fn a_notifier_reconnects_at_once_when_it_lost_its_connection() {
    let mut channel = Channel::create();
    channel.run("LISTEN");
    let notifier = channel
        .notifications()
        .backoff(Backoff::default().initial_delay(HOUR).max_delay(HOUR))
        .notifier(connect);
    for _ in 0..3 {
        notifier.notify();
        assert_eq!(channel.next(), "");
        let process = channel.wait_for("NOTIFY");
        channel.terminate(process);
    }
}

#[test]
fn a_failed_connection_is_retried() {
    let mut channel = Channel::create();
    channel.run("LISTEN");
    let notifier = channel.notifications().notifier(connect_after(3));
    notifier.notify();
    assert_eq!(channel.next(), "");
    channel.run("UNLISTEN");

    let sleeper = Sleeper::start();
    sleeper.publish(0);
    let waker = sleeper.running.waker();
    let _listener = channel.notifications().listener(connect_after(3), waker);
    sleeper.assert_sees(0);
}

#[test]
fn dropping_notifications_closes_their_connections() {
    let mut channel = Channel::create();
    let notifier = channel.notifications().notifier(connect);
    let sleeper = Sleeper::start();
    let waker = sleeper.running.waker();
    let listener = channel.notifications().listener(connect, waker);
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

/// Returns a `connect` that leads to another address once, and then to the server.
fn connect_first_to(url: String) -> impl Fn() -> ConnectionResult<PgConnection> + Send + Sync {
    let is_first = AtomicBool::new(true);
    move || match is_first.swap(false, Ordering::SeqCst) {
        true => PgConnection::establish(&url),
        false => connect(),
    }
}

const IMPATIENT: Duration = Duration::from_millis(200);

#[test]
fn notifications_give_a_silent_server_up() {
    let mut channel = Channel::create();
    channel.run("LISTEN");
    let silent = SilentServer::start();
    let notifications = channel.notifications().answer_timeout(IMPATIENT);
    let notifier = notifications.notifier(connect_first_to(silent.postgres_url()));
    notifier.notify();
    assert_eq!(channel.next(), "");
    channel.run("UNLISTEN");

    let sleeper = Sleeper::start();
    sleeper.publish(0);
    let connect = connect_first_to(silent.postgres_url());
    let _listener = notifications.listener(connect, sleeper.running.waker());
    sleeper.assert_sees(0);
    assert_eq!(silent.accepted(), 2);
}

#[test]
fn notifications_give_a_connection_up_that_stops_to_answer() {
    let mut channel = Channel::create();
    let (url, proxy) = PausableProxy::before(&postgres_url());
    let notifications = channel.notifications().answer_timeout(IMPATIENT);
    let sleeper = Sleeper::start();
    let waker = sleeper.running.waker();
    let _listener = notifications.listener(connect_first_to(url.clone()), waker);
    channel.wait_for("LISTEN");
    proxy.pause();
    sleeper.publish(0);
    // Nothing else wakes the runner.
    sleeper.assert_sees(0);
    proxy.resume();

    channel.run("LISTEN");
    let notifier = notifications.notifier(connect_first_to(url));
    notifier.notify();
    assert_eq!(channel.next(), "");
    proxy.pause();
    notifier.notify();
    assert_eq!(channel.next(), "");
}

#[test]
fn the_drop_of_a_notifier_is_bounded_when_its_server_is_silent() {
    let silent = SilentServer::start();
    let url = silent.postgres_url();
    let connect = move || PgConnection::establish(&url);
    let notifier = Channel::create().notifications().notifier(connect);
    notifier.notify();
    wait_until("it has connected", || silent.accepted() > 0);
    let begun = Instant::now();
    drop(notifier);
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_channel_without_a_name_is_refused() {
    let error = Notifications::on_channel("").unwrap_err();
    assert!(error.is_invalid_name(), "{error}");
}
