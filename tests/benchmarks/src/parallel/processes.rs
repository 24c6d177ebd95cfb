//! Measures the rate of several processes together.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;
use uuid::Uuid;

use super::settings::Settings;
use super::{by_hand, child};
use crate::with_driver::WithDriver;

/// The longest time until each process handles messages.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the messages a second that all processes handle together.
pub fn rate<B: WithDriver>(
    database: &Database<'_, B>,
    way: &str,
    settings: Settings,
    (measured, messages): (Duration, u64),
) -> Result<f64, Failure> {
    let consumer = format!("parallel {}", Uuid::now_v7());
    let mut processes = Vec::new();
    // A pool by hand cannot share a consumer, so it is one process with all threads.
    let (started, each) = if way == by_hand::WAY {
        let threads = settings.threads * settings.processes;
        (
            1,
            Settings {
                threads,
                ..settings
            },
        )
    } else {
        (settings.processes, settings)
    };
    for _ in 0..started {
        processes.push(Process::start::<B>(&database.url, way, &consumer, each)?);
    }
    let begun = Instant::now();
    while !processes
        .iter_mut()
        .map(Process::handled)
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .all(|it| *it > 0)
    {
        if begun.elapsed() > PATIENCE {
            return Err("a process has handled nothing in 60 s".into());
        }
        sleep(Duration::from_millis(10));
    }
    if !settings.is_fast() {
        // Pages grow at first, and processes that are new find their share.
        sleep(measured / 2);
    }
    let (before, begun) = (all(&mut processes)?, Instant::now());
    let mut after = before;
    while begun.elapsed() < measured && after < messages {
        sleep(Duration::from_millis(5));
        after = all(&mut processes)?;
    }
    let elapsed = begun.elapsed();
    if after == before {
        return Err("all messages were handled before anything was measured".into());
    }
    Ok((after - before) as f64 / elapsed.as_secs_f64())
}

fn all(processes: &mut [Process]) -> Result<u64, Failure> {
    processes.iter_mut().map(Process::handled).sum()
}

/// A process that handles messages. Dropping this ends it.
struct Process {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start<B: WithDriver>(
        url: &str,
        way: &str,
        consumer: &str,
        settings: Settings,
    ) -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .args([child::NAME, B::NAME, url, way, consumer])
            .arg(settings.to_argument()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().ok_or("the process has no input")?;
        let answers = child.stdout.take().ok_or("the process has no output")?;
        Ok(Self {
            child,
            ask,
            answers: BufReader::new(answers),
        })
    }

    /// Returns the number of messages that the process has handled.
    fn handled(&mut self) -> Result<u64, Failure> {
        writeln!(self.ask)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The leases of a process that is killed expire, and nothing waits for them here.
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}
