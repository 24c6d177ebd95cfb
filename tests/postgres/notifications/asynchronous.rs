//! The same by tasks, on async connections.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::Backoff;
use persisting_message_bus::asynchronous::postgres::{Listener, Notifier};
use persisting_message_bus_tests::servers::postgres_url;
use persisting_message_bus_tests::silent_server::{PausableProxy, SilentServer};
use persisting_message_bus_tests::waiting::wait_until;
use tokio::runtime::{Builder, Runtime};

use super::channel::Channel;
use super::sleeper::Sleeper;
use super::{HOUR, IMPATIENT, LONG};

async fn connect() -> ConnectionResult<AsyncPgConnection> {
    AsyncPgConnection::establish(&postgres_url()).await
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Returns a `connect` that fails this many times, and then connects.
fn connect_after(
    failures: u32,
) -> impl AsyncFn() -> ConnectionResult<AsyncPgConnection> + Send + Sync {
    let left = AtomicU32::new(failures);
    async move || {
        let fail = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        match fail {
            Ok(_) => Err(ConnectionError::BadConnection("not yet".to_owned())),
            Err(_) => connect().await,
        }
    }
}

/// Returns a `connect` that leads to another address once, and then to the server.
fn connect_first_to(
    url: String,
) -> impl AsyncFn() -> ConnectionResult<AsyncPgConnection> + Send + Sync {
    let calls = AtomicU32::new(0);
    async move || match calls.fetch_add(1, Ordering::Relaxed) {
        0 => AsyncPgConnection::establish(&url).await,
        _ => connect().await,
    }
}

#[test]
fn a_notification_wakes_an_idle_runner() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    let sleeper = Sleeper::start();
    let notifier = Notifier::start(channel.notifications(), connect);
    let waker = sleeper.running.waker();
    let _listener = Listener::start(channel.notifications(), connect, waker);
    channel.wait_for("LISTEN");
    for order in 0..5 {
        sleeper.publish(order);
        notifier.notify();
        sleeper.assert_sees(order);
    }
}

#[test]
fn a_burst_is_one_notification_and_a_pending_one_is_sent_at_the_end() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    channel.run("LISTEN");
    for is_closed in [false, true] {
        let settings = channel.notifications().notify_interval(HOUR);
        let notifier = Notifier::start(settings, connect);
        notifier.notify();
        assert_eq!(channel.next(), "");
        for _ in 0..10_000 {
            notifier.notify();
        }
        assert_eq!(channel.count(), 0);
        if is_closed {
            runtime.block_on(notifier.close_within(LONG)).unwrap();
            assert_eq!(channel.count(), 1);
        } else {
            drop(notifier);
            assert_eq!(channel.next(), "");
        }
    }
}

#[test]
fn a_listener_wakes_the_runner_when_it_has_reconnected() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    let sleeper = Sleeper::start();
    let waker = sleeper.running.waker();
    let _listener = Listener::start(channel.notifications(), connect, waker);
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
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    channel.run("LISTEN");
    let never = Backoff::default().initial_delay(HOUR).max_delay(HOUR);
    let notifier = Notifier::start(channel.notifications().backoff(never), connect);
    for _ in 0..3 {
        notifier.notify();
        assert_eq!(channel.next(), "");
        let process = channel.wait_for("NOTIFY");
        channel.terminate(process);
    }
}

#[test]
fn a_failed_connection_is_retried() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    channel.run("LISTEN");
    let notifier = Notifier::start(channel.notifications(), connect_after(3));
    notifier.notify();
    assert_eq!(channel.next(), "");

    let sleeper = Sleeper::start();
    sleeper.publish(0);
    let waker = sleeper.running.waker();
    let _listener = Listener::start(channel.notifications(), connect_after(3), waker);
    sleeper.assert_sees(0);
}

#[test]
fn dropping_notifications_closes_their_connections() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    let notifier = Notifier::start(channel.notifications(), connect);
    let sleeper = Sleeper::start();
    let waker = sleeper.running.waker();
    let listener = Listener::start(channel.notifications(), connect, waker);
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
fn notifications_give_a_silent_server_up() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    channel.run("LISTEN");
    let silent = SilentServer::start();
    let settings = channel.notifications().answer_timeout(IMPATIENT);
    let connect = connect_first_to(silent.postgres_url());
    let notifier = Notifier::start(settings.clone(), connect);
    notifier.notify();
    assert_eq!(channel.next(), "");

    let sleeper = Sleeper::start();
    sleeper.publish(0);
    let connect = connect_first_to(silent.postgres_url());
    let _listener = Listener::start(settings, connect, sleeper.running.waker());
    sleeper.assert_sees(0);
    assert_eq!(silent.accepted(), 2);
}

#[test]
fn notifications_give_a_connection_up_that_stops_to_answer() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut channel = Channel::create();
    let (url, proxy) = PausableProxy::before(&postgres_url());
    let settings = channel.notifications().answer_timeout(IMPATIENT);
    let sleeper = Sleeper::start();
    let waker = sleeper.running.waker();
    let connect = connect_first_to(url.clone());
    let _listener = Listener::start(settings.clone(), connect, waker);
    channel.wait_for("LISTEN");
    proxy.pause();
    sleeper.publish(0);
    // Nothing else wakes the runner.
    sleeper.assert_sees(0);
    proxy.resume();

    channel.run("LISTEN");
    let notifier = Notifier::start(settings, connect_first_to(url));
    notifier.notify();
    assert_eq!(channel.next(), "");
    proxy.pause();
    notifier.notify();
    assert_eq!(channel.next(), "");
}

#[test]
fn closing_a_notifier_is_bounded_and_an_error_when_its_server_is_silent() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let silent = SilentServer::start();
    let url = silent.postgres_url();
    let connect = async move || AsyncPgConnection::establish(&url).await;
    let channel = Channel::create();
    for (answer, close) in [(IMPATIENT, LONG), (Duration::from_secs(1), IMPATIENT)] {
        let settings = channel.notifications().answer_timeout(answer);
        let notifier = Notifier::start(settings, connect.clone());
        notifier.notify();
        let error = runtime.block_on(notifier.close_within(close)).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("answer within 200ms"), "{text}");
    }
}
