//! Long polling.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus_http::Limits;
use persisting_message_bus_tests::databases::{
    Database, Mariadb, Memory, PooledPostgres, PooledSqlite, Postgres, Server,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::requests::{Response, request};
use super::resuming::ship;
use super::serving::{Serving, feed_of, watched_feed};

const TARGET: &str = "/orders?timeout=30000";

#[test]
fn a_waiter_is_answered_when_a_message_is_dispatched() {
    let database = Arc::new(PooledSqlite::create());
    let (feed, told, _) = watched_feed(&database);
    let serving = Serving::start(feed);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| serving.get(TARGET));
        // The waiter's own read, and the first poll of the shared watcher.
        (0..2).for_each(|_| told.recv().unwrap());
        ship(&mut database.connect(), 1);
        assert_eq!(waiting.join().unwrap().orders(), [1]);
    });
}

#[test]
fn a_waiter_with_limit_zero_is_told_the_new_head() {
    let database = Arc::new(Memory::create());
    let (feed, told, _) = watched_feed(&database);
    let serving = Serving::start(feed);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| serving.get("/orders?timeout=30000&limit=0&after=0"));
        (0..2).for_each(|_| told.recv().unwrap());
        ship(&mut database.connect(), 1);
        let answer = waiting.join().unwrap();
        assert_eq!(answer.body, b"[]");
        assert_eq!(answer.header("feed-head"), Some("1"));
    });
}

#[test]
fn messages_of_other_types_do_not_end_the_wait() {
    let database = Arc::new(Memory::create());
    let (feed, told, _) = watched_feed(&database);
    let serving = Serving::start(feed);
    thread::scope(|scope| {
        let target = "/orders?timeout=30000&type=OrderShipped";
        let waiting = scope.spawn(move || serving.get(target));
        (0..2).for_each(|_| told.recv().unwrap());
        let bus = &mut database.connect();
        MessageDispatcher::<Orders>::new()
            .dispatch(bus, &OrderPlaced::number(1))
            .unwrap();
        // The watcher polls again, and the waiter reads.
        (0..3).for_each(|_| told.recv().unwrap());
        ship(bus, 2);
        assert_eq!(waiting.join().unwrap().orders(), [2]);
    });
}

#[test]
fn a_wait_ends_at_its_timeout() {
    let database = Arc::new(Memory::create());
    let limits = Limits::default().max_wait(Duration::from_millis(200));
    let serving = Serving::start(feed_of(&database).limits(limits));
    let endless = Limits::default()
        .max_wait(Duration::MAX)
        .heartbeat_interval(Duration::MAX)
        .transfer_timeout(Duration::MAX);
    let patient = Serving::start(feed_of(&database).limits(endless));
    assert_eq!(patient.get("/orders?timeout=1").body, b"[]");
    for (timeout, least) in [("100", 100), ("999999999999999999999", 200)] {
        let begun = Instant::now();
        let page = serving.get(&format!("/orders?timeout={timeout}"));
        assert_eq!(page.body, b"[]");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(least), "{waited:?}");
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }
}

#[test]
fn waiters_over_the_limit_get_503_with_retry_after() {
    let database = Arc::new(Memory::create());
    let (feed, told, _) = watched_feed(&database);
    let serving = Serving::start(feed.limits(Limits::default().max_waiters(1)));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| serving.get(TARGET));
        (0..2).for_each(|_| told.recv().unwrap());
        let refused = serving.get(TARGET);
        refused.problem(503);
        assert_eq!(refused.header("retry-after"), Some("5"));
        let stream = [("accept", "text/event-stream")];
        let later = serving.get_with("/orders", &stream);
        assert_eq!(later.status, 200);
        assert!(later.body.starts_with(b": too many clients wait already"));
        // Requests that do not wait are served.
        assert_eq!(serving.get("/orders").orders(), [0; 0]);
        ship(&mut database.connect(), 1);
        assert_eq!(waiting.join().unwrap().orders(), [1]);
    });
}

#[test]
fn a_closing_feed_answers_all_waiters() {
    let database = Arc::new(Memory::create());
    let (feed, told, _) = watched_feed(&database);
    let closing = feed.shutdown_handle();
    let serving = Serving::start(feed);
    let (_, mut stream) = serving.lines("/orders", &[("accept", "text/event-stream")]);
    assert!(stream.next().unwrap().starts_with("retry: "));
    assert_eq!(stream.next().unwrap(), "");
    assert_eq!(stream.next().unwrap(), ":");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| serving.get(TARGET));
        // The stream and the waiter share one watcher.
        (0..3).for_each(|_| told.recv().unwrap());
        closing.close();
        assert_eq!(waiting.join().unwrap().body, b"[]");
    });
    assert_eq!(stream.collect::<Vec<_>>(), [""]);
    // Pages are served until the end.
    ship(&mut database.connect(), 1);
    assert_eq!(serving.get(TARGET).orders(), [1]);
    assert_eq!(
        serving.get("/orders?after=1&timeout=30000").orders(),
        [0; 0]
    );
}

/// A fast publisher overtakes a slow one that has not committed when the feed polls again.
fn an_open_publisher_hides_only_later_messages<D: Server + Send + 'static>() {
    let database = Arc::new(D::create());
    let [mut before, mut slow, mut quick] = [(); 3].map(|()| database.connect());
    let serving = Serving::start(feed_of(&database));
    ship(&mut before, 1);
    assert_eq!(serving.get("/orders").orders(), [1]);
    slow.begin().unwrap();
    ship(&mut slow, 2);
    ship(&mut quick, 3);
    for _ in 0..3 {
        assert_eq!(serving.get("/orders").orders(), [1]);
        assert_eq!(serving.get("/orders?after=1&timeout=1").orders(), [0; 0]);
    }
    slow.commit().unwrap();
    assert_eq!(
        serving.get("/orders?after=1&timeout=30000").orders(),
        [2, 3]
    );
}

#[test]
fn an_open_publisher_hides_only_later_messages_on_postgres() {
    an_open_publisher_hides_only_later_messages::<Postgres>();
}

#[test]
fn an_open_publisher_hides_only_later_messages_on_mariadb() {
    an_open_publisher_hides_only_later_messages::<Mariadb>();
}

const CLIENTS: usize = 500;

#[test]
fn five_hundred_clients_wait_with_few_threads_and_connections() {
    let database = Arc::new(PooledPostgres::create());
    let (feed, told, openings) = watched_feed(&database);
    let serving = Serving::start(feed);
    let address = serving.address;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            runtime.spawn(async move {
                let mut connection = TcpStream::connect(address).await.unwrap();
                let request = request(TARGET, &[]);
                connection.write_all(request.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                connection.read_to_end(&mut answer).await.unwrap();
                (Response::parse(&answer).orders(), Instant::now())
            })
        })
        .collect();
    let dispatcher = thread::spawn(move || {
        // By then, each waiter has read or is about to.
        (0..CLIENTS).for_each(|_| told.recv().unwrap());
        let threads = serving.threads();
        ship(&mut database.connect(), 1);
        (Instant::now(), threads, serving)
    });
    let answers: Vec<_> = runtime.block_on(async {
        let mut answers = Vec::new();
        for client in clients {
            answers.push(client.await.unwrap());
        }
        answers
    });
    let (dispatched, threads, _serving) = dispatcher.join().unwrap();
    let slowest = answers
        .iter()
        .map(|(_, at)| at.duration_since(dispatched))
        .max();
    let open = openings.most.load(Ordering::SeqCst);
    eprintln!(
        "{CLIENTS} clients: {open} connections, {threads} threads, answered within {slowest:?}"
    );
    assert!(answers.iter().all(|(orders, _)| orders == &[1]));
    assert!(open <= 4, "{open} connections at once");
    assert!(threads <= 20, "{threads} threads");
}
