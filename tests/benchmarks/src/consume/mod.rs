//! The messages a second that a single consumer handles while it catches up.

pub mod by_hand;
mod high_water_mark;

use benchmark_rows::backends::Database;
use benchmark_rows::consume::{Kind, Task, consume};
use benchmark_rows::fill::fill;
use benchmark_rows::topic::{Cancellations, Orders};
use benchmark_rows::{Failure, Way};
use persisting_message_bus::EventSet;

use self::high_water_mark::Look;

use crate::raw::Decode;
use crate::results::Point;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

/// The messages that the consumer handles.
#[derive(Clone, Copy)]
enum Wanted {
    Topic,
    OneInTen,
}

#[derive(Clone, Copy)]
struct Load {
    wanted: Wanted,
    kind: Kind,
    page: usize,
}

fn loads(sizes: &Sizes) -> Vec<Load> {
    let mut loads = Vec::new();
    for wanted in [Wanted::Topic, Wanted::OneInTen] {
        for kind in [Kind::External, Kind::Transactional] {
            let pages = sizes.pages.iter();
            loads.extend(pages.map(|page| Load {
                wanted,
                kind,
                page: *page,
            }));
        }
    }
    loads
}

/// The reads of the high-water mark.
const LOOKS: [(&str, Look); 2] = [
    ("the high-water mark, read for each page", Look::EachPage),
    ("the high-water mark, in a backlog", Look::OnceInAWhile),
];

pub fn steps(sizes: &Sizes) -> usize {
    loads(sizes).len() + LOOKS.len() * sizes.pages.len()
}

/// Runs the comparisons. Both sides read the same rows.
pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    fill(&database, run.sizes.consumed, 1)?;
    for load in loads(&run.sizes) {
        let most = run.sizes.most_in_a_turn(load.page);
        let after = load.wanted.before_the_last(most, &run.sizes);
        let point = point::<B>(load.series(), load.page);
        run.compare(point, ways(&database, load, after)?)?;
    }
    for (series, look) in LOOKS {
        for page in run.sizes.pages.clone() {
            let point = point::<B>(series.to_owned(), page);
            let after = Wanted::Topic.before_the_last(run.sizes.most_in_a_turn(page), &run.sizes);
            run.compare(point, high_water_mark::ways(&database, look, page, after)?)?;
        }
    }
    Ok(())
}

fn ways<B: WithDriver>(
    database: &Database<'_, B>,
    load: Load,
    after: i64,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let task = Task {
        after,
        ..Task::handle_new_messages(load.kind, load.page)
    };
    match load.wanted {
        Wanted::Topic => ways_of::<Orders, B>(database, task),
        Wanted::OneInTen => ways_of::<Cancellations, B>(database, task),
    }
}

/// Returns the ways to consume: by hand and with the library.
pub fn ways_of<S, B>(
    database: &Database<'_, B>,
    task: Task,
) -> Result<Vec<(&'static str, Way)>, Failure>
where
    S: EventSet + Decode,
    B: WithDriver,
{
    let (mut driver, mut connection) = (B::connect_raw(&database.url)?, database.connect()?);
    let by_hand = move || by_hand::consume::<S>(&mut driver, task);
    let library = move || consume::<S, _>(&mut connection, task);
    Ok(vec![
        ("pages", Box::new(by_hand)),
        ("handle_new_messages", Box::new(library)),
    ])
}

impl Wanted {
    /// Returns the position after which a consumer begins, so that `most` messages are left for it.
    fn before_the_last(self, most: usize, sizes: &Sizes) -> i64 {
        match self {
            Self::Topic => before_the_last(most, sizes),
            Self::OneInTen => before_the_last(10 * most, sizes),
        }
    }
}

/// Returns the position after which so many messages are left.
pub fn before_the_last(left: usize, sizes: &Sizes) -> i64 {
    let after = sizes.consumed.saturating_sub(left as u64);
    i64::try_from(after).unwrap_or(i64::MAX)
}

impl Load {
    fn series(self) -> String {
        let wanted = match self.wanted {
            Wanted::Topic => "whole topic",
            Wanted::OneInTen => "1 in 10",
        };
        let kind = match self.kind {
            Kind::External => "external",
            Kind::Transactional => "transactional",
        };
        format!("{wanted}, {kind}")
    }
}

fn point<B: WithDriver>(series: String, page: usize) -> Point {
    Point {
        scenario: "consume",
        backend: B::NAME,
        series,
        axis: "messages in a page",
        at: page as u64,
    }
}
