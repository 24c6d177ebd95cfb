//! A process with a runner that tests kill, freeze, or give a wrong clock.
//!
//! This program starts itself again as such a process: see `worker`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use std::{env, io, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server, connect_sqlite};
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};

const DATABASE: &str = "WORKER_DATABASE";

pub const LEASE: Duration = Duration::from_millis(1_500);
pub const PAGE: usize = 20;

/// The body of a worker, if the environment variable is set. Passes otherwise.
#[test]
fn worker() {
    let Ok(url) = env::var(DATABASE) else {
        return;
    };
    if url.starts_with("postgres:") {
        work(move || Postgres::connect_to(&url));
    } else if url.starts_with("mysql:") {
        work(move || Mariadb::connect_to(&url));
    } else {
        work(move || connect_sqlite(&url));
    }
}

/// Runs one consumer that prints the orders that it handles, and one that pays each exactly once.
fn work<B>(connect: impl Fn() -> B + Send + Sync + 'static)
where
    B: MessageSource
        + MessageConsumerState
        + MessageRepository
        + MessageSource
        + TransactionControlOn<B>
        + Send
        + 'static,
{
    let teller = MessageConsumer::<Orders>::external("teller", |message: &Message<Orders>| {
        println!("\nhandled {}", message.payload().order());
        io::stdout().flush()?;
        // A pause, so that the signals hit a random moment of much work.
        thread::sleep(Duration::from_millis(2));
        Ok(())
    });
    let payer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut B, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            Ok(())
        },
    );
    let running = Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(50))
        .consumer(teller.page_size(PAGE).lease_duration(LEASE))
        .consumer(payer.page_size(PAGE).lease_duration(LEASE))
        .start();
    // Runs until the parent process ends.
    io::stdin().lines().for_each(drop);
    drop(running);
}

/// A worker process, and the orders that it reports.
pub struct Worker {
    process: Child,
    pub handled: Receiver<u64>,
}

impl Worker {
    pub fn start(url: &str) -> Self {
        Self::start_with(url, |_| ())
    }

    /// Starts a worker whose command is changed first.
    pub fn start_with(url: &str, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["worker::worker", "--exact", "--nocapture"])
            .env(DATABASE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        change(&mut command);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, handled) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(order) = line.strip_prefix("handled ") {
                    let _ended = sender.send(order.parse().unwrap());
                }
            }
        });
        Self { process, handled }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
