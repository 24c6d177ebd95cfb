//! ./benchmark
//!
//! Measures how much slower or faster the library is than what one writes by hand with a database's
//! driver, on servers of its own, which survive a loss of power: each commit waits for the disk.

mod arguments;
mod backends;
mod consume;
mod environment;
mod fill;
mod latency;
mod measure;
mod memory;
mod on_topics;
mod progress;
mod publish;
mod raw;
mod report;
mod results;
mod run;
mod scaling;
mod side_by_side;
mod sizes;
mod statements;
mod topic;

use std::env;

use clap::Parser;

use self::arguments::{Arguments, Chosen, Scenario};
use self::backends::{Backend, Mariadb, Postgres, Sqlite};
use self::progress::Progress;
use self::run::Run;
use self::sizes::Sizes;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    if let Some(done) = memory::run_child(&env::args().skip(1).collect::<Vec<_>>()) {
        return done;
    }
    let arguments = Arguments::parse();
    let sizes = arguments.sizes();
    let progress = Progress::of(steps(&arguments, &sizes))?;
    let mut run = Run::new(sizes, progress);
    for chosen in arguments.databases() {
        match chosen {
            Chosen::Sqlite => {
                scenarios(&Sqlite::<true>::start()?, &arguments, &mut run)?;
                let not_durable = Sqlite::<false>::start()?;
                if arguments.includes(Scenario::Publish) {
                    publish::run(&not_durable, &mut run)?;
                    report::write(&run.results, &arguments.report)?;
                }
            }
            Chosen::Postgres => scenarios(&Postgres::start(), &arguments, &mut run)?,
            Chosen::Mariadb => scenarios(&Mariadb::start(), &arguments, &mut run)?,
        }
    }
    run.progress.finish();
    report::print(&run.results);
    let folder = arguments.report.display();
    println!("\nIn {folder}: report.md, results.json, plots");
    Ok(())
}

fn scenarios<B: Backend>(backend: &B, arguments: &Arguments, run: &mut Run) -> Result<(), Failure> {
    for scenario in arguments.scenarios() {
        match scenario {
            Scenario::Publish => publish::run(backend, run)?,
            Scenario::Consume => consume::run(backend, run)?,
            Scenario::Statements => statements::run(backend, run)?,
            Scenario::Latency => latency::run(backend, run)?,
            Scenario::Scaling => scaling::run(backend, run)?,
        }
        // Whatever happens later.
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
        Chosen::Postgres => steps_on::<Postgres>(arguments, sizes),
        Chosen::Mariadb => steps_on::<Mariadb>(arguments, sizes),
    });
    steps.sum()
}

fn steps_on<B: Backend>(arguments: &Arguments, sizes: &Sizes) -> usize {
    let scenarios = arguments.scenarios().into_iter();
    let steps = scenarios.map(|scenario| match scenario {
        Scenario::Publish => publish::steps::<B>(sizes),
        Scenario::Consume => consume::steps(sizes),
        Scenario::Statements => statements::steps(),
        Scenario::Latency => latency::steps::<B>(sizes),
        Scenario::Scaling => scaling::steps(sizes),
    });
    steps.sum()
}
