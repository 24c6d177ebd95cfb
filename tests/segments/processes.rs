//! Processes that are killed or frozen, that join and leave, and handlers that never return.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use persisting_message_bus::backend::Part;

use super::fleet::{Fleet, THREADS};
use super::records::Verdict;
use super::sql::Sql;
use super::topic::Step;
use super::worker::{PAGE, TELLER};
use super::{division, segments};

const LEASE: Duration = Duration::from_secs(3);

pub fn a_killed_process_is_replaced_and_only_its_messages_are_repeated<D: Sql>() {
    let mut fleet = Fleet::<D>::new(16);
    fleet.task.lease = LEASE;
    let mut workers = Vec::from([(); 3].map(|()| fleet.start()));
    fleet.publish_until_at_work(&workers, 30);
    let killed = workers.remove(1);
    killed.signal(Signal::SIGKILL);
    fleet.publish_until_at_work(&workers, 30);
    let verdict = fleet.finish(workers, &[killed.number]);
    // Each thread has handled a page at most without storing the cursor.
    let repeated = verdict.repeated.get(&killed.number).copied();
    assert!(repeated.unwrap_or(0) <= THREADS * PAGE, "{verdict:?}");
    assert!(verdict.late.is_empty(), "{verdict:?}");
}

pub fn a_frozen_process_ends_at_most_the_messages_that_it_had_begun<D: Sql>() {
    let mut fleet = Fleet::<D>::new(16);
    fleet.task.lease = LEASE;
    let workers = Vec::from([(); 2].map(|()| fleet.start()));
    fleet.publish_until_at_work(&workers, 30);
    fleet.publish(200);
    let frozen = workers[0].number;
    workers[0].signal(Signal::SIGSTOP);
    let (begun, frozen_at) = (Instant::now(), fleet.now());
    fleet.wait_until("the lease is over, and others have taken over", |fleet| {
        let is_over = fleet.now() - frozen_at > chrono::TimeDelta::from_std(LEASE).unwrap();
        // It can be frozen while it has rows locked. Then no other process can take over.
        is_over && (fleet.is_told() || begun.elapsed() > LEASE * 3)
    });
    workers[0].signal(Signal::SIGCONT);
    fleet.publish_until_at_work(&workers, 30);
    let verdict = fleet.finish(workers, &[frozen]);
    let [repeated, late] =
        [&verdict.repeated, &verdict.late].map(|it| it.get(&frozen).copied().unwrap_or(0));
    assert!(repeated <= THREADS * PAGE, "{verdict:?}");
    // A thread can be frozen after the library's last check and before the handler records.
    assert!(late <= THREADS, "{verdict:?}");
}

pub fn processes_that_join_and_leave_repeat_nothing<D: Sql>() {
    let mut fleet = Fleet::<D>::new(16);
    let mut workers = Vec::from([(); 2].map(|()| fleet.start()));
    fleet.publish_until_at_work(&workers, 10);
    for _ in 0..3 {
        workers.push(fleet.start());
        fleet.publish_until_at_work(&workers[2..], 10);
        let mut leaving = workers.remove(0);
        leaving.end();
        fleet.publish_until("the worker stops", |_| leaving.has_ended_well());
    }
    assert_eq!(fleet.finish(workers, &[]), Verdict::default());
}

pub fn a_handler_that_never_returns_keeps_only_its_segment<D: Sql>() {
    keeps_one_segment::<D>(THREADS);
}

/// Replays `where_a_process_takes_all_segments` and `where_a_process_holds_more_segments_than_threads`: no
/// thread is left for another segment.
pub fn a_process_whose_only_thread_is_stuck_keeps_only_its_segment<D: Sql>() {
    keeps_one_segment::<D>(1);
}

/// A handler of a process with so many threads never returns.
fn keeps_one_segment<D: Sql>(threads: usize) {
    let mut fleet = Fleet::<D>::new(16);
    fleet.task.lease = LEASE;
    let stuck_at = 43;
    fleet.task.stuck_at = Some(stuck_at);
    let usual = std::mem::replace(&mut fleet.task.threads, threads);
    let stuck = fleet.start();
    fleet.task.threads = usual;
    fleet.publish(100);
    let stuck_message = (Step::of(stuck_at).order, stuck_at);
    fleet.wait_until("the handler is stuck", |it| it.is_recorded(stuck_message));
    fleet.task.stuck_at = None;
    let other = fleet.start();
    fleet.publish(200);

    let division = division(&mut fleet.bus, TELLER).unwrap();
    let slots = fleet.database.key_slots();
    let mut parts = division.all(TELLER).map(|it| it.part);
    let contains = |part: &Part, slot: i16| {
        let Part::Keys(range) = part else {
            return false;
        };
        (range.from..=range.to).contains(&slot)
    };
    let stuck_slot = slots[usize::try_from(stuck_at).unwrap()];
    let part = parts.find(|it| contains(it, stuck_slot)).unwrap();
    // One process publishes all messages, so their numbers are in the order of their positions.
    let orders = fleet.published.clone().into_iter();
    let messages =
        orders.flat_map(|(order, numbers)| numbers.into_iter().map(move |it| (order, it)));
    let (held, others): (Vec<_>, Vec<_>) =
        messages.partition(|(_, number)| contains(&part, slots[usize::try_from(*number).unwrap()]));
    fleet.wait_until("all other segments are handled", |fleet| {
        others.iter().all(|it| fleet.is_recorded(*it))
    });
    fleet.wait_until("the other segments are free", |fleet| {
        let rows = segments(&mut fleet.bus, TELLER);
        rows.iter().filter(|row| row.lease_owner.is_some()).count() == 1
    });
    let after = held.iter().filter(|(_, number)| *number > stuck_at);
    assert!(after.clone().count() > 0, "{held:?}");
    for message in after {
        assert!(!fleet.is_recorded(*message), "{message:?}");
    }

    stuck.signal(Signal::SIGKILL);
    fleet.finish(vec![other], &[stuck.number]);
}
