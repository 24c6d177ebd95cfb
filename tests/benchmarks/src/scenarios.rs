//! Compares the library with the drivers, on one database after the other.

use benchmark_rows::Failure;
use benchmark_rows::backends::{Mariadb, Postgres, Sqlite};

use crate::arguments::{Arguments, Chosen, Scenario};
use crate::progress::Progress;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;
use crate::{awaited, consume, latency, parallel, publish, report, scaling, servers, statements};

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sizes = arguments.sizes();
    let progress = Progress::of(steps(arguments, &sizes))?;
    let mut run = Run::new(sizes, progress);
    for chosen in arguments.databases() {
        match chosen {
            Chosen::Sqlite => on_sqlite(arguments, &mut run)?,
            Chosen::Postgres => {
                let server = servers::postgres();
                on_postgres(&Postgres(server.url()), arguments, &mut run)?;
            }
            Chosen::Mariadb => {
                let server = servers::mariadb();
                on(&Mariadb(server.url()), arguments, &mut run)?;
            }
        }
    }
    run.progress.finish();
    report::print(&run.results);
    let folder = arguments.report.display();
    println!("\nIn {folder}: report.md, results.json, plots");
    Ok(())
}

fn on_sqlite(arguments: &Arguments, run: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    on(&Sqlite::<true>(folder.path().into()), arguments, run)?;
    if arguments.includes(Scenario::Publish) {
        let folder = tempfile::tempdir()?;
        publish::run(&Sqlite::<false>(folder.path().into()), run)?;
        report::write(&run.results, &arguments.report)?;
    }
    Ok(())
}

fn on_postgres(backend: &Postgres, arguments: &Arguments, run: &mut Run) -> Result<(), Failure> {
    on(backend, arguments, run)?;
    if arguments.includes(Scenario::Awaited) {
        awaited::run(backend, run)?;
        report::write(&run.results, &arguments.report)?;
    }
    Ok(())
}

fn on<B: WithDriver>(backend: &B, arguments: &Arguments, run: &mut Run) -> Result<(), Failure> {
    for scenario in arguments.scenarios() {
        match scenario {
            Scenario::Publish => publish::run(backend, run)?,
            Scenario::Consume => consume::run(backend, run)?,
            Scenario::Statements => statements::run(backend, run)?,
            Scenario::Latency => latency::run(backend, run)?,
            Scenario::Scaling => scaling::run(backend, run)?,
            Scenario::Parallel => parallel::run(backend, run)?,
            // Only PostgreSQL has it.
            Scenario::Awaited => {}
        }
        // The results are kept if a later scenario fails.
        report::write(&run.results, &arguments.report)?;
    }
    Ok(())
}

fn steps(arguments: &Arguments, sizes: &Sizes) -> usize {
    let databases = arguments.databases().into_iter();
    let steps = databases.map(|chosen| match chosen {
        Chosen::Sqlite if arguments.includes(Scenario::Publish) => {
            steps_on::<Sqlite<true>>(arguments, sizes) + publish::steps::<Sqlite<false>>(sizes)
        }
        Chosen::Sqlite => steps_on::<Sqlite<true>>(arguments, sizes),
        Chosen::Postgres if arguments.includes(Scenario::Awaited) => {
            steps_on::<Postgres>(arguments, sizes) + awaited::steps(sizes)
        }
        Chosen::Postgres => steps_on::<Postgres>(arguments, sizes),
        Chosen::Mariadb => steps_on::<Mariadb>(arguments, sizes),
    });
    steps.sum()
}

fn steps_on<B: WithDriver>(arguments: &Arguments, sizes: &Sizes) -> usize {
    let scenarios = arguments.scenarios().into_iter();
    let steps = scenarios.map(|scenario| match scenario {
        Scenario::Publish => publish::steps::<B>(sizes),
        Scenario::Consume => consume::steps(sizes),
        Scenario::Statements => statements::steps(),
        Scenario::Latency => latency::steps::<B>(sizes),
        Scenario::Scaling => scaling::steps(sizes),
        Scenario::Parallel => parallel::steps(sizes),
        Scenario::Awaited => 0,
    });
    steps.sum()
}
