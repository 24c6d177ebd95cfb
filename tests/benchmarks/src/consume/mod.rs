//! How many messages a second one consumer handles that catches up.

mod by_hand;
mod library;

use crate::Failure;
use crate::backends::{Backend, Database};
use crate::fill::fill;
use crate::measure::{Way, in_turn};
use crate::results::{Comparison, Point};
use crate::run::Run;
use crate::sizes::Sizes;
use crate::topic::{Cancellations, Orders};

/// What the consumer wants to see.
#[derive(Clone, Copy)]
enum Wanted {
    Topic,
    OneInTen,
}

/// When the cursor is stored.
#[derive(Clone, Copy)]
pub enum Kind {
    External,
    Transactional,
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
    fill(&database, run.sizes.consumed)?;
    for load in loads(&run.sizes) {
        let point = load.point(backend.name());
        run.progress.begin(&point);
        let mut ways = ways(&database, load)?;
        in_turn(1, &mut ways)?;
        let samples = in_turn(run.sizes.rounds, &mut ways)?;
        run.add(Comparison::new(point, samples));
    }
    Ok(())
}

fn ways<B: Backend>(
    database: &Database<'_, B>,
    load: Load,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let Load { wanted, kind, page } = load;
    let (driver, connection) = (database.connect_raw()?, database.connect()?);
    let (by_hand, library) = match wanted {
        Wanted::Topic => (
            by_hand::consuming::<_, Orders>(driver, kind, page),
            library::consuming::<_, Orders>(connection, kind, page),
        ),
        Wanted::OneInTen => (
            by_hand::consuming::<_, Cancellations>(driver, kind, page),
            library::consuming::<_, Cancellations>(connection, kind, page),
        ),
    };
    Ok(vec![("pages", by_hand), ("catch_up", library)])
}

impl Load {
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
