//! Async connections to PostgreSQL: publishing beside the same statements on tokio-postgres, and
//! consuming beside a sync connection.

mod consuming;
mod publishing;
mod same_statement;

use benchmark_rows::Failure;
use benchmark_rows::backends::{Backend, Database, Postgres};
use benchmark_rows::consume::{Kind, Task};
use benchmark_rows::fill::fill;

use self::consuming::Drives;
use crate::consume::before_the_last;
use crate::results::Point;
use crate::run::Run;
use crate::sizes::Sizes;

const KINDS: [(&str, Kind, Drives); 4] = [
    (
        "an async external handler, dedicated connection",
        Kind::External,
        Drives::Thread,
    ),
    ("an async external handler", Kind::External, Drives::Runtime),
    (
        "an async transactional handler, dedicated connection",
        Kind::Transactional,
        Drives::Thread,
    ),
    (
        "an async transactional handler",
        Kind::Transactional,
        Drives::Runtime,
    ),
];

/// The sizes of the batches. The library inserts a larger one with more than one statement.
const BATCHES: [usize; 3] = [1, 100, 1_000];

pub fn steps(sizes: &Sizes) -> usize {
    BATCHES.len() + KINDS.len() * sizes.pages.len()
}

pub fn run(backend: &Postgres, run: &mut Run) -> Result<(), Failure> {
    for size in BATCHES {
        let library = Database::create(backend, &run.name_of_database())?;
        let bare = Database::create(backend, &run.name_of_database())?;
        let ways = publishing::ways(&library.url, &bare.url, size, run.sizes.turn())?;
        let series = "published with await".to_owned();
        run.compare(point(series, "messages in a batch", size), ways)?;
    }
    let database = Database::create(backend, &run.name_of_database())?;
    fill(&database, run.sizes.consumed, 1)?;
    for (handler, kind, drives) in KINDS {
        for page in run.sizes.pages.clone() {
            let task = Task {
                after: before_the_last(run.sizes.most_in_a_turn(page), &run.sizes),
                ..Task::handle_new_messages(kind, page)
            };
            let ways = consuming::ways(&database, task, drives)?;
            let series = format!("consumed by {handler}");
            run.compare(point(series, "messages in a page", page), ways)?;
        }
    }
    Ok(())
}

fn point(series: String, axis: &'static str, at: usize) -> Point {
    Point {
        scenario: "awaited",
        backend: Postgres::NAME,
        series,
        axis,
        at: at as u64,
    }
}
