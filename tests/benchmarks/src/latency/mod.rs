//! The time from a commit to the start of an external handler, in a runner with default settings,
//! and the number of statements that such a consumer runs while it is idle.

mod awaiting;
mod by_hand;
mod crowd;
mod idle;
mod pace;
mod publish;
mod wake;

use std::time::Duration;

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;

pub use self::pace::Pace;
pub use self::wake::Wake;

use crate::results::{Idle, Latency};
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

pub fn steps<B: WithDriver>(sizes: &Sizes) -> usize {
    Wake::all::<B>().len() * sizes.paces.len() + 2
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    let duration = run.sizes.latency_for;
    for wake in Wake::all::<B>() {
        for pace in run.sizes.paces.clone() {
            run.progress
                .begin(&format_args!("{}: latency, {pace}, {wake}", B::NAME));
            let latencies = publish::latencies::<B>(&database.url, pace, wake, duration)?;
            run.results
                .latencies
                .push(quantiles::<B>(pace, wake, latencies));
            run.progress.done();
        }
    }
    idle(&database, run)?;
    drop(database);
    idle_crowd(backend, run)
}

fn idle<B: WithDriver>(database: &Database<'_, B>, run: &mut Run) -> Result<(), Failure> {
    run.progress.begin(&format_args!("{}: idle", B::NAME));
    let duration = run.sizes.idle_for;
    // From then on, the polls do not become rarer.
    let settling = duration.min(Duration::from_secs(10));
    let statements = idle::statements::<B>(&database.url, settling, duration)?;
    run.results.idle.push(Idle {
        backend: B::NAME,
        statements_per_second: statements as f64 / duration.as_secs_f64(),
    });
    run.progress.done();
    Ok(())
}

/// Measures on an empty database, so that the consumers have nothing to do.
fn idle_crowd<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    run.progress
        .begin(&format_args!("{}: idle consumers", B::NAME));
    let database = Database::create(backend, &run.name_of_database())?;
    let crowd = crowd::measure::<B>(&database.url, &run.sizes)?;
    run.results.crowds.extend(crowd);
    run.progress.done();
    Ok(())
}

/// Computes the quantiles. There is at least one message at each pace.
fn quantiles<B: WithDriver>(pace: Pace, wake: Wake, mut latencies: Vec<Duration>) -> Latency {
    latencies.sort_unstable();
    // This many of 1,000 messages are not slower.
    let milliseconds = |thousandths: usize| {
        let rank = (latencies.len() * thousandths).div_ceil(1_000);
        latencies[rank - 1].as_secs_f64() * 1_000.0
    };
    Latency {
        backend: B::NAME,
        pace: pace.to_string(),
        wake: wake.to_string(),
        messages: latencies.len(),
        p50: milliseconds(500),
        p90: milliseconds(900),
        p99: milliseconds(990),
        p99_9: milliseconds(999),
        max: milliseconds(1_000),
    }
}
