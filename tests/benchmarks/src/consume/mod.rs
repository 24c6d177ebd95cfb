//! How many messages a second one consumer handles that catches up.

pub mod by_hand;
pub mod library;
mod task;

use persisting_message_bus::EventSet;

pub use self::task::{Kind, Task};

use crate::Failure;
use crate::backends::{Backend, Database};
use crate::fill::fill;
use crate::measure::{TURNS, Way};
use crate::raw::Decode;
use crate::results::Point;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::topic::{Cancellations, Orders};

/// What the consumer wants to see.
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

pub fn steps(sizes: &Sizes) -> usize {
    loads(sizes).len()
}

/// Both read the same rows.
pub fn run<B: Backend>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    fill(&database, run.sizes.consumed, 1)?;
    for load in loads(&run.sizes) {
        let point = load.point(B::NAME);
        let most = load.page * run.sizes.most_pages.div_ceil(TURNS as usize);
        let after = load.in_front_of_the_last(most, run.sizes.consumed);
        run.compare(point, ways(&database, load, after)?)?;
    }
    Ok(())
}

fn ways<B: Backend>(
    database: &Database<'_, B>,
    load: Load,
    after: i64,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let task = Task {
        after,
        ..Task::catch_up(load.kind, load.page)
    };
    match load.wanted {
        Wanted::Topic => ways_of::<Orders, B>(database, task),
        Wanted::OneInTen => ways_of::<Cancellations, B>(database, task),
    }
}

/// By hand and with the library.
pub fn ways_of<S, B>(
    database: &Database<'_, B>,
    task: Task,
) -> Result<Vec<(&'static str, Way)>, Failure>
where
    S: EventSet + Decode,
    B: Backend,
{
    let (mut driver, mut connection) = (database.connect_raw()?, database.connect()?);
    let by_hand = move || by_hand::consume::<S>(&mut driver, task);
    let library = move || library::consume::<S, _>(&mut connection, task);
    Ok(vec![
        ("pages", Box::new(by_hand)),
        ("catch_up", Box::new(library)),
    ])
}

impl Load {
    /// Where it begins, so that so many messages are left.
    fn in_front_of_the_last(self, most: usize, all: u64) -> i64 {
        let left = match self.wanted {
            Wanted::Topic => most,
            Wanted::OneInTen => 10 * most,
        };
        let after = all.saturating_sub(left as u64);
        i64::try_from(after).unwrap_or(i64::MAX)
    }

    fn point(self, backend: &'static str) -> Point {
        let wanted = match self.wanted {
            Wanted::Topic => "whole topic",
            Wanted::OneInTen => "1 in 10",
        };
        let kind = match self.kind {
            Kind::External => "external",
            Kind::Transactional => "transactional",
        };
        Point {
            scenario: "consume",
            backend,
            series: format!("{wanted}, {kind}"),
            axis: "messages in a page",
            at: self.page as u64,
        }
    }
}
