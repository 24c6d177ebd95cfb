//! Publishers whose transactions overlap, one step after the other.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use persisting_message_bus::{
    Error, HandlerError, Message, MessageConsumer, MessageDispatcher, MessageSource, ResetTo,
    Sightings, Transactions,
};
use persisting_message_bus_tests::databases::Server;
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{Ledger, OrderPlaced, Orders};

use super::{consume, pay, place};

/// Rolls a transaction back.
struct RollBack;

impl From<Error> for RollBack {
    fn from(error: Error) -> Self {
        panic!("{error:?}");
    }
}

/// Dispatches in a savepoint that is rolled back.
fn place_and_roll_back<D: Server>(bus: &mut D::Bus, order: u64) {
    let rolled_back = bus.in_transaction(|bus| {
        place(bus, order)?;
        Err::<(), _>(RollBack)
    });
    assert!(rolled_back.is_err());
}

pub fn a_late_commit_of_the_lower_position_is_not_skipped<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    place(&mut one, 0).unwrap();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    assert_eq!(consume(&mut consumer), [0]);
    one.commit().unwrap();
    assert_eq!(consume(&mut consumer), [1, 2]);
}

pub fn a_first_message_is_waited_for<D: Server>() {
    let database = D::create();
    let [mut one, mut consumer] = [(); 2].map(|()| database.connect());
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    pay(&mut consumer, 1).unwrap();
    assert!(
        consumer
            .safe_head("orders")
            .is_ok_and(|head| head.get() == 0)
    );
    one.commit().unwrap();
    assert_eq!(consume(&mut consumer), [1]);
}

pub fn a_rolled_back_position_does_not_stall<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    place(&mut one, 0).unwrap();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    one.roll_back().unwrap();
    assert_eq!(consume(&mut consumer), [0, 2]);
}

pub fn a_rolled_back_savepoint_keeps_what_was_before_it<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place_and_roll_back::<D>(&mut one, 2);
    place(&mut other, 3).unwrap();
    assert!(consume(&mut consumer).is_empty());
    one.commit().unwrap();
    assert_eq!(consume(&mut consumer), [1, 3]);
}

pub fn a_publisher_goes_on_behind_a_rolled_back_savepoint<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    place(&mut other, 0).unwrap();
    one.begin().unwrap();
    place_and_roll_back::<D>(&mut one, 1);
    place(&mut one, 2).unwrap();
    place(&mut other, 3).unwrap();
    assert_eq!(consume(&mut consumer), [0]);
    one.commit().unwrap();
    assert_eq!(consume(&mut consumer), [2, 3]);
}

pub fn many_open_publishers_commit_in_any_order<D: Server>() {
    let mut random = fastrand::Rng::with_seed(seed());
    let database = D::create();
    let mut consumer = database.connect();
    let mut open: Vec<_> = (0..12).map(|_| database.connect()).collect();
    let mut committed = Vec::new();
    for (order, publisher) in (0..).zip(&mut open) {
        publisher.begin().unwrap();
        place(publisher, order).unwrap();
        committed.push(order);
    }
    let mut publishers: Vec<_> = (0..).zip(open).collect();
    random.shuffle(&mut publishers);
    let mut delivered = Vec::new();
    for (order, mut publisher) in publishers {
        if random.u8(0..3) == 0 {
            publisher.roll_back().unwrap();
            committed.retain(|committed| *committed != order);
        } else {
            publisher.commit().unwrap();
        }
        delivered.extend(consume(&mut consumer));
    }
    assert_eq!(delivered, committed);
}

pub fn many_messages_in_a_transaction_hold_back_once<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    one.begin().unwrap();
    for order in 0..200 {
        place(&mut one, order).unwrap();
    }
    assert!(D::fences(&mut other) <= 2, "a fence for each message");
    place(&mut other, 200).unwrap();
    assert!(consume(&mut consumer).is_empty());
    one.commit().unwrap();
    assert_eq!(consume(&mut consumer), (0..=200).collect::<Vec<_>>());
    assert_eq!(D::fences(&mut other), 0);
}

pub fn another_topics_publisher_does_not_stall<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    one.begin().unwrap();
    pay(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    assert_eq!(consume(&mut consumer), [2]);
    one.commit().unwrap();
}

pub fn a_foreign_transaction_does_not_stall<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    hold_foreign_transaction::<D>(&mut one);
    place(&mut other, 1).unwrap();
    assert_eq!(consume(&mut consumer), [1]);
    one.commit().unwrap();
}

/// Writes to a table of the application and does not commit.
fn hold_foreign_transaction<D: Server>(connection: &mut D::Bus) {
    connection
        .batch_execute("CREATE TABLE customers (id INTEGER)")
        .unwrap();
    connection.begin().unwrap();
    connection
        .batch_execute("INSERT INTO customers VALUES (1)")
        .unwrap();
}

/// The figures are printed, not asserted: a minute of both with `FOREIGN_SECONDS=60`.
pub fn a_foreign_transaction_held_open_makes_delivery_no_slower<D: Server>() {
    let seconds = std::env::var("FOREIGN_SECONDS").map_or(0.5, |text| text.parse().unwrap());
    let database = D::create();
    let [mut foreign, mut publisher, mut consumer] = [(); 3].map(|()| database.connect());
    let mut median = || {
        let begun = Instant::now();
        let mut latencies = Vec::new();
        while begun.elapsed() < Duration::from_secs_f64(seconds) {
            let dispatched = Instant::now();
            place(&mut publisher, 1).unwrap();
            assert_eq!(consume(&mut consumer), [1]);
            latencies.push(dispatched.elapsed());
        }
        latencies.sort_unstable();
        latencies[latencies.len() / 2]
    };
    let without = median();
    hold_foreign_transaction::<D>(&mut foreign);
    let with = median();
    println!("median from dispatch to handler: {without:?} without, {with:?} with it");
    foreign.commit().unwrap();
}

pub fn publishers_do_not_take_turns<D: Server>() {
    let database = D::create();
    let mut publishers: Vec<_> = (0..16).map(|_| database.connect()).collect();
    place(&mut publishers[0], 0).unwrap();
    // If one waited for another, this would never come to its end.
    for (order, publisher) in (1..).zip(&mut publishers) {
        publisher.begin().unwrap();
        place(publisher, order).unwrap();
    }
    for publisher in publishers.iter_mut().rev() {
        publisher.commit().unwrap();
    }
    assert_eq!(consume(&mut publishers[0]), (0..=16).collect::<Vec<_>>());
}

pub fn several_topics_wait_for_each_other<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut bus] = [(); 3].map(|()| database.connect());
    let ship = |bus: &mut D::Bus, order| {
        let shipped = persisting_message_bus_tests::topics::OrderShipped { order };
        MessageDispatcher::<Orders>::new().dispatch(bus, &shipped)
    };
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<Ledger>::external("ledger", |message: &Message<Ledger>| {
            seen.push(match message.payload() {
                Ledger::Shipped(shipped) => shipped.order,
                Ledger::Cancelled(cancelled) => cancelled.order,
                Ledger::Paid(paid) => paid.order,
            });
            Ok(())
        });
    ship(&mut other, 0).unwrap();
    pay(&mut other, 1).unwrap();
    one.begin().unwrap();
    pay(&mut one, 2).unwrap();
    ship(&mut other, 3).unwrap();
    pay(&mut other, 4).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    one.commit().unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
    drop(consumer);
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

pub fn a_reset_to_the_end_skips_nobody<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut bus] = [(); 3].map(|()| database.connect());
    place(&mut other, 0).unwrap();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    // It may say that it cannot tell; it may not pass the open one.
    match consumer.reset(&mut bus, ResetTo::End) {
        Ok(()) => {
            one.commit().unwrap();
            assert_eq!(consume(&mut bus), [1, 2]);
        }
        Err(error) => {
            assert!(error.is_retryable(), "{error:?}");
            one.commit().unwrap();
            consumer.reset(&mut bus, ResetTo::End).unwrap();
            assert!(consume(&mut bus).is_empty());
        }
    }
}

fn ignore(_message: &Message<Orders>) -> Result<(), HandlerError> {
    Ok(())
}

pub fn a_dispatch_on_two_topics_holds_back_both<D: Server>() {
    let database = D::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    one.begin().unwrap();
    pay(&mut one, 1).unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    pay(&mut other, 2).unwrap();
    for topic in ["orders", "payments"] {
        assert_eq!(consumer.safe_head(topic).unwrap().get(), 0, "{topic}");
    }
    one.commit().unwrap();
    assert_eq!(consume(&mut consumer), [1, 2]);
}

pub fn publishers_may_choose_their_isolation<D: Server>() {
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let database = D::create();
        let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
        place(&mut other, 0).unwrap();
        D::begin_with(&mut one, isolation);
        // Its snapshot is of now.
        one.batch_execute("SELECT count(*) FROM public_messages")
            .unwrap();
        place(&mut other, 1).unwrap();
        place(&mut one, 2).unwrap();
        let batch = (3..6).map(OrderPlaced::number);
        MessageDispatcher::<Orders>::new()
            .dispatch_batch(&mut one, batch)
            .unwrap();
        place(&mut other, 6).unwrap();
        assert_eq!(consume(&mut consumer), [0, 1], "{isolation}");
        one.commit().unwrap();
        assert_eq!(consume(&mut consumer), [2, 3, 4, 5, 6], "{isolation}");
    }
}

pub fn a_snapshot_that_is_too_old_is_not_read<D: Server>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1).unwrap();
    D::begin_with(&mut bus, "REPEATABLE READ");
    let error = bus
        .horizon("orders", &mut Sightings::default())
        .unwrap_err();
    assert!(error.to_string().contains("orders"), "{error}");
    assert!(format!("{error:#}").contains("transaction"), "{error:#}");
    bus.roll_back().unwrap();
    assert_eq!(consume(&mut bus), [1]);
}
