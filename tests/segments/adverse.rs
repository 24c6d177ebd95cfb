//! Servers that end sessions, and processes whose clocks are wrong.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::fleet::{Fleet, THREADS};
use super::sql::Sql;
use super::worker::PAGE;

const LEASE: Duration = Duration::from_secs(3);

/// As when a server is restarted, or a proxy drops its connections.
pub fn work_goes_on_after_all_sessions_were_ended<D: Sql>() {
    let mut fleet = Fleet::<D>::new(16);
    let workers = Vec::from([(); 2].map(|()| fleet.start()));
    let mut ended = 0;
    for _ in 0..3 {
        fleet.publish_until_at_work(&workers, 20);
        ended += D::end_other_sessions(&mut fleet.bus);
    }
    assert!(ended > THREADS, "{ended} sessions were ended");
    fleet.publish_until_at_work(&workers, 20);
    let both = [workers[0].number, workers[1].number];
    let verdict = fleet.finish(workers, &both);
    let repeated: usize = verdict.repeated.values().sum();
    assert!(repeated <= 3 * 2 * THREADS * PAGE, "{verdict:?}");
    // All leases last on, so no other process has taken over.
    assert!(verdict.late.is_empty(), "{verdict:?}");
}

/// Leases end by the clock of the database.
pub fn clocks_of_processes_do_not_matter<D: Sql>() {
    let mut fleet = Fleet::<D>::new(16);
    fleet.task.lease = LEASE;
    let start = |fleet: &mut Fleet<D>, hours| {
        fleet.task.clock = hours;
        fleet.start()
    };
    let mut workers = Vec::from([1, -1, 0].map(|hours| start(&mut fleet, hours)));
    let mut dead = Vec::new();
    for _ in 0..2 {
        fleet.publish_until_at_work(&workers, 20);
        let killed = workers.remove(0);
        killed.signal(Signal::SIGKILL);
        dead.push(killed.number);
    }
    fleet.publish_until_at_work(&workers, 20);
    let verdict = fleet.finish(workers, &dead);
    let repeated: usize = verdict.repeated.values().sum();
    assert!(repeated <= 2 * THREADS * PAGE, "{verdict:?}");
    assert!(verdict.late.is_empty(), "{verdict:?}");
}
