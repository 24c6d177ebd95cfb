use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Retry, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};

use super::{place, runner, state, wait_until};

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

pub fn a_connection_that_cannot_be_had_is_tried_again<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..3);
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        Ok(sender.send(message.payload().order())?)
    });
    let tries = AtomicU32::new(0);
    let running = Runner::new(move || match tries.fetch_add(1, Ordering::Relaxed) {
        // More often than a message is attempted.
        0..20 => Err(io::Error::other("away")),
        _ => Ok(database.connect()),
    })
    .retry(
        Retry::default()
            .base(Duration::from_millis(1))
            .cap(Duration::from_millis(2)),
    )
    .consumer(consumer)
    .start();
    assert!(seen.iter().take(2).eq([1, 2]));
    running.stop_within(MINUTE).unwrap();
}
