//! The messages a second that many threads and processes handle for one consumer, one dimension at a
//! time. The other side is a pool of threads by hand, which keeps no order and loses its place when it
//! ends.

mod by_hand;
mod child;
mod keys;
mod library;
mod processes;
mod settings;

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;

pub use self::child::run as run_child;
use self::keys::Keys;
use self::settings::{Load, Settings};
use crate::measure::Samples;
use crate::results::{Comparison, Point};
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

/// A dimension of the measurements, with its points.
type Dimension = (&'static str, Vec<(u64, Settings)>);

fn dimensions(sizes: &Sizes) -> Vec<Dimension> {
    let usual = Settings::usual(sizes.most_threads.min(16));
    let threads = [1, 4, 16, 64]
        .into_iter()
        .filter(|it| *it <= sizes.most_threads);
    let threads: Vec<_> = threads.collect();
    let with_threads = |load: Load| {
        let points = threads.iter().map(|threads| {
            let at = Settings {
                threads: *threads,
                load,
                ..usual
            };
            (*threads as u64, at)
        });
        points.collect()
    };
    let milliseconds = [0, 1, 50].map(|millis| {
        let load = Load::External { millis };
        (millis, Settings { load, ..usual })
    });
    let processes =
        [1, 2, 3, 4].map(|processes| (processes as u64, Settings { processes, ..usual }));
    let keys = [
        Keys::Even(1),
        Keys::Even(200),
        Keys::Even(5_000),
        Keys::Zipf(5_000),
    ];
    let [one, few, many, skewed] = keys.map(|keys| (keys.number(), Settings { keys, ..usual }));
    vec![
        (
            "50 ms each, threads",
            with_threads(Load::External { millis: 50 }),
        ),
        (
            "16 threads, milliseconds of the handler",
            milliseconds.into(),
        ),
        ("50 ms each, processes of 16 threads", processes.into()),
        ("50 ms each, even keys", vec![one, few, many]),
        ("50 ms each, keys by Zipf's law", vec![skewed]),
        (
            "one insert each in its transaction, threads",
            with_threads(Load::Transactional),
        ),
    ]
}

pub fn steps(sizes: &Sizes) -> usize {
    dimensions(sizes)
        .iter()
        .map(|(_, points)| points.len())
        .sum()
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    for (series, points) in dimensions(&run.sizes) {
        let (series, axis) = series.rsplit_once(", ").unwrap_or(("", series));
        for (at, settings) in points {
            let point = Point {
                scenario: "parallel",
                backend: B::NAME,
                series: series.to_owned(),
                axis,
                at,
            };
            run.progress.begin(&point);
            let samples = measure(backend, run, settings)?;
            run.results
                .comparisons
                .push(Comparison::new(point, samples));
            run.progress.done();
        }
    }
    Ok(())
}

/// Measures both ways in turn, each time on a new consumer of the same messages.
fn measure<B: WithDriver>(
    backend: &B,
    run: &mut Run,
    settings: Settings,
) -> Result<Vec<Samples>, Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    let messages = settings.messages(run.sizes.parallel_for);
    keys::fill(&database, settings.keys, messages)?;
    let until = (run.sizes.parallel_for, messages);
    let (mut by_hand, mut library) = (Vec::new(), Vec::new());
    for _ in 0..run.sizes.rounds {
        for (way, rates) in [(by_hand::WAY, &mut by_hand), (library::WAY, &mut library)] {
            let rate = processes::rate::<B>(&database, way, settings, until)?;
            rates.push(rate);
        }
    }
    Ok(vec![
        Samples::new("pool of threads", by_hand),
        Samples::new("ParallelConsumer", library),
    ])
}
