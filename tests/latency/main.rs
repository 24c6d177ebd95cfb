//! cargo run --release -p persisting-message-bus-tests --bin latency
//!
//! Measures how long it takes from a commit to the start of an external handler, in a runner on its
//! default settings, and how many statements such a consumer runs while it has nothing to do. On
//! servers of its own, which like the SQLite file survive a loss of power: each commit waits for the
//! disk.

mod backends;
mod idle;
mod pace;
mod publish;
mod report;

use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};

use self::backends::{Backend, Mariadb, Postgres, Sqlite};
use self::pace::Pace;
use self::report::Report;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures latency and idle cost")]
struct Arguments {
    /// On which databases [default: all]
    #[arg(value_enum)]
    databases: Vec<Database>,
    /// Messages a second, in even gaps
    #[arg(long, value_delimiter = ',', default_values_t = [200, 50, 10], value_parser = value_parser!(u32).range(1..))]
    even: Vec<u32>,
    /// Messages a second on average, in random gaps: exponentially distributed
    #[arg(long, value_delimiter = ',', default_values_t = [10], value_parser = value_parser!(u32).range(1..))]
    random: Vec<u32>,
    /// How long to publish at each rate
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
    seconds: u32,
    /// How long to watch an idle consumer; 0 for not at all
    #[arg(long, default_value_t = 30)]
    idle_seconds: u32,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
    Mariadb,
}

fn main() -> Result<(), Failure> {
    let mut arguments = Arguments::parse();
    if arguments.databases.is_empty() {
        arguments.databases = Database::value_variants().to_vec();
    }
    let mut report = Report::new(persisting_message_bus_tests::seed());
    for database in &arguments.databases {
        match database {
            Database::Sqlite => measure::<Sqlite>(&arguments, &mut report)?,
            Database::Postgres => measure::<Postgres>(&arguments, &mut report)?,
            Database::Mariadb => measure::<Mariadb>(&arguments, &mut report)?,
        }
    }
    if arguments.json {
        println!("{:#}", report.to_json());
    } else {
        println!("{report}");
    }
    Ok(())
}

fn measure<B: Backend>(arguments: &Arguments, report: &mut Report) -> Result<(), Failure> {
    let backend = B::start()?;
    let even = arguments.even.iter().copied().map(Pace::even);
    let random = arguments.random.iter().copied().map(Pace::random);
    let paces: Vec<_> = even.chain(random).collect();
    let duration = Duration::from_secs(arguments.seconds.into());
    for nudged in [false, true] {
        for pace in &paces {
            eprintln!(
                "{}: {pace}{}",
                B::NAME,
                if nudged { ", nudged" } else { "" }
            );
            let mut random = fastrand::Rng::with_seed(report.seed);
            let latencies = publish::latencies(&backend, pace, nudged, duration, &mut random)?;
            report.add_latencies(B::NAME, pace, nudged, latencies);
        }
    }
    if arguments.idle_seconds > 0 {
        eprintln!("{}: idle", B::NAME);
        let duration = Duration::from_secs(arguments.idle_seconds.into());
        let statements = idle::statements(&backend, duration)?;
        report.add_idle(B::NAME, statements as f64 / duration.as_secs_f64());
    }
    Ok(())
}
