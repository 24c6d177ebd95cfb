//! Connections that are cut silently: sent bytes do not arrive, and no error is reported.

use std::io::{self, copy};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use persisting_message_bus::{Message, MessageConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until;

use super::gate::Gate;
use super::renewals::assert_kept;
use super::{cursor, place, quick_retry};

/// Starts a proxy to a server. It forwards all connections except one, which it accepts but never
/// serves.
fn proxy(server: String, silent: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    thread::spawn(move || {
        let mut kept = Vec::new();
        for client in listener.incoming() {
            let client = client.unwrap();
            if counted.fetch_add(1, Ordering::SeqCst) + 1 == silent {
                kept.push(client);
                continue;
            }
            let server = TcpStream::connect(&server).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                thread::spawn(move || copy(&mut from, &mut to));
            }
        }
    });
    (port, accepted)
}

/// Returns the address of the tests' server through a proxy.
fn through(url: &str, silent: usize) -> (String, Arc<AtomicUsize>) {
    let (before, rest) = url.split_once('@').unwrap();
    let (address, after) = rest.split_once('/').unwrap();
    let (port, accepted) = proxy(address.to_owned(), silent);
    (format!("{before}@127.0.0.1:{port}/{after}"), accepted)
}

/// The consumer has the first connection. The second one, which renews its lease, hangs.
#[test]
fn a_lease_is_renewed_on_another_connection_when_one_hangs() {
    let database = Postgres::create();
    place(&mut database.connect(), 1..2);
    let (hanging, accepted) = through(&database.url(), 2);
    let direct = database.url();
    let (lease, gate) = (Duration::from_millis(900), Gate::default());
    let runner = |url: String| {
        let gate = gate.clone();
        let handler = move |_: &Message<Orders>| {
            gate.pass();
            Ok(())
        };
        let consumer = MessageConsumer::<Orders>::external("slow", handler).lease_duration(lease);
        Runner::new(move || Ok::<_, io::Error>(Postgres::connect_to(&url)))
            .idle_interval(Duration::from_millis(50))
            .retry(quick_retry())
            .consumer(consumer)
            .start()
    };
    let slow = runner(hanging);
    gate.wait_for_arrivals(1);
    let standby = runner(direct);
    let mut bus = database.connect();
    // The silence lasts until the end of the test.
    assert_kept(&mut bus, "slow", lease);
    gate.open();
    wait_until("the message is handled", || cursor(&mut bus, "slow") == 1);
    for running in [slow, standby] {
        running.stop_within(Duration::from_secs(10)).unwrap();
    }
    assert_eq!(
        gate.arrivals(),
        1,
        "another process has handled the message too"
    );
    assert!(
        accepted.load(Ordering::SeqCst) >= 3,
        "no other connection was tried"
    );
}
