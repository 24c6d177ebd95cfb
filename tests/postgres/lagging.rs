//! A proxy sends the reads of pages to a standby, and the other statements to its primary.

use std::ops::RangeInclusive;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::{Error, EventSet, Message, MessageBus, MessageConsumer, StartAt};
use persisting_message_bus_tests::forward_source;
use persisting_message_bus_tests::topics::{Closed, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::emptied::{publish, selected};
use super::failover::Cluster;

struct Split {
    primary: PgConnection,
    standby: PgConnection,
    /// Whether pages are read from the standby.
    is_split: bool,
}

impl Split {
    fn of_pages(&mut self) -> &mut PgConnection {
        if self.is_split {
            &mut self.standby
        } else {
            &mut self.primary
        }
    }
}

impl MessageSource for Split {
    forward_source! { |this| this.primary => high_water_mark, head, last_position }
    forward_source! { |this| this.of_pages() => ids_at, read_page }
}

/// The state of the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standby {
    HasAll,
    Lags,
}

impl Standby {
    /// Runs a function, whose changes the standby has afterwards, or does not have.
    fn during(self, cluster: &Cluster, run: impl FnOnce()) {
        let mut standby = cluster.connect_to_standby();
        if self == Self::Lags {
            cluster.wait_until_replicated();
            standby
                .batch_execute("SELECT pg_wal_replay_pause()")
                .unwrap();
            wait_until("the standby has paused", || {
                let state = sql::<Text>("SELECT pg_get_wal_replay_pause_state()");
                state.get_result::<String>(&mut standby).unwrap() == "paused"
            });
        }
        run();
        if self == Self::HasAll {
            cluster.wait_until_replicated();
        }
    }

    fn end(self, cluster: &Cluster) {
        if self == Self::Lags {
            let resume = "SELECT pg_wal_replay_resume()";
            cluster.connect_to_standby().batch_execute(resume).unwrap();
        }
    }
}

/// Calls a function for each state of the standby, and each type of the head: even numbers are
/// shipped orders.
fn for_each_state(read: impl Fn(&Cluster, Standby, RangeInclusive<u64>)) {
    let cluster = Cluster::start();
    let mut first = 1;
    for standby in [Standby::HasAll, Standby::Lags] {
        for number in [30, 31] {
            read(&cluster, standby, first..=first + number - 1);
            first += 60;
        }
    }
}

/// Handles ten of the orders, and publishes the rest. Reads from the standby, and then from the
/// primary. Returns the results of reading from the standby.
fn read<S, H>(
    mut consumer: MessageConsumer<S, H>,
    cluster: &Cluster,
    standby: Standby,
    orders: RangeInclusive<u64>,
) -> [Result<usize, Error>; 2]
where
    S: EventSet,
    H: PageHandler<S, MessageBus<Split, PgConnection>>,
{
    let split = Split {
        primary: cluster.connect(),
        standby: cluster.connect_to_standby(),
        is_split: false,
    };
    let mut bus = MessageBus::new(split, cluster.connect());
    let (first, last) = orders.into_inner();
    // The consumer has a cursor and an anchor.
    publish(&mut bus.state, first..=first + 9);
    consumer.handle_new_messages(&mut bus).unwrap();
    standby.during(cluster, || publish(&mut bus.state, first + 10..=last));
    bus.messages.is_split = true;
    let refused = [(); 2].map(|()| consumer.handle_new_messages(&mut bus));
    bus.messages.is_split = false;
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    standby.end(cluster);
    refused
}

#[track_caller]
fn assert_refused(reads: [Result<usize, Error>; 2]) {
    for read in reads {
        let error = read.expect_err("pages of a standby are refused");
        let text = format!("{error:#}");
        assert!(error.is_retryable(), "{text}");
        assert!(!error.is_broken_cursor(), "{text}");
        assert!(text.contains("from the primary"), "{text}");
    }
}

/// Runs consumers that record the numbers of the orders that they handle. `order` returns that of a
/// message.
fn assert_pages_are_refused<S: EventSet>(
    name: &str,
    order: fn(&S) -> Option<u64>,
    selects: fn(u64) -> bool,
) {
    for_each_state(|cluster, standby, orders| {
        for page_size in [500, 5, 3] {
            let mut seen = Vec::new();
            let name = format!("{name} {page_size} {orders:?}");
            let mut consumer = MessageConsumer::external(name, |message: &Message<S>| {
                seen.extend(order(message.payload()));
                Ok(())
            })
            .page_size(page_size)
            .start_at(StartAt::End);
            consumer
                .handle_new_messages(&mut cluster.connect())
                .unwrap();
            let reads = read(consumer, cluster, standby, orders.clone());
            let case = format!("{page_size} {standby:?}");
            assert_eq!(seen, selected(orders.clone(), selects), "{case}");
            assert_refused(reads);
        }
    });
}

#[test]
fn pages_of_a_standby_are_refused() {
    assert_pages_are_refused("all", |message: &Orders| Some(message.order()), |_| true);
}

#[test]
fn pages_of_a_standby_are_refused_for_an_event_set() {
    let shipped = |message: &Closed| match message {
        Closed::Shipped(shipped) => Some(shipped.order),
        Closed::Cancelled(_) => None,
    };
    assert_pages_are_refused("some", shipped, |order| order % 2 == 0);
}
