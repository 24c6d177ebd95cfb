//! A message whose handler ends its process, in a consumer that is divided.

use std::time::Duration;

use persisting_message_bus::operate::{
    ConsumerKey, FailedMessage, FailedMessagesRequest, MessageFailures,
};

use super::fleet::Fleet;
use super::key;
use super::records::{assert_exactly_once, judge};
use super::sql::Sql;
use super::worker::{PAYER, TELLER, Worker};

const GUILTY: u64 = 57;

fn parked(bus: &mut impl MessageFailures, consumer: ConsumerKey<'_>) -> Vec<FailedMessage> {
    let request = FailedMessagesRequest::of_parked(consumer);
    bus.failed_messages(&request).unwrap()
}

pub fn only_the_guilty_message_of_an_external_handler_is_parked<D: Sql>() {
    only_the_guilty_message_is_parked::<D>(TELLER);
}

pub fn only_the_guilty_message_of_a_transactional_handler_is_parked<D: Sql>() {
    only_the_guilty_message_is_parked::<D>(PAYER);
}

/// Two processes are at work, and each is started again when it has died.
fn only_the_guilty_message_is_parked<D: Sql>(guilty: &'static str) {
    let mut fleet = Fleet::<D>::new(8);
    fleet.task.lease = Duration::from_millis(1_500);
    fleet.task.aborts_at = Some((guilty.to_owned(), GUILTY));
    fleet.publish(150);
    let mut workers = Vec::from([(); 2].map(|()| fleet.start()));
    let mut dead = Vec::new();
    let without = u64::from(guilty == PAYER);
    fleet.wait_until("everything else is handled", |fleet| {
        for worker in &mut workers {
            if worker.has_ended() {
                dead.push(worker.number);
                *worker = fleet.start();
            }
        }
        let is_paid = D::count_effects(&mut fleet.bus) == fleet.messages - without;
        is_paid && fleet.is_told() && !parked(&mut fleet.bus, key(guilty)).is_empty()
    });
    workers.into_iter().for_each(Worker::stop);

    for consumer in [TELLER, PAYER] {
        let found = parked(&mut fleet.bus, key(consumer));
        let found = found.iter().map(|it| (it.attempts, it.error.clone()));
        let found: Vec<_> = found.collect();
        if consumer == guilty {
            assert_eq!((found.len(), found[0].0), (1, 2), "{found:?}");
            assert!(found[0].1.contains("ended unexpectedly"), "{found:?}");
        } else {
            assert!(found.is_empty(), "{consumer}: {found:?}");
        }
    }
    // A page with the message, and then the message alone, twice.
    assert!((3..10).contains(&dead.len()), "{dead:?}");
    let mut published = fleet.published.clone();
    judge(fleet.records(), &published, &dead);
    if guilty == PAYER {
        let orders = published.values_mut();
        orders.for_each(|numbers| numbers.retain(|it| *it != GUILTY));
    }
    assert_exactly_once(D::effects(&mut fleet.bus), &published);
}
