//! The round trips of a poll to PostgreSQL, counted by a proxy that holds back what the server answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use diesel::{Connection, PgConnection};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::{Blocking, open_dedicated};
use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::operate::MessageFailures;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, StartAt};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use tokio::runtime::Runtime;

/// Longer than a program takes to send its next question, if it does not wait for the answer.
const HELD: Duration = Duration::from_millis(200);

/// A proxy to the server.
struct Proxy {
    port: u16,
    counting: Arc<Counting>,
}

#[derive(Default)]
struct Counting {
    is_on: AtomicBool,
    answers: AtomicUsize,
}

impl Proxy {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let counting = Arc::<Counting>::default();
        let proxy = Self {
            port,
            counting: Arc::clone(&counting),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    // Either side may end the connection.
                    let _ended = std::io::copy(&mut from, &mut to);
                    let _ended = to.shutdown(Shutdown::Both);
                });
                let counting = Arc::clone(&counting);
                thread::spawn(move || answer(server, client, &counting));
            }
        });
        proxy
    }

    /// Returns the number of times that `run` waited for the server.
    fn round_trips(&self, run: impl FnOnce()) -> usize {
        let before = self.counting.answers.load(Ordering::SeqCst);
        self.counting.is_on.store(true, Ordering::SeqCst);
        run();
        self.counting.is_on.store(false, Ordering::SeqCst);
        self.counting.answers.load(Ordering::SeqCst) - before
    }
}

/// Passes on the answers, all that come within a while as one.
fn answer(mut server: TcpStream, mut client: TcpStream, counting: &Counting) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let Ok(count @ 1..) = server.read(&mut bytes) else {
            let _ended = client.shutdown(Shutdown::Both);
            return;
        };
        let mut answered = bytes[..count].to_vec();
        if counting.is_on.load(Ordering::SeqCst) {
            thread::sleep(HELD);
            server.set_nonblocking(true).unwrap();
            while let Ok(count @ 1..) = server.read(&mut bytes) {
                answered.extend(&bytes[..count]);
            }
            server.set_nonblocking(false).unwrap();
            counting.answers.fetch_add(1, Ordering::SeqCst);
        }
        if client.write_all(&answered).is_err() {
            return;
        }
    }
}

/// Returns the round trips of an empty poll.
fn of_empty_poll<B>(proxy: &Proxy, bus: &mut B) -> usize
where
    B: MessageSource + MessageConsumerState + MessageFailures,
{
    let handler = |_: &Message<Orders>| Ok(());
    let mut consumer = MessageConsumer::<Orders>::external("all", handler);
    // Statements are prepared, and the last poll has found the cursor where it is.
    while consumer.handle_page(bus).unwrap() > 0 {}
    assert_eq!(consumer.handle_page(bus).unwrap(), 0);
    proxy.round_trips(|| assert_eq!(consumer.handle_page(bus).unwrap(), 0))
}

/// The row of the consumer and the high-water mark are asked for at once.
#[test]
fn a_look_takes_two_round_trips_on_async_connections() {
    let database = Postgres::create();
    let placed = (1..=3).map(OrderPlaced::number);
    let orders = MessageDispatcher::<Orders>::new();
    orders
        .dispatch_batch(&mut database.connect(), placed)
        .unwrap();
    let url = database.url();
    let (before, rest) = url.split_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(server.to_owned());
    let url = format!("{before}@127.0.0.1:{}/{path}", proxy.port);

    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let connection = runtime
        .block_on(AsyncPgConnection::establish(&url))
        .unwrap();
    assert_eq!(of_empty_poll(&proxy, &mut Blocking::from(connection)), 2);

    let mut dedicated = open_dedicated(async || AsyncPgConnection::establish(&url).await).unwrap();
    assert_eq!(of_empty_poll(&proxy, &mut dedicated), 2);

    let mut sync = PgConnection::establish(&url).unwrap();
    assert_eq!(of_empty_poll(&proxy, &mut sync), 3);
}

/// Another program has moved the cursor since the last poll.
#[test]
fn a_cursor_that_was_moved_since_the_last_poll_is_read_from_its_new_place() {
    let database = Postgres::create();
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let connection = runtime
        .block_on(AsyncPgConnection::establish(&database.url()))
        .unwrap();
    let mut bus = Blocking::from(connection);
    let orders = MessageDispatcher::<Orders>::new();
    let placed = (1..=3).map(OrderPlaced::number);
    orders.dispatch_batch(&mut bus, placed).unwrap();
    let mut seen = Vec::new();
    let handler = |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", handler);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);

    let mut other = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    other
        .reset(&mut database.connect(), StartAt::Start)
        .unwrap();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
    drop(consumer);
    assert_eq!(seen, [1, 2, 3, 1, 2, 3]);
}
