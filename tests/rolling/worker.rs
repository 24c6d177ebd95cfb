//! A process of one program. Tests kill it.
//!
//! This program starts itself again as such a process: see `worker`.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io, thread};

use diesel::connection::SimpleConnection;
use persisting_message_bus::{EventSet, Message, MessageConsumer, OnAdded, RetryPolicy, Runner};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Sqlite};

use super::letters::{Larger, Letters, Program, older};
use super::records::Log;
use super::sql::Sql;

/// The consumer whose handler writes to a file of its process.
pub const EXTERNAL: &str = "external";
/// The consumer whose handler writes to the table of effects.
pub const TRANSACTIONAL: &str = "transactional";

const LEASE: Duration = Duration::from_millis(300);
const PAGE: usize = 20;

/// Environment variables of a worker: the database, the program, its log, and its number.
pub const ADDRESS: &str = "ROLLING_DATABASE";
pub const PROGRAM: &str = "ROLLING_PROGRAM";
pub const LOG: &str = "ROLLING_LOG";
pub const NUMBER: &str = "ROLLING_NUMBER";

/// The body of a worker, if the environment variables are set. Passes otherwise.
#[test]
fn worker() {
    let Ok(address) = env::var(ADDRESS) else {
        return;
    };
    if address.starts_with("postgres:") {
        run::<Postgres>(address);
    } else if address.starts_with("mysql:") {
        run::<Mariadb>(address);
    } else {
        run::<Sqlite>(address);
    }
}

/// What all consumers of a process share.
#[derive(Clone)]
struct Process {
    address: String,
    log: PathBuf,
    number: String,
}

fn run<D: Sql>(address: String) {
    let process = Process {
        address,
        log: env::var(LOG).unwrap().into(),
        number: env::var(NUMBER).unwrap(),
    };
    match Program::named(&env::var(PROGRAM).unwrap()) {
        Program::Smaller => start::<D, older::Smaller>(&process, None),
        Program::Larger(added) => start::<D, Larger>(&process, Some(added)),
        Program::Older => start::<D, older::Letters>(&process, None),
        Program::Newer => start::<D, Letters>(&process, None),
    }
    // Runs until the parent process ends.
    io::stdin().lines().for_each(drop);
}

/// Starts both consumers.
fn start<D: Sql, S: EventSet + 'static>(process: &Process, added: Option<OnAdded>) {
    let mut log = Log::open(&process.log);
    let external = MessageConsumer::<S>::external(EXTERNAL, move |message: &Message<S>| {
        log.handled(message.position().get(), message.message_type())?;
        // A pause, so that the kills hit a random moment of much work.
        thread::sleep(Duration::from_micros(500));
        Ok(())
    });
    let number = process.number.clone();
    let transactional = MessageConsumer::<S>::transactional(
        TRANSACTIONAL,
        move |bus: &mut D::Connection, message: &Message<S>| {
            let (position, message_type) = (message.position().get(), message.message_type());
            bus.batch_execute(&format!(
                "INSERT INTO effects (process, position, type) \
                 VALUES ({number}, {position}, '{message_type}')"
            ))?;
            Ok(())
        },
    );
    let mut external = external.page_size(PAGE).lease_duration(LEASE);
    let mut transactional = transactional.page_size(PAGE).lease_duration(LEASE);
    if let Some(added) = added {
        external = external.on_added(added);
        transactional = transactional.on_added(added);
    }
    keep_running(runner::<D>(process).consumer(external), &process.log);
    keep_running(runner::<D>(process).consumer(transactional), &process.log);
}

fn runner<D: Sql>(process: &Process) -> Runner<D::Connection> {
    let address = process.address.clone();
    let retry = RetryPolicy::default()
        .initial_delay(Duration::from_millis(2))
        .max_delay(Duration::from_millis(30))
        // Each kill while a suspect message is at work counts as an attempt.
        .max_attempts(1_000);
    Runner::new(move || Ok::<_, io::Error>(D::connect_to(&address)))
        .idle_interval(Duration::from_millis(20))
        .retry(retry)
}

/// Runs a consumer, which must not stop by itself.
fn keep_running<B>(runner: Runner<B>, log: &Path)
where
    B: persisting_message_bus::backend::MessageSource
        + persisting_message_bus::backend::MessageConsumerState
        + Send
        + 'static,
{
    let (running, mut log) = (runner.start(), Log::open(log));
    thread::spawn(move || {
        for exit in running.join() {
            let reason = exit.error.map(|error| format!("{error:#}"));
            let reason = format!("{}: {}", exit.consumer, reason.unwrap_or_default());
            log.stopped(&reason).unwrap();
        }
    });
}
