//! cargo run --release --bin flights -- flights-2013.csv.gz
//!
//! Streams the flights of a year (the CSV of the nycflights13 data set, gzip or plain) through a
//! topic in a database. One consumer sums up the delays of each carrier, in the transaction that
//! moves the cursor. The other one counts cancellations with an event set. Kill the program at any
//! moment and start it again: it resumes where it stopped, and ends with the same table.
//!
//! The database is a SQLite file, or with `--features postgres,mysql` a server: `--database-url
//! postgres://localhost/flights`, `--database-url mysql://localhost/flights`.

mod file;
mod projections;
mod publish;
mod report;
mod store;
mod topic;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use diesel::{Connection, SqliteConnection};
use persisting_message_bus::sql::sqlite::{Durability, Settings};

use crate::store::Store;

#[derive(Parser)]
#[command(about = "Streams a year of flights through a topic in a database")]
struct Arguments {
    /// The CSV file of flights, gzip or plain
    flights: PathBuf,
    /// The database, which keeps the progress between runs: a SQLite file, postgres://... or
    /// mysql://...
    #[arg(long, default_value = "flights.db")]
    database_url: String,
    /// The number of lines to publish in one transaction
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// The number of messages to handle in one transaction
    #[arg(long, default_value_t = 5_000)]
    page: usize,
    /// The number of seconds for which a killed consumer keeps its lease
    #[arg(long, default_value_t = 5.0)]
    lease: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    match arguments.database_url.split_once("://") {
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => connect_and_run::<diesel::PgConnection>(&arguments),
        #[cfg(feature = "mysql")]
        Some(("mysql", _)) => connect_and_run::<diesel::MysqlConnection>(&arguments),
        Some((scheme, _)) => Err(format!(
            "{scheme}:// is not turned on: run with --features postgres or --features mysql"
        )
        .into()),
        None => {
            let mut connection = SqliteConnection::establish(&arguments.database_url)?;
            // A power failure may undo the last transactions. The next run repeats them.
            Settings::default()
                .durability(Durability::Normal)
                .apply(&mut connection)?;
            app(&arguments, &mut connection)
        }
    }
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
fn connect_and_run<C: Connection + Store>(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    app(arguments, &mut C::establish(&arguments.database_url)?)
}

fn app<C: Store>(arguments: &Arguments, connection: &mut C) -> Result<(), Box<dyn Error>> {
    connection.prepare()?;
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
