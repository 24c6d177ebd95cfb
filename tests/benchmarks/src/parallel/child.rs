//! A process that handles messages. For each line that it receives, it prints how many it has handled.

use std::io::{Write, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use benchmark_rows::Failure;
use benchmark_rows::backends::{Backend, Mariadb, Postgres, Sqlite};

use super::settings::Settings;
use super::{by_hand, library};
use crate::with_driver::WithDriver;

/// The first argument of the process. The name of the database, its address, the way, the name of the
/// consumer and the settings follow.
pub const NAME: &str = "handle-and-tell-number";

/// If this process is such a child, handles messages until its input ends.
pub fn run(arguments: &[String]) -> Option<Result<(), Failure>> {
    let [name, backend, url, way, consumer, settings] = arguments else {
        return None;
    };
    (name == NAME).then(|| {
        let settings = Settings::from_argument(settings)?;
        match backend.as_str() {
            Postgres::NAME => handle::<Postgres>(url, way, consumer, settings),
            Mariadb::NAME => handle::<Mariadb>(url, way, consumer, settings),
            _ => handle::<Sqlite<true>>(url, way, consumer, settings),
        }
    })
}

fn handle<B: WithDriver>(
    url: &str,
    way: &str,
    consumer: &str,
    settings: Settings,
) -> Result<(), Failure> {
    let handled = Arc::new(AtomicU64::new(0));
    let _running = if way == library::WAY {
        Some(library::start::<B>(
            url,
            consumer,
            settings,
            Arc::clone(&handled),
        )?)
    } else {
        by_hand::start::<B>(url, consumer, settings, &handled)?;
        None
    };
    for line in stdin().lines() {
        line?;
        println!("{}", handled.load(Ordering::Relaxed));
        stdout().flush()?;
    }
    Ok(())
}
