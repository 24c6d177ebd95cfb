//! The statements that the library runs, and the time that each takes.

mod recorder;

use std::time::{Duration, Instant};

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;
use benchmark_rows::consume::{Kind, Task, consume};
use benchmark_rows::fill::fill;
use benchmark_rows::topic::Orders;
use diesel::Connection;
use persisting_message_bus::MessageDispatcher;

use self::recorder::Recorder;
use crate::results::{StatementTime, Work};
use crate::run::Run;
use crate::with_driver::WithDriver;

const PAGE: usize = 500;
const BATCH: u64 = 1_000;

/// A unit of work: a message, a batch or a page.
#[derive(Clone, Copy)]
enum Unit {
    Message,
    Batch,
    Page(Kind),
}

const UNITS: [Unit; 4] = [
    Unit::Message,
    Unit::Batch,
    Unit::Page(Kind::External),
    Unit::Page(Kind::Transactional),
];

pub fn steps() -> usize {
    UNITS.len()
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    fill(&database, run.sizes.consumed, 1)?;
    for unit in UNITS {
        run.progress
            .begin(&format_args!("{}: statements of {}", B::NAME, unit.name()));
        let mut connection = database.connect()?;
        // A first unit prepares the statements.
        unit.work::<B>(&mut connection, Duration::ZERO)?;
        let begun = Instant::now();
        let units = unit.work::<B>(&mut connection, run.sizes.publish_for)? as f64;
        run.results.work.push(Work {
            backend: B::NAME,
            unit: unit.name(),
            micros: begun.elapsed().as_secs_f64() * 1e6 / units,
            statements: unit.statements::<B>(&mut connection, run.sizes.publish_for)?,
        });
        run.progress.done();
    }
    Ok(())
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Message => "a message in its own transaction",
            Self::Batch => "a batch of 1,000 messages",
            Self::Page(Kind::External) => "a page of 500 messages, external",
            Self::Page(Kind::Transactional) => "a page of 500 messages, transactional",
        }
    }

    /// Does at least one unit, and as many as the time allows. Returns their number.
    fn work<B: WithDriver>(
        self,
        connection: &mut B::Connection,
        duration: Duration,
    ) -> Result<usize, Failure> {
        let dispatcher = MessageDispatcher::<Orders>::new();
        let batch = Orders::numbered(0..BATCH);
        let begun = Instant::now();
        let mut done = 0;
        while done == 0 || begun.elapsed() < duration {
            match self {
                Self::Message => drop(dispatcher.dispatch(connection, &batch[0])?),
                Self::Batch => drop(dispatcher.dispatch_batch(connection, &batch)?),
                Self::Page(kind) => {
                    let task = Task::handle_new_messages(kind, PAGE);
                    let handled = consume::<Orders, _>(connection, task)?.messages;
                    done += handled.div_ceil(PAGE) - 1;
                }
            }
            done += 1;
        }
        Ok(done)
    }

    /// Measures the statements. The time of the recording itself is not part of theirs.
    fn statements<B: WithDriver>(
        self,
        connection: &mut B::Connection,
        duration: Duration,
    ) -> Result<Vec<StatementTime>, Failure> {
        let recorder = Recorder::default();
        connection.set_instrumentation(recorder.clone());
        let units = self.work::<B>(connection, duration)? as f64;
        let statements = recorder.statements().into_iter();
        let statements = statements.map(|(sql, recorded)| StatementTime {
            sql,
            times: recorded.times as f64 / units,
            micros: recorded.duration.as_secs_f64() * 1e6 / units,
        });
        Ok(statements.collect())
    }
}
