//! The messages a second that are published.

mod awaited;
mod batches;
mod coalesced;
mod singles;

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;
use benchmark_rows::publish::Publishers;

use crate::results::Point;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

use self::awaited::awaited;
use self::coalesced::coalesced;

pub use self::awaited::in_tasks;
pub use self::batches::batches;
pub use self::singles::singles;

/// The way of publishing.
#[derive(Clone, Copy)]
enum Load {
    /// One message in each transaction.
    Single { publishers: usize, topics: usize },
    /// One message in each transaction, by tasks with async connections.
    Awaited { publishers: usize },
    /// One message at a time, in a group commit with other callers.
    Coalesced { producers: usize },
    /// Many messages at a time, by one publisher.
    Batch { size: usize },
}

fn loads<B: WithDriver>(sizes: &Sizes) -> Vec<Load> {
    let publishers = sizes.publishers.iter().copied();
    let publishers: Vec<_> = publishers
        .filter(|publishers| *publishers <= B::MOST_PUBLISHERS)
        .collect();
    let on_one_topic = publishers.iter().map(|publishers| Load::Single {
        publishers: *publishers,
        topics: 1,
    });
    let awaited = publishers.iter().filter(|_| B::HAS_ASYNC_CONNECTIONS);
    let awaited = awaited.map(|publishers| Load::Awaited {
        publishers: *publishers,
    });
    let awaited: Vec<_> = awaited.collect();
    let on_sixteen = publishers.contains(&16).then_some(Load::Single {
        publishers: 16,
        topics: 16,
    });
    let batches = sizes.batches.iter().map(|size| Load::Batch { size: *size });
    let coalesced = sizes.producers.iter().map(|producers| Load::Coalesced {
        producers: *producers,
    });
    let singles = on_one_topic
        .chain(on_sixteen)
        .chain(awaited)
        .chain(coalesced);
    singles.chain(batches).collect()
}

pub fn steps<B: WithDriver>(sizes: &Sizes) -> usize {
    loads::<B>(sizes).len()
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    for load in loads::<B>(&run.sizes) {
        let point = load.point(B::NAME);
        let library = Database::create(backend, &run.name_of_database())?;
        let raw = Database::create(backend, &run.name_of_database())?;
        let duration = run.sizes.turn();
        let ways = match load {
            Load::Single { publishers, topics } => {
                let publishers = Publishers {
                    publishers,
                    topics,
                    duration,
                };
                singles(&library, &raw, publishers)?
            }
            Load::Awaited { publishers } => {
                let publishers = Publishers {
                    publishers,
                    topics: 1,
                    duration,
                };
                awaited(&library, &raw, publishers)?
            }
            Load::Coalesced { producers } => coalesced(&library, &raw, producers, duration)?,
            Load::Batch { size } => batches(&library, &raw, size, duration)?,
        };
        run.compare(point, ways)?;
    }
    Ok(())
}

impl Load {
    fn point(self, backend: &'static str) -> Point {
        let (series, axis, at) = match self {
            Self::Single {
                publishers,
                topics: 1,
            } => ("single messages".to_owned(), "publishers", publishers),
            Self::Single { publishers, topics } => {
                let series = format!("single messages on {topics} topics");
                (series, "publishers", publishers)
            }
            Self::Awaited { publishers } => {
                let series = "single messages in tasks".to_owned();
                (series, "publishers", publishers)
            }
            Self::Coalesced { producers } => ("coalesced".to_owned(), "producers", producers),
            Self::Batch { size } => ("batches".to_owned(), "messages in a batch", size),
        };
        Point {
            scenario: "publish",
            backend,
            series,
            axis,
            at: at as u64,
        }
    }
}
