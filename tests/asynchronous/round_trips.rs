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
use persisting_message_bus::backend::{Ahead, MessageConsumerState, MessageSource};
use persisting_message_bus::operate::MessageFailures;
use persisting_message_bus::{EventSet, Message, MessageConsumer, MessageDispatcher, StartAt};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped, Orders};
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

/// Returns a database, and the way to it through a proxy.
fn through_a_proxy() -> (Postgres, Proxy, String) {
    let database = Postgres::create();
    let url = database.url();
    let (before, rest) = url.split_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(server.to_owned());
    let through = format!("{before}@127.0.0.1:{}/{path}", proxy.port);
    (database, proxy, through)
}

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
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
    let (database, proxy, url) = through_a_proxy();
    let placed = (1..=3).map(OrderPlaced::number);
    orders()
        .dispatch_batch(&mut database.connect(), placed)
        .unwrap();
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

/// Returns the round trips until the handler of one message is called, and afterwards.
fn of_message<S, B>(proxy: &Proxy, publisher: &mut PgConnection, bus: &mut B) -> [usize; 2]
where
    S: EventSet,
    B: MessageSource + MessageConsumerState + MessageFailures,
{
    let (counting, mut at_handler) = (Arc::clone(&proxy.counting), 0);
    let mut consumer = MessageConsumer::<S>::external("all", |_: &Message<S>| {
        at_handler = counting.answers.load(Ordering::SeqCst);
        Ok(())
    });
    // Statements are prepared, and the last poll has found the cursor where it is.
    for _ in 0..2 {
        let shipped = OrderShipped { order: 1 };
        orders().dispatch(publisher, &shipped).unwrap();
        while consumer.handle_page(bus).unwrap() > 0 {}
    }
    orders()
        .dispatch(publisher, &OrderShipped { order: 2 })
        .unwrap();
    let before = proxy.counting.answers.load(Ordering::SeqCst);
    let all = proxy.round_trips(|| assert_eq!(consumer.handle_page(bus).unwrap(), 1));
    drop(consumer);
    [at_handler - before, before + all - at_handler]
}

/// The first answer has the consumer's row and the high-water mark, the second one the head and the
/// message, the third one the lease.
#[test]
fn a_message_takes_three_round_trips_to_its_handler_on_async_connections() {
    let (database, proxy, url) = through_a_proxy();
    let publisher = &mut database.connect();
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let connection = runtime
        .block_on(AsyncPgConnection::establish(&url))
        .unwrap();
    let shared = &mut Blocking::from(connection);
    assert_eq!(of_message::<Orders, _>(&proxy, publisher, shared), [3, 1]);
    let dedicated = &mut open_dedicated(async || AsyncPgConnection::establish(&url).await).unwrap();
    assert_eq!(
        of_message::<Orders, _>(&proxy, publisher, dedicated),
        [3, 1]
    );
    // Also if the consumer does not read all types, and the source must be recognised by the ids.
    assert_eq!(
        of_message::<Closed, _>(&proxy, publisher, dedicated),
        [3, 1]
    );
    let sync = &mut PgConnection::establish(&url).unwrap();
    assert_eq!(of_message::<Orders, _>(&proxy, publisher, sync), [5, 1]);
}

/// More than are read ahead, and larger ones.
#[test]
fn messages_that_are_not_read_ahead_are_read_as_pages() {
    let database = Postgres::create();
    let mut bus = open_dedicated(async || AsyncPgConnection::establish(&database.url()).await);
    let bus = bus.as_mut().unwrap();
    let mut handled = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        handled.push(message.payload().order());
        Ok(())
    })
    .page_size(5);
    let (most, mut published) = (Ahead::MOST_MESSAGES as u64, 0);
    for count in [1, most, most + 1, 3 * most] {
        let numbers = published..published + count;
        published += count;
        orders()
            .dispatch_batch(bus, numbers.map(OrderPlaced::number))
            .unwrap();
        assert_eq!(consumer.handle_new_messages(bus).unwrap() as u64, count);
    }
    let large = OrderPlaced {
        order: published,
        note: "x".repeat(2 * Ahead::MOST_BYTES),
    };
    orders()
        .dispatch_batch(bus, [large.clone(), large])
        .unwrap();
    assert_eq!(consumer.handle_new_messages(bus).unwrap(), 2);
    drop(consumer);
    let expected = (0..=published).chain([published]);
    assert_eq!(handled, Vec::from_iter(expected));
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
    let placed = (1..=3).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, placed).unwrap();
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
