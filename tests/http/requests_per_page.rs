//! The number of requests that a consumer of a feed sends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use diesel::SqliteConnection;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::{EventSet, MessageConsumer, MessageDispatcher};
use persisting_message_bus_http::Feed;
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, Orders};

use super::replaced::{Joined, Seen, feed_at, join, recording, taken};
use super::resuming::ship;
use super::serving::Serving;

/// A served feed that counts its requests.
struct Counted {
    serving: Serving,
    requests: Arc<AtomicUsize>,
}

impl Counted {
    fn start(feed: Feed) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let count = from_fn(move |request: Request, next: Next| {
            counted.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        });
        Self {
            serving: Serving::start_router(feed.router().layer(count)),
            requests,
        }
    }

    /// Returns the number of requests since the last call.
    fn count(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

#[test]
fn a_page_costs_one_request() {
    requests_of(recording::<Orders>);
    requests_of(recording::<Closed>);
}

/// Messages that the event set leaves out are at the end of every page and of the topic.
fn publish(bus: &mut SqliteConnection, messages: u64) {
    for order in 0..messages {
        ship(bus, order);
        if order % 5 == 4 {
            let placed = OrderPlaced::number(order);
            let orders = MessageDispatcher::<Orders>::new();
            orders.dispatch(bus, &placed).unwrap();
        }
    }
}

fn requests_of<S, H>(recording: impl Fn(&Seen) -> MessageConsumer<S, H>)
where
    S: EventSet,
    H: PageHandler<S, Joined>,
{
    let (database, state) = (Sqlite::create(), Sqlite::create());
    let mut publisher = database.connect();
    let counted = Counted::start(feed_at(&Arc::new(Mutex::new(database.path()))));
    let seen = Seen::default();
    let mut bus = join(counted.serving.url(), &state);
    let mut consumer = recording(&seen).page_size(5);
    // The first time, without an anchor, and then with one.
    for _ in 0..2 {
        publish(&mut publisher, 5);
        consumer.handle_new_messages(&mut bus).unwrap();
        let few = taken(&seen).len();
        let of_few = counted.count();
        publish(&mut publisher, 50);
        consumer.handle_new_messages(&mut bus).unwrap();
        let many = taken(&seen).len();
        let of_many = counted.count();
        let more_pages = many.div_ceil(5) - few.div_ceil(5);
        // An event set needs a page to find that nothing follows.
        let most = of_few + more_pages + 1;
        assert!(of_many <= most, "{of_few} for {few}, {of_many} for {many}");
    }
    // An idle poll reads the head only.
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(counted.count(), 1);
    // A new process, with an anchor: the head, the page, and the head again.
    publish(&mut publisher, 3);
    let mut bus = join(counted.serving.url(), &state);
    let mut consumer = recording(&seen);
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(taken(&seen).len(), 3);
    assert_eq!(counted.count(), 3);
    assert_eq!(
        bus.current_head("orders").unwrap(),
        bus.last_position().unwrap()
    );
}
