use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, RetryPolicy, Runner,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};
use persisting_message_bus_tests::waiting::wait_until;

use super::{place, quick_retry, runner, state};

const MINUTE: Duration = Duration::from_secs(60);

pub fn a_panic_is_a_failed_message<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..6);
    let (sender, seen) = channel();
    let panics = AtomicU32::new(0);
    let consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        let order = message.payload().order();
        if order == 3 && panics.fetch_add(1, Ordering::Relaxed) < 2 {
            panic!("a bug in the handler of {order}");
        }
        Ok(sender.send(order)?)
    });
    let running = runner(&database).consumer(consumer).start();
    assert!(seen.iter().take(5).eq(1..6));
    let ended = running.stop_within(MINUTE).unwrap();
    assert!(ended[0].error.is_none());
}

pub fn a_panic_rolls_its_effects_back<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..6);
    let panics = AtomicU32::new(0);
    let consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        move |bus: &mut D::Bus, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            assert!(
                order != 3 || panics.fetch_add(1, Ordering::Relaxed) == 2,
                "a bug"
            );
            Ok(())
        },
    );
    let (sender, paid) = channel();
    let reader = MessageConsumer::<Payments>::external("all", move |message: &Message<_>| {
        let Payments::Paid(paid) = message.payload();
        Ok(sender.send(paid.order)?)
    });
    let running = runner(&database)
        .consumer(consumer)
        .consumer(reader)
        .start();
    assert!(paid.iter().take(5).eq(1..6));
    running.stop_within(MINUTE).unwrap();
    assert!(paid.recv().is_err(), "an effect happened twice");
}

pub fn a_message_that_keeps_failing_stops_its_consumer_only<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..6);
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let attempted = Arc::clone(&attempts);
    let poisoned =
        MessageConsumer::<Orders>::external("poisoned", move |message: &Message<Orders>| {
            let order = message.payload().order();
            attempted.lock().unwrap().push(order);
            match order {
                3 => Err("no stock".into()),
                _ => Ok(()),
            }
        });
    let (sender, seen) = channel();
    let healthy = MessageConsumer::<Orders>::external("healthy", move |message: &Message<_>| {
        let message: &Message<Orders> = message;
        Ok(sender.send(message.payload().order())?)
    });
    let running = runner(&database)
        .consumer(poisoned)
        .consumer(healthy)
        .start();
    wait_until("three attempts", || attempts.lock().unwrap().len() == 5);
    assert!(seen.iter().take(5).eq(1..6));
    place(&mut database.connect(), 6..7);
    assert_eq!(seen.recv_timeout(MINUTE), Ok(6));

    let ended = running.stop_within(MINUTE).unwrap();
    let error = ended[0].error.as_ref().expect("the reason why it stopped");
    assert_eq!(ended[0].consumer, "poisoned");
    assert!(error.is_handler_failure(), "{error:?}");
    for part in ["poisoned", "position 3", "no stock"] {
        assert!(format!("{error:#}").contains(part), "{error:#}");
    }
    assert!(ended[1].error.is_none());
    assert_eq!(*attempts.lock().unwrap(), [1, 2, 3, 3, 3]);
    assert_eq!(state(&mut database.connect(), "poisoned"), (2, false));
}

pub fn a_failed_connection_is_retried<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..3);
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        Ok(sender.send(message.payload().order())?)
    });
    let tries = AtomicU32::new(0);
    let running = Runner::new(move || match tries.fetch_add(1, Ordering::Relaxed) {
        // More failures than a message has attempts.
        0..20 => Err(io::Error::other("away")),
        _ => Ok(database.connect()),
    })
    .retry(
        RetryPolicy::default()
            .initial_delay(Duration::from_millis(1))
            .max_delay(Duration::from_millis(2)),
    )
    .consumer(consumer)
    .start();
    assert!(seen.iter().take(2).eq([1, 2]));
    running.stop_within(MINUTE).unwrap();
}

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// Returns a consumer that refuses the third order until the gate is open, and sends the other
/// orders.
fn refusing(
    sender: Sender<u64>,
    is_open: Arc<AtomicBool>,
) -> MessageConsumer<Orders, External<Handler>> {
    let handler = move |message: &Message<Orders>| {
        let order = message.payload().order();
        if order == 3 && !is_open.load(Ordering::Relaxed) {
            return Err("no stock".into());
        }
        Ok(sender.send(order)?)
    };
    MessageConsumer::<Orders>::external("all", Box::new(handler) as Handler)
}

pub fn a_parked_message_is_handled_when_it_is_redriven<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let mut bus = database.connect();
    place(&mut bus, 1..6);
    let (sender, seen) = channel();
    let is_open = Arc::new(AtomicBool::new(false));
    let consumer = refusing(sender, Arc::clone(&is_open));
    let retry = quick_retry().on_exhausted(FailurePolicy::Park);
    let running = runner(&database).consumer(consumer.retry(retry)).start();
    assert!(seen.iter().take(4).eq([1, 2, 4, 5]));
    wait_until("it is parked", || {
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap()
            == 1
    });

    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        1
    );
    wait_until("it is parked again", || {
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap()
            == 1
    });
    is_open.store(true, Ordering::Relaxed);
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        1
    );
    assert_eq!(seen.recv_timeout(MINUTE), Ok(3));
    let ended = running.stop_within(MINUTE).unwrap();
    assert!(ended[0].error.is_none());
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        0
    );
}

pub fn a_message_is_skipped_when_its_attempts_are_exhausted<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..6);
    let (sender, seen) = channel();
    let consumer = refusing(sender, Arc::default());
    let retry = quick_retry().on_exhausted(FailurePolicy::Skip);
    let running = runner(&database).consumer(consumer.retry(retry)).start();
    assert!(seen.iter().take(4).eq([1, 2, 4, 5]));
    assert!(running.stop_within(MINUTE).unwrap()[0].error.is_none());
}

pub fn attempts_continue_in_the_next_process<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..6);
    let mut attempts = Vec::new();
    let pause = Duration::from_millis(300);
    // The first two runners are stopped as soon as the message has failed.
    for is_last in [false, false, true] {
        let (sender, attempted) = channel();
        let consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<_>| {
            let message: &Message<Orders> = message;
            sender.send(message.payload().order())?;
            match message.payload().order() {
                3 => Err("no stock".into()),
                _ => Ok(()),
            }
        });
        let retry = quick_retry()
            .initial_delay(pause)
            .max_delay(pause)
            .max_attempts(5);
        let running = runner(&database).consumer(consumer.retry(retry)).start();
        if is_last {
            attempts.extend(&attempted);
            let ended = running.join();
            let error = ended[0].error.as_ref().unwrap();
            assert_eq!(error.attempts(), Some(5), "{error:?}");
        } else {
            attempts.extend(attempted.iter().take_while(|order| *order != 3));
            attempts.push(3);
            running.stop_within(MINUTE).unwrap();
            attempts.extend(&attempted);
        }
    }
    assert_eq!(attempts, [1, 2, 3, 3, 3, 3, 3]);
}

pub fn a_paused_consumer_rests_until_it_is_resumed<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let mut bus = database.connect();
    place(&mut bus, 1..3);
    // Without a buffer, each handler waits until the test has taken its order.
    let (sender, seen) = sync_channel(0);
    let handler = move |message: &Message<Orders>| Ok(sender.send(message.payload().order())?);
    let consumer = MessageConsumer::<Orders>::external("all", Box::new(handler) as Handler);
    let running = runner(&database).consumer(consumer).start();
    assert_eq!(seen.recv_timeout(MINUTE), Ok(1));
    // While the page is handled: its consumer polls after it, and finds the pause.
    assert!(
        bus.pause(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap()
    );
    assert_eq!(seen.recv_timeout(MINUTE), Ok(2));
    wait_until("the page is stored", || {
        state(&mut bus, "all") == (2, false)
    });
    place(&mut bus, 4..6);
    running.waker().wake();
    // The rest must last. A paused consumer's poll changes nothing that a test can observe.
    assert!(seen.recv_timeout(Duration::from_millis(200)).is_err());
    assert!(
        bus.resume(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap()
    );
    assert_eq!(seen.recv_timeout(MINUTE), Ok(4));
    assert_eq!(seen.recv_timeout(MINUTE), Ok(5));
    running.stop_within(MINUTE).unwrap();
}
