//! A process with two consumers that are divided by key. Tests kill it, freeze it, and ask it to stop.
//!
//! This program starts itself again as such a process: see `worker`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use std::time::Duration;
use std::{env, process, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{
    EventSet, FailurePolicy, Keyed, Message, MessageConsumer, OnAdded, ParallelConsumer,
    RetryPolicy, Runner,
};
use persisting_message_bus_tests::clocks::{Hours, set_clock};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::waiting::wait_until;
use serde::{Deserialize, Serialize};

use super::records::Record;
use super::sql::{Sql, effects};
use super::topic::{Both, Moves, Numbered, Steps};

/// The consumer with an external handler, which records the messages that it begins.
pub const TELLER: &str = "teller";

/// The consumer with a transactional handler, which inserts an effect for each message.
pub const PAYER: &str = "payer";

/// The largest page of both consumers, unless a task says otherwise.
pub const PAGE: usize = 20;

/// Makes this process a worker, and tells it what to do.
const TASK: &str = "SEGMENTS_WORKER";

/// What a worker does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    pub address: String,
    /// The file to which the tellers of all processes append their records.
    pub records: String,
    /// The number of the process.
    pub process: u32,
    /// The number of threads of each consumer.
    pub threads: usize,
    /// The number of segments, if the consumers are not divided yet.
    pub segments: u16,
    pub lease: Duration,
    /// The largest page of both consumers.
    pub page: usize,
    /// The error of the process's clock.
    pub clock: Hours,
    /// How long each call of a handler takes.
    pub pause: Duration,
    /// Whether the payer handles whole pages.
    pub pays_pages: bool,
    /// Whether its event set has the added message type.
    pub is_wider: bool,
    /// Whether both consumers read payments, too, which are on another topic.
    pub reads_payments: bool,
    /// The message at which the teller never returns.
    pub stuck_at: Option<u64>,
    /// The message at which a consumer's handler ends the process.
    pub aborts_at: Option<(String, u64)>,
}

/// The body of a worker, if the environment variable is set. Passes otherwise.
#[test]
fn worker() {
    let Ok(task) = env::var(TASK) else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    if task.address.starts_with("postgres") {
        work_on::<Postgres>(task);
    } else if task.address.starts_with("mysql") {
        work_on::<Mariadb>(task);
    } else {
        work_on::<Sqlite>(task);
    }
}

fn work_on<D: Sql>(task: Task) {
    if task.reads_payments {
        work::<D, Both>(task);
    } else if task.is_wider {
        work::<D, Moves>(task);
    } else {
        work::<D, Steps>(task);
    }
}

/// Runs both consumers until the input ends.
fn work<D: Sql, S: Keyed + Numbered + 'static>(task: Task) {
    let task = Arc::new(task);
    let address = task.address.clone();
    let runner = Runner::new(move || Ok::<_, io::Error>(D::connect_at(&address)))
        .idle_interval(Duration::from_millis(50));
    let running = with_payer::<D, S>(with_teller::<D, S>(runner, &task), &task).start();
    io::stdin().lines().for_each(drop);
    let exits = running.stop_within(Duration::from_secs(30)).unwrap();
    assert!(exits.iter().all(|exit| exit.error.is_none()), "{exits:?}");
}

fn with_teller<D: Sql, S: Keyed + Numbered + 'static>(
    runner: Runner<D::Connection>,
    task: &Arc<Task>,
) -> Runner<D::Connection> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(&task.records);
    let (own, file) = (Arc::clone(task), Arc::new(file.unwrap()));
    let make = move || {
        let (task, file) = (Arc::clone(&own), Arc::clone(&file));
        let consumer = MessageConsumer::external(TELLER, move |message: &Message<S>| {
            task.tell(&file, message)
        });
        own.set(consumer)
    };
    runner.parallel(task.divide(ParallelConsumer::by_key(make)))
}

fn with_payer<D: Sql, S: Keyed + Numbered + 'static>(
    runner: Runner<D::Connection>,
    task: &Arc<Task>,
) -> Runner<D::Connection> {
    let own = Arc::clone(task);
    if task.pays_pages {
        let make = move || {
            let task = Arc::clone(&own);
            let handler = move |bus: &mut D::Connection, page: &[Message<S>]| {
                effects(bus, page.iter().map(|message| message.payload().numbers()))?;
                thread::sleep(task.pause);
                Ok(())
            };
            own.set(MessageConsumer::transactional_pages(PAYER, handler))
        };
        return runner.parallel(task.divide(ParallelConsumer::by_key(make)));
    }
    let make = move || {
        let task = Arc::clone(&own);
        let handler = move |bus: &mut D::Connection, message: &Message<S>| {
            let (order, number) = message.payload().numbers();
            effects(bus, [(order, number)])?;
            task.disturb(PAYER, number);
            Ok(())
        };
        own.set(MessageConsumer::transactional(PAYER, handler))
    };
    runner.parallel(task.divide(ParallelConsumer::by_key(make)))
}

impl Task {
    /// Records a message at its beginning.
    fn tell<S: EventSet + Numbered>(
        &self,
        mut file: &File,
        message: &Message<S>,
    ) -> Result<(), HandlerError> {
        let (order, number) = message.payload().numbers();
        let record = Record {
            process: self.process,
            order,
            number,
            token: message.fencing_token(),
        };
        // One write, so records of several processes do not mix, and a kill tears none apart.
        file.write_all(record.to_line().as_bytes())?;
        self.disturb(TELLER, number);
        if self.stuck_at == Some(number) {
            loop {
                thread::park();
            }
        }
        Ok(())
    }

    fn set<S: EventSet, H>(&self, consumer: MessageConsumer<S, H>) -> MessageConsumer<S, H> {
        let retry = RetryPolicy::default()
            .initial_delay(Duration::ZERO)
            .max_attempts(2)
            .on_exhausted(FailurePolicy::Park);
        consumer
            .page_size(self.page)
            .lease_duration(self.lease)
            .time_slice(Duration::from_millis(50))
            .on_added(OnAdded::FromNow)
            .retry(retry)
    }

    fn divide<S: EventSet, H>(&self, consumer: ParallelConsumer<S, H>) -> ParallelConsumer<S, H> {
        consumer.segments(self.segments).threads(self.threads)
    }

    /// Ends the process at its message, and otherwise pauses, so that signals hit a random moment of
    /// much work.
    fn disturb(&self, consumer: &str, number: u64) {
        if let Some((guilty, at)) = &self.aborts_at
            && guilty == consumer
            && *at == number
        {
            process::abort();
        }
        thread::sleep(self.pause);
    }
}

/// A worker process.
pub struct Worker {
    process: Child,
    pub number: u32,
}

impl Worker {
    pub fn start(task: &Task) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["worker::worker", "--exact", "--nocapture"])
            .env(TASK, serde_json::to_string(task).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        if task.clock != 0 {
            set_clock(&mut command, task.clock);
        }
        Self {
            process: command.spawn().unwrap(),
            number: task.process,
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Asks it to stop.
    pub fn end(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Returns whether it has ended, and checks that it ended well.
    pub fn has_ended_well(&mut self) -> bool {
        let ended = self.process.try_wait().unwrap();
        if let Some(ended) = ended {
            assert!(ended.success(), "worker {}: {ended}", self.number);
        }
        ended.is_some()
    }

    /// Returns whether it has ended, however it did.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Asks it to stop, and waits until it has released everything.
    pub fn stop(mut self) {
        self.end();
        wait_until("the worker stops", || self.has_ended_well());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
