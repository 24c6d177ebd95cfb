use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum, value_parser};

use crate::against;
use crate::sizes::Sizes;

#[derive(Parser)]
#[command(
    name = "benchmark",
    about = "Measures the library against the databases' drivers, or against another commit"
)]
#[command(after_help = against::names_of_rows())]
pub struct Arguments {
    /// The databases [default: all]
    #[arg(value_enum)]
    databases: Vec<Chosen>,
    /// The scenarios [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Shorter rounds with fewer messages
    #[arg(long)]
    quick: bool,
    /// Tables of up to ten million rows, which take long to fill
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// The smallest amounts, which only show that everything runs
    #[arg(long, conflicts_with_all = ["quick", "full"], hide = true)]
    pub tiny: bool,
    /// The number of rounds for each way
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// The folder for results.json, report.md and the plots; with --against, for against.json
    #[arg(long, default_value = "target/benchmarks")]
    pub report: PathBuf,
    #[command(flatten)]
    pub compared: against::Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Chosen {
    Sqlite,
    Postgres,
    Mariadb,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The messages a second that are published
    Publish,
    /// The messages a second that a consumer handles
    Consume,
    /// The statements that the library runs for both, and how long they take
    Statements,
    /// The time from the commit to the handler, and the cost of an idle consumer
    Latency,
    /// Publishing and consuming with more rows, topics and consumers, and a consumer's memory
    Scaling,
    /// The messages a second that many threads and processes handle for one consumer
    Parallel,
    /// Async connections to PostgreSQL, beside tokio-postgres and beside sync ones
    Awaited,
}

impl Arguments {
    /// Parses the arguments. Ends the program if they are invalid.
    pub fn parse_or_exit() -> Self {
        let arguments = Self::parse();
        if let Err(problem) = arguments.compared.check(arguments.tiny) {
            let error = Self::command().error(ErrorKind::ValueValidation, problem);
            error.exit();
        }
        arguments
    }

    pub fn databases(&self) -> Vec<Chosen> {
        all_or(&self.databases)
    }

    pub fn scenarios(&self) -> Vec<Scenario> {
        all_or(&self.only)
    }

    pub fn includes(&self, scenario: Scenario) -> bool {
        self.scenarios().contains(&scenario)
    }

    pub fn sizes(&self) -> Sizes {
        let mut sizes = match self {
            Self { quick: true, .. } => Sizes::quick(),
            Self { full: true, .. } => Sizes::full(),
            Self { tiny: true, .. } => Sizes::tiny(),
            _ => Sizes::usual(),
        };
        if let Some(rounds) = self.rounds {
            sizes.rounds = rounds.into();
        }
        sizes
    }
}

fn all_or<T: ValueEnum + Clone>(chosen: &[T]) -> Vec<T> {
    match chosen {
        [] => T::value_variants().to_vec(),
        _ => chosen.to_vec(),
    }
}
