//! Changes of the number of segments, and deployments, while processes are at work.

use persisting_message_bus::backend::{DividedBy, Division, MessageConsumerState};
use persisting_message_bus::{MessageConsumer, ParallelConsumer};

use super::fleet::Fleet;
use super::records::Verdict;
use super::sql::Sql;
use super::topic::Steps;
use super::worker::{PAYER, TELLER};
use super::{division, key};

pub fn a_resize_at_work_repeats_nothing<D: Sql>() {
    let mut fleet = Fleet::<D>::new(4);
    let workers = Vec::from([(); 2].map(|()| fleet.start()));
    fleet.publish_until_at_work(&workers, 30);
    for segments in [16, 3] {
        for consumer in [TELLER, PAYER] {
            let make = move || MessageConsumer::<Steps>::external(consumer, |_| Ok(()));
            let mut operator = ParallelConsumer::by_key(make);
            assert!(operator.resize(&mut fleet.bus, segments).unwrap());
        }
        let wanted = Some(Division::new(DividedBy::Key, segments));
        fleet.publish_until("the segments are replaced", |fleet| {
            [TELLER, PAYER].map(|it| division(&mut fleet.bus, it)) == [wanted; 2]
        });
        fleet.publish_until_at_work(&workers, 30);
    }
    assert_eq!(fleet.finish(workers, &[]), Verdict::default());
}

/// The second program has one more message type, and more threads.
pub fn a_rolling_deployment_loses_and_repeats_nothing<D: Sql>() {
    let mut fleet = Fleet::<D>::new(16);
    fleet.task.threads = 2;
    let mut first = fleet.start();
    fleet.publish_until_at_work(std::slice::from_ref(&first), 30);
    let former = event_sets(&mut fleet.bus).remove(0);
    fleet.task.is_wider = true;
    fleet.task.threads = 5;
    let second = [fleet.start()];
    fleet.publish_until_at_work(&second, 10);
    // Messages of the added type are handled from the moment at which the segment has it.
    fleet.publish_until("all segments have the added type", |fleet| {
        !event_sets(&mut fleet.bus).contains(&former)
    });
    let before = fleet.messages;
    fleet.publish_both_until("both programs see the added type", |it| {
        it.messages > before + 100
    });
    first.end();
    fleet.publish_both_until("the first program stops", |_| first.has_ended_well());
    assert_eq!(fleet.finish(second.into(), &[]), Verdict::default());
}

/// Returns what the segments of both consumers read.
fn event_sets(bus: &mut impl MessageConsumerState) -> Vec<Option<String>> {
    let rows = [TELLER, PAYER].map(|consumer| {
        let division = division(bus, consumer).expect("it is divided");
        bus.segments(key(consumer), division).unwrap()
    });
    let rows = rows.into_iter().flatten();
    rows.map(|it| it.row.identity.event_set).collect()
}
