//! Relays from one database to another.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{
    MessageRepository, MessageSource, PageRequest, RawMessage, TypeFilter,
};
use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
use persisting_message_bus::{
    Headers, Message, MessageBus, MessageConsumer, MessageDispatcher, OnDuplicate, Position,
    RetryPolicy, Runner, StartAt, relay,
};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};
use persisting_message_bus_tests::topics::parcels::{ParcelSent, Parcels, VanLeft};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments, retired};
use persisting_message_bus_tests::waiting::wait_until;

macro_rules! relays_between {
    ($($name:ident: $from:ident to $to:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            relays_between! { @cases $from $to
                messages_arrive_unchanged,
                keys_arrive_unchanged,
                unknown_messages_are_relayed_too,
                messages_of_retired_types_are_relayed_too,
                relaying_twice_changes_nothing,
                two_relays_at_once_change_nothing,
                the_lag_of_a_relay_shows_in_its_status,
                relayed_messages_are_consumed,
                a_relay_runs_while_others_publish,
            }
        }
    )*};
    (@cases $from:ident $to:ident $($case:ident),* $(,)?) => {$(
        #[test]
        fn $case() {
            super::$case::<$from, $to>();
        }
    )*};
}

relays_between! {
    memory_to_memory: Memory to Memory,
    sqlite_to_postgres: Sqlite to Postgres,
    postgres_to_mariadb: Postgres to Mariadb,
    mariadb_to_sqlite: Mariadb to Sqlite,
}

/// Creates both ends, with `orders` messages in the first one.
fn ends<F: Database, T: Database>(orders: u64) -> (F, T) {
    let (from, to) = (F::create(), T::create());
    place(&mut from.connect(), 0..orders);
    (from, to)
}

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    let batch = numbers.map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, batch)
        .unwrap();
}

fn both<F: Database, T: Database>(from: &F, to: &T) -> MessageBus<F::Bus, T::Bus> {
    MessageBus::new(from.connect(), to.connect())
}

/// Relays all new messages, and returns their number.
fn carry<F: Database, T: Database>(from: &F, to: &T) -> usize {
    let mut relay = relay::<Orders, T::Bus>("to centre").page_size(7);
    let mut both = both(from, to);
    let mut carried = 0;
    loop {
        match relay.handle_page(&mut both).unwrap() {
            0 => return carried,
            more => carried += more,
        }
    }
}

fn stored(bus: &mut impl MessageSource) -> Vec<RawMessage> {
    let request = PageRequest {
        topic: "orders",
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX,
    };
    let mut messages = Vec::new();
    bus.read_page(&request, &mut |message| {
        messages.push(message.to_raw());
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    messages
}

fn messages_arrive_unchanged<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(20);
    let mut headers = Headers::new().with("tenant", "acme \"é\"");
    headers.set_correlation_id("request 4711");
    MessageDispatcher::<Orders>::new()
        .dispatch_with(&mut from.connect(), &OrderPlaced::number(20), headers)
        .unwrap();
    // Messages of another topic are not relayed.
    MessageDispatcher::<Payments>::new()
        .dispatch(&mut from.connect(), &Paid { order: 1 })
        .unwrap();
    assert_eq!(carry(&from, &to), 21);
    let arrived = stored(&mut to.connect());
    assert_eq!(arrived, stored(&mut from.connect()));
    assert_eq!(arrived[20].correlation_id.as_deref(), Some("request 4711"));
}

fn keys_arrive_unchanged<F: Database, T: Database>() {
    let (from, to) = (F::create(), T::create());
    let left = VanLeft {
        parcels: Vec::new(),
    };
    let mut batch: Vec<Parcels> = vec![left.into()];
    batch.extend(["1", "2", "1"].map(|key| ParcelSent::with_key(key).into()));
    MessageDispatcher::<Parcels>::new()
        .dispatch_batch(&mut from.connect(), &batch)
        .unwrap();
    let mut relay = relay::<Parcels, T::Bus>("to centre");
    assert_eq!(relay.handle_page(&mut both(&from, &to)).unwrap(), 4);
    let slots = to.key_slots();
    assert_eq!(slots, from.key_slots());
    assert!(
        slots[0] == -1 && slots[1] >= 0 && slots[1] == slots[3],
        "{slots:?}"
    );
    let keys = |database: &T| {
        let mut keys = Vec::new();
        let mut all = MessageConsumer::<Parcels>::external("all", |it: &Message<Parcels>| {
            keys.push(it.key().map(String::from));
            Ok(())
        });
        all.handle_new_messages(&mut database.connect()).unwrap();
        drop(all);
        keys
    };
    let expected = [None, Some("1"), Some("2"), Some("1")];
    assert!(keys(&to).iter().map(Option::as_deref).eq(expected));
}

fn unknown_messages_are_relayed_too<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(1);
    let mut newer = stored(&mut from.connect()).remove(0);
    newer.message_id = uuid::Uuid::now_v7();
    newer.message_type = "OrderArchived".into();
    newer.message_version = 7;
    let mut bus = from.connect();
    bus.persist(&[newer], OnDuplicate::Fail).unwrap();
    assert_eq!(carry(&from, &to), 2);
    assert_eq!(stored(&mut to.connect()), stored(&mut from.connect()));
}

fn messages_of_retired_types_are_relayed_too<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(1);
    let mut coupon = stored(&mut from.connect()).remove(0);
    coupon.message_id = uuid::Uuid::now_v7();
    coupon.message_type = "CouponUsed".into();
    let mut bus = from.connect();
    bus.persist(&[coupon], OnDuplicate::Fail).unwrap();
    let mut relay = relay::<retired::Orders, T::Bus>("to centre");
    assert_eq!(relay.handle_page(&mut both(&from, &to)).unwrap(), 2);
    assert_eq!(stored(&mut to.connect()), stored(&mut from.connect()));
}

fn relaying_twice_changes_nothing<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(20);
    carry(&from, &to);
    let mut relay = relay::<Orders, T::Bus>("to centre");
    relay.reset(&mut both(&from, &to), StartAt::Start).unwrap();
    assert_eq!(carry(&from, &to), 20);
    assert_eq!(carry(&from, &to), 0);
    assert_eq!(stored(&mut to.connect()), stored(&mut from.connect()));
}

fn two_relays_at_once_change_nothing<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(100);
    thread::scope(|scope| {
        for name in ["one", "one", "other"] {
            let (from, to) = (&from, &to);
            scope.spawn(move || {
                let mut relay = relay::<Orders, T::Bus>(name).page_size(3);
                let mut both = both(from, to);
                loop {
                    match relay.handle_page(&mut both) {
                        Ok(0) => return,
                        Ok(_) => {}
                        Err(error) => {
                            // A deadlock fails a page, which is then repeated.
                            let text = format!("{error:#}");
                            let is_known = error.is_retryable() || text.contains("try again");
                            assert!(is_known, "{error:?}");
                        }
                    }
                }
            });
        }
    });
    let ids = |bus: &mut T::Bus| -> BTreeSet<_> {
        let messages = stored(bus).into_iter();
        messages.map(|message| message.message_id).collect()
    };
    let arrived = stored(&mut to.connect());
    assert_eq!(arrived.len(), 100);
    assert_eq!(ids(&mut to.connect()).len(), 100);
}

fn the_lag_of_a_relay_shows_in_its_status<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(5);
    let mut both = both(&from, &to);
    let status = ConsumerStatus::read(
        &mut both,
        ConsumerKey {
            consumer: "to centre",
            topic: "orders",
        },
    )
    .unwrap();
    assert_eq!(status.lag_messages, 5);
    carry(&from, &to);
    let status = ConsumerStatus::read(
        &mut both,
        ConsumerKey {
            consumer: "to centre",
            topic: "orders",
        },
    )
    .unwrap();
    assert_eq!(status.condition, ConsumerCondition::CaughtUp);
    assert_eq!(status.lag_messages, 0);
}

fn relayed_messages_are_consumed<F: Database, T: Database>() {
    let (from, to) = ends::<F, T>(5);
    carry(&from, &to);
    assert_eq!(consume(&mut to.connect()), [0, 1, 2, 3, 4]);
    place(&mut from.connect(), 5..7);
    place(&mut to.connect(), 7..8);
    carry(&from, &to);
    assert_eq!(consume(&mut to.connect()), [7, 5, 6]);
}

fn a_relay_runs_while_others_publish<F, T>()
where
    F: Database + Send + 'static,
    T: Database + Send + 'static,
{
    let ends = Arc::new(ends::<F, T>(0));
    let connections = Arc::clone(&ends);
    let relay = relay::<Orders, T::Bus>("to centre").page_size(50);
    let retry = RetryPolicy::default().initial_delay(Duration::from_millis(5));
    let running = Runner::new(move || Ok::<_, io::Error>(both(&connections.0, &connections.1)))
        .idle_interval(Duration::from_millis(50))
        .consumer(relay.retry(retry))
        .start();
    thread::scope(|scope| {
        for publisher in 0..3 {
            let from = &ends.0;
            scope.spawn(move || {
                let mut bus = from.connect();
                for number in 0..50 {
                    let number = 1_000 * publisher + number;
                    place(&mut bus, number..number + 1);
                }
            });
        }
    });
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    let mut bus = ends.1.connect();
    let mut handled = 0;
    wait_until("everything is handled", || {
        handled += consumer.handle_page(&mut bus).unwrap();
        handled >= 150
    });
    drop(consumer);
    let ended = running.stop_within(Duration::from_secs(60)).unwrap();
    assert!(ended[0].error.is_none(), "{ended:?}");
    assert_eq!(stored(&mut bus), stored(&mut ends.0.connect()));
    assert_eq!(seen.len(), 150);
}
