//! The deployments.

use persisting_message_bus::OnAdded;
use persisting_message_bus::operate::stop_wanting;

use super::deployment::{CONSUMERS, Deployment, Finished, key};
use super::history::Wanted;
use super::letters::Program;
use super::records::Record;
use super::sql::Sql;
use super::verdict::Verdict;
use super::worker::{EXTERNAL, TRANSACTIONAL};

pub fn everything_committed_is_handled_when_types_are_added_from_now_on<D: Sql>() {
    grow::<D>(OnAdded::FromNow);
}

pub fn everything_committed_is_handled_when_added_types_are_replayed<D: Sql>() {
    grow::<D>(OnAdded::Replay);
}

fn grow<D: Sql>(added: OnAdded) {
    let (smaller, larger) = (Program::Smaller, Program::Larger(added));
    let mut deployment = Deployment::<D>::of(smaller);
    deployment.roll(&[smaller]);
    deployment.roll(&[smaller, larger]);
    deployment.roll(&[larger]);
    deployment.wait_until_grown();
    deployment.roll(&[smaller, larger]);
    let mut finished = deployment.finish(&[larger]);
    for (consumer, wanted) in CONSUMERS.into_iter().zip(wanted(&mut finished)) {
        let replays = usize::from(added == OnAdded::Replay);
        assert_eq!((wanted.replays, wanted.stopped_at), (replays, None));
        assert_eq!(wanted.ranges.len(), 1 + replays, "{consumer}");
    }
    verify(&mut finished, |_| false);
}

pub fn everything_committed_is_handled_when_a_newer_program_knows_a_new_type<D: Sql>() {
    let (older, newer) = (Program::Older, Program::Newer);
    let mut deployment = Deployment::<D>::of(older);
    deployment.roll(&[older]);
    let waits = deployment.wait_before_unknown("D");
    deployment.roll(&[older, newer]);
    deployment.roll(&[newer]);
    let mut finished = deployment.finish(&[newer]);
    let first = finished.messages.iter().find(|(_, it)| it == "D");
    let first = first.map_or(0, |(position, _)| *position);
    assert_eq!(waits, [first; 2], "an older program has passed D");
    for consumer in CONSUMERS {
        assert_eq!(D::changes(&mut finished.bus, consumer), []);
    }
    let records = records(&mut finished);
    for verdict in verdicts(&finished, &records) {
        verdict.programs_know_their_messages();
        verdict.several_programs_took_part();
    }
    let [external, transactional] = verdicts(&finished, &records);
    external.handled_at_least(|_, _| 1, |_| false);
    external.in_order_in_each_process();
    transactional.handled_exactly(|_, _| 1);
    transactional.in_order(0);
}

pub fn everything_committed_is_handled_after_a_roll_back_from_now_on<D: Sql>() {
    roll_back::<D>(OnAdded::FromNow);
}

pub fn everything_committed_is_handled_after_a_roll_back_again<D: Sql>() {
    roll_back::<D>(OnAdded::Replay);
}

/// Deploys the newer program, rolls it back, lets an operator remove its type, and deploys it
/// again.
fn roll_back<D: Sql>(again: OnAdded) {
    let smaller = Program::Smaller;
    let (first, second) = (Program::Larger(OnAdded::FromNow), Program::Larger(again));
    let mut deployment = Deployment::<D>::of(smaller);
    deployment.roll(&[smaller, first]);
    deployment.roll(&[first]);
    deployment.wait_until_grown();
    deployment.roll(&[smaller]);
    let waits = deployment.wait_before_unknown("C");
    let started = deployment.fleet.started.len();
    for consumer in CONSUMERS {
        assert!(stop_wanting(&mut deployment.bus, key(consumer), "C").unwrap());
    }
    deployment.roll(&[smaller]);
    deployment.wait_until("the older programs go on", |consumer, row| {
        let index = CONSUMERS.iter().position(|it| *it == consumer).unwrap();
        row.cursor.is_some_and(|cursor| cursor.get() > waits[index])
    });
    deployment.roll(&[smaller, second]);
    deployment.roll(&[second]);
    let mut finished = deployment.finish(&[second]);
    let both = wanted(&mut finished);
    for ((consumer, wanted), waits) in CONSUMERS.into_iter().zip(&both).zip(waits) {
        let replays = usize::from(again == OnAdded::Replay);
        assert_eq!(wanted.replays, replays);
        assert_eq!(wanted.ranges.len(), 2 + replays, "{consumer}");
        let stopped_at = wanted.stopped_at.unwrap();
        assert!(stopped_at < waits, "{consumer} has passed {waits}");
    }
    // A process that was killed may have handled messages after the cursor that it has stored.
    let stopped_at = both[0].stopped_at;
    verify(&mut finished, |record| {
        record.process < started && Some(record.position) > stopped_at
    });
}

/// Returns what each consumer wanted, by the changes of its row.
fn wanted<D: Sql>(finished: &mut Finished<D>) -> [Wanted; 2] {
    CONSUMERS.map(|consumer| Wanted::after(&D::changes(&mut finished.bus, consumer)))
}

/// Checks the records against what the consumers wanted. A message that the external consumer did
/// not want can be excused.
fn verify<D: Sql>(finished: &mut Finished<D>, excused: impl Fn(&Record) -> bool) {
    let [by_external, by_transactional] = wanted(finished);
    let records = records(finished);
    for verdict in verdicts(finished, &records) {
        verdict.programs_know_their_messages();
        verdict.several_programs_took_part();
    }
    let [external, transactional] = verdicts(finished, &records);
    external.handled_at_least(
        |at, message_type| count(&by_external, at, message_type),
        excused,
    );
    external.in_order_in_each_process();
    transactional.handled_exactly(|at, message_type| count(&by_transactional, at, message_type));
    transactional.in_order(by_transactional.replays);
}

/// Returns how often a consumer whose event set grows handles a message.
fn count(wanted: &Wanted, position: i64, message_type: &str) -> usize {
    match message_type {
        "A" | "B" => 1,
        "C" => wanted.count(position),
        _ => 0,
    }
}

/// Returns the records of the external and of the transactional consumer.
fn records<D: Sql>(finished: &mut Finished<D>) -> [Vec<Record>; 2] {
    [finished.fleet.handled(), D::effects(&mut finished.bus)]
}

fn verdicts<'a, D: Sql>(
    finished: &'a Finished<D>,
    [external, transactional]: &'a [Vec<Record>; 2],
) -> [Verdict<'a>; 2] {
    [(EXTERNAL, external), (TRANSACTIONAL, transactional)].map(|(consumer, records)| Verdict {
        consumer,
        records,
        messages: &finished.messages,
        programs: &finished.fleet.started,
    })
}
