//! Publishers whose transactions overlap, step by step.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::backend::{MessageSource, SlotObservations};
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher, StartAt};
use persisting_message_bus_tests::databases::Server;
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{Ledger, OrderPlaced, OrderShipped, Orders, Payments};

use super::{Reader, pay, place};

/// The error that rolls a transaction back.
struct RollBack;

impl From<Error> for RollBack {
    fn from(error: Error) -> Self {
        panic!("{error:?}");
    }
}

/// Dispatches in a savepoint and rolls it back.
fn place_and_roll_back<D: Server>(bus: &mut D::Bus, order: u64) {
    let rolled_back = bus.in_transaction(|bus| {
        place(bus, order)?;
        Err::<(), _>(RollBack)
    });
    assert!(rolled_back.is_err());
}

/// The trace of the models `fence`, control *no lock*, and `slots`, control *no slots*.
pub fn a_late_commit_of_the_lower_position_is_not_skipped<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
}

pub fn an_uncommitted_first_message_is_waited_for<D: Server>() {
    let database = D::create();
    let mut one = database.connect();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    pay(&mut database.connect(), 1).unwrap();
    let mut reader = Reader::on(database);
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), [1]);
}

/// The model `slots`, control *held slots do not count*, for a reader that has observed the slot
/// free.
pub fn a_publisher_that_begins_after_a_read_is_waited_for<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    place(&mut other, 1).unwrap();
    assert_eq!(reader.read(), [1]);
    one.begin().unwrap();
    place(&mut one, 2).unwrap();
    place(&mut other, 3).unwrap();
    for _ in 0..3 {
        assert!(reader.read().is_empty());
    }
    one.commit().unwrap();
    assert_eq!(reader.read(), [2, 3]);
}

/// The trace of the model `slots`, controls *held slots do not count* and *unseen slots do not
/// count*.
pub fn a_new_reader_waits_for_open_publishers<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    reader = Reader::on(reader.database);
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
}

/// At least one publisher is in flight at every moment.
pub fn overlapping_publishers_do_not_starve_a_reader<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    let mut delivered = Vec::new();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    for order in 2..20 {
        other.begin().unwrap();
        place(&mut other, order).unwrap();
        one.commit().unwrap();
        std::mem::swap(&mut one, &mut other);
        delivered.extend(reader.read());
        // The reader has everything that was committed before its last read but one.
        assert!(delivered.len() as u64 + 3 > order, "{delivered:?}");
    }
    one.commit().unwrap();
    delivered.extend(reader.read());
    assert_eq!(delivered, (1..20).collect::<Vec<_>>());
}

pub fn a_rolled_back_position_does_not_stall<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    one.rollback().unwrap();
    assert_eq!(reader.read(), [2]);
}

pub fn a_rolled_back_savepoint_keeps_earlier_messages<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place_and_roll_back::<D>(&mut one, 2);
    place(&mut other, 3).unwrap();
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), [1, 3]);
}

/// The trace of the model `fence`, control *setting outlives savepoint*.
pub fn a_publisher_stays_visible_after_a_rolled_back_savepoint<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    place_and_roll_back::<D>(&mut one, 1);
    place(&mut one, 2).unwrap();
    place(&mut other, 3).unwrap();
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), [2, 3]);
}

pub fn many_open_publishers_commit_in_any_order<D: Server>() {
    let mut random = fastrand::Rng::with_seed(seed());
    let (mut reader, _) = Reader::<D>::create();
    let mut open: Vec<_> = (0..12).map(|_| reader.database.connect()).collect();
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
            publisher.rollback().unwrap();
            committed.retain(|committed| *committed != order);
        } else {
            publisher.commit().unwrap();
        }
        delivered.extend(reader.read());
    }
    assert_eq!(delivered, committed);
}

pub fn many_messages_in_a_transaction_hold_one_fence<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    for order in 0..200 {
        place(&mut one, order).unwrap();
    }
    assert_eq!(D::fences(&mut other), 1);
    place(&mut other, 200).unwrap();
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), (0..=200).collect::<Vec<_>>());
    assert_eq!(D::fences(&mut other), 0);
}

pub fn a_publisher_on_another_topic_does_not_stall<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    one.begin().unwrap();
    pay(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    assert_eq!(reader.read(), [2]);
    one.commit().unwrap();
}

pub fn a_foreign_transaction_does_not_stall<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    hold_foreign_transaction::<D>(&mut one);
    place(&mut other, 1).unwrap();
    assert_eq!(reader.read(), [1]);
    one.commit().unwrap();
}

/// Writes to a table of the application and leaves the transaction open.
fn hold_foreign_transaction<D: Server>(connection: &mut D::Bus) {
    connection
        .batch_execute("CREATE TABLE customers (id INTEGER)")
        .unwrap();
    connection.begin().unwrap();
    connection
        .batch_execute("INSERT INTO customers VALUES (1)")
        .unwrap();
}

/// Prints the figures and asserts nothing about them. `FOREIGN_SECONDS=60` measures a minute of
/// each.
pub fn delivery_is_measured_while_a_foreign_transaction_is_open<D: Server>() {
    let seconds = std::env::var("FOREIGN_SECONDS").map_or(0.5, |text| text.parse().unwrap());
    let (mut reader, [mut foreign, mut publisher]) = Reader::<D>::create();
    let mut median = || {
        let begun = Instant::now();
        let mut latencies = Vec::new();
        while begun.elapsed() < Duration::from_secs_f64(seconds) {
            let dispatched = Instant::now();
            place(&mut publisher, 1).unwrap();
            assert_eq!(reader.read(), [1]);
            latencies.push(dispatched.elapsed());
        }
        latencies.sort_unstable();
        latencies[latencies.len() / 2]
    };
    let without = median();
    hold_foreign_transaction::<D>(&mut foreign);
    let with = median();
    println!(
        "median from dispatch to handler: {without:?} without the transaction, {with:?} with it"
    );
    foreign.commit().unwrap();
}

pub fn publishers_do_not_wait_for_each_other<D: Server>() {
    let (mut reader, _) = Reader::<D>::create();
    let mut publishers: Vec<_> = (0..16).map(|_| reader.database.connect()).collect();
    // If one publisher waited for another, this would never end.
    for (order, publisher) in (0..).zip(&mut publishers) {
        publisher.begin().unwrap();
        place(publisher, order).unwrap();
    }
    assert!(reader.read().is_empty());
    for publisher in publishers.iter_mut().rev() {
        publisher.commit().unwrap();
    }
    assert_eq!(reader.read(), (0..16).collect::<Vec<_>>());
}

pub fn several_topics_wait_for_each_other<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    let ship = |bus: &mut D::Bus, order| {
        MessageDispatcher::<Orders>::new().dispatch(bus, &OrderShipped { order })
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
    ship(&mut other, 1).unwrap();
    assert_eq!(consumer.handle_page(&mut reader.bus).unwrap(), 2);
    one.begin().unwrap();
    pay(&mut one, 2).unwrap();
    ship(&mut other, 3).unwrap();
    pay(&mut other, 4).unwrap();
    assert_eq!(consumer.handle_page(&mut reader.bus).unwrap(), 0);
    one.commit().unwrap();
    assert_eq!(consumer.handle_page(&mut reader.bus).unwrap(), 3);
    drop(consumer);
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

pub fn a_reset_to_the_end_skips_no_open_publisher<D: Server>() {
    for has_looked_before in [true, false] {
        let (mut reader, [mut one, mut other]) = Reader::<D>::create();
        if !has_looked_before {
            reader = Reader::on(reader.database);
        }
        one.begin().unwrap();
        place(&mut one, 1).unwrap();
        place(&mut other, 2).unwrap();
        // The reset may fail because the end is not known yet. It must not pass the open publisher.
        let reset = reader.consumer.reset(&mut reader.bus, StartAt::End);
        one.commit().unwrap();
        match reset {
            Ok(()) => assert_eq!(reader.read(), [1, 2]),
            Err(error) => {
                assert!(error.is_retryable() && !has_looked_before, "{error:?}");
                reader
                    .consumer
                    .reset(&mut reader.bus, StartAt::End)
                    .unwrap();
                assert!(reader.read().is_empty());
            }
        }
    }
}

pub fn a_dispatch_on_two_topics_holds_back_both<D: Server>() {
    let (mut reader, [mut one, mut other]) = Reader::<D>::create();
    let mut paid = 0;
    let mut payments = MessageConsumer::<Payments>::external("payments", |_: &Message<_>| {
        paid += 1;
        Ok(())
    });
    assert_eq!(payments.handle_page(&mut reader.bus).unwrap(), 1);
    one.begin().unwrap();
    pay(&mut one, 1).unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    pay(&mut other, 2).unwrap();
    assert!(reader.read().is_empty());
    assert_eq!(payments.handle_page(&mut reader.bus).unwrap(), 0);
    one.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
    assert_eq!(payments.handle_page(&mut reader.bus).unwrap(), 2);
}

pub fn publishers_can_choose_their_isolation_level<D: Server>() {
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let (mut reader, [mut one, mut other]) = Reader::<D>::create();
        D::begin_with(&mut one, isolation);
        // This statement takes the snapshot now.
        one.batch_execute("SELECT count(*) FROM message_consumer_state WHERE consumer = 'x'")
            .unwrap();
        place(&mut other, 1).unwrap();
        assert_eq!(reader.read(), [1], "{isolation}");
        place(&mut one, 2).unwrap();
        let batch = (3..6).map(OrderPlaced::number);
        MessageDispatcher::<Orders>::new()
            .dispatch_batch(&mut one, batch)
            .unwrap();
        place(&mut other, 6).unwrap();
        assert!(reader.read().is_empty(), "{isolation}");
        one.commit().unwrap();
        assert_eq!(reader.read(), [2, 3, 4, 5, 6], "{isolation}");
    }
}

pub fn an_old_snapshot_is_not_read<D: Server>() {
    let (mut reader, [mut one, _]) = Reader::<D>::create();
    D::begin_with(&mut one, "REPEATABLE READ");
    let error = one
        .high_water_mark("orders", &mut SlotObservations::default())
        .unwrap_err();
    assert!(error.to_string().contains("orders"), "{error}");
    assert!(format!("{error:#}").contains("transaction"), "{error:#}");
    one.rollback().unwrap();
    place(&mut one, 1).unwrap();
    assert_eq!(reader.read(), [1]);
}
