//! cargo run --release --bin flights -- flights-2013.csv.gz --database flights.db
//!
//! Streams the flights of a year (the CSV of the nycflights13 data set, gzip or plain) through a
//! topic in a SQLite file, with two consumers: delays per carrier, in the transaction that moves
//! the cursor, and an event set of the cancellations. Kill it at any moment and start it again: it
//! goes on where it stopped and ends with the same table.

mod file;
mod projections;
mod publish;
mod report;
mod topic;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use diesel::{Connection, SqliteConnection};
use persisting_message_bus::diesel::migrate;
use persisting_message_bus::diesel::sqlite::{Durability, Settings};

#[derive(Parser)]
#[command(about = "Streams a year of flights through a topic in SQLite")]
struct Arguments {
    /// The CSV file of flights, gzip or plain
    flights: PathBuf,
    /// The SQLite file, which keeps what is done between two runs
    #[arg(long, default_value = "flights.db")]
    database: String,
    /// How many lines of the file to publish in one transaction
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// How many messages to handle in one transaction
    #[arg(long, default_value_t = 5_000)]
    page: usize,
    /// For how many seconds a consumer that was killed keeps the next one out
    #[arg(long, default_value_t = 5.0)]
    lease: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut connection = SqliteConnection::establish(&arguments.database)?;
    // What a loss of power undoes here, the next run does again.
    Settings::default()
        .durability(Durability::Normal)
        .apply(&mut connection)?;
    migrate(&mut connection)?;
    projections::create_tables(&mut connection)?;
    app(&arguments, &mut connection)
}

fn app(arguments: &Arguments, connection: &mut SqliteConnection) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let published = publish::publish(&arguments.flights, arguments.batch, connection)?;
    report::speed("published", published, begun);

    let begun = Instant::now();
    let pages = projections::Pages {
        size: arguments.page,
        lease: Duration::try_from_secs_f64(arguments.lease)?,
    };
    let handled = projections::project_delays(&pages, connection)?;
    report::speed("projected", handled, begun);

    let begun = Instant::now();
    let handled = projections::count_cancellations(&pages, connection)?;
    report::speed("selected", handled, begun);

    println!("{}", report::table(connection)?);
    Ok(())
}
