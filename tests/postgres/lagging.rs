//! A proxy sends the reads of pages to a standby, and the other statements to its primary.

use std::ops::{ControlFlow, RangeInclusive};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use persisting_message_bus::backend::{
    MessageAt, MessageSource, PageRequest, SlotObservations, StoredMessage,
};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::{
    Error, EventSet, Message, MessageBus, MessageConsumer, MessageDispatcher, Position, StartAt,
};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped, Orders};
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

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
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        self.primary.high_water_mark(topic, observations)
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        self.primary.head(topic, high_water_mark)
    }

    fn ids_at(
        &mut self,
        topic: &str,
        positions: [Position; 2],
    ) -> Result<[Option<Uuid>; 2], Error> {
        self.of_pages().ids_at(topic, positions)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.primary.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.of_pages().read_page(request, receive)
    }
}

fn publish(bus: &mut PgConnection, numbers: RangeInclusive<u64>) {
    let orders = MessageDispatcher::<Orders>::new();
    for order in numbers {
        if order % 2 == 0 {
            orders.dispatch(bus, &OrderShipped { order }).unwrap();
        } else {
            orders.dispatch(bus, &OrderPlaced::number(order)).unwrap();
        }
    }
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

#[test]
fn pages_of_a_standby_are_refused() {
    for_each_state(|cluster, standby, orders| {
        for page_size in [500, 5, 3] {
            let mut seen = Vec::new();
            let name = format!("all {page_size} {orders:?}");
            let mut consumer = MessageConsumer::external(&*name, |message: &Message<Orders>| {
                seen.push(message.payload().order());
                Ok(())
            })
            .page_size(page_size)
            .start_at(StartAt::End);
            consumer
                .handle_new_messages(&mut cluster.connect())
                .unwrap();
            let reads = read(consumer, cluster, standby, orders.clone());
            let case = format!("{page_size} {standby:?}");
            assert_eq!(seen, orders.clone().collect::<Vec<_>>(), "{case}");
            assert_refused(reads);
        }
    });
}

#[test]
fn pages_of_a_standby_are_refused_for_an_event_set() {
    for_each_state(|cluster, standby, orders| {
        for page_size in [500, 5, 3] {
            let mut seen = Vec::new();
            let name = format!("some {page_size} {orders:?}");
            let mut consumer = MessageConsumer::external(&*name, |message: &Message<Closed>| {
                if let Closed::Shipped(shipped) = message.payload() {
                    seen.push(shipped.order);
                }
                Ok(())
            })
            .page_size(page_size)
            .start_at(StartAt::End);
            consumer
                .handle_new_messages(&mut cluster.connect())
                .unwrap();
            let reads = read(consumer, cluster, standby, orders.clone());
            let shipped = orders.clone().filter(|order| order % 2 == 0);
            let case = format!("{page_size} {standby:?}");
            assert_eq!(seen, shipped.collect::<Vec<_>>(), "{case}");
            assert_refused(reads);
        }
    });
}
