//! Processes that are started, killed and replaced.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use super::letters::Program;
use super::records::{self, Record};
use super::worker::{ADDRESS, LOG, NUMBER, PROGRAM};

/// The number of processes at the same time.
const PROCESSES: usize = 3;

pub struct Fleet {
    address: String,
    logs: TempDir,
    running: Vec<Process>,
    /// The programs of all processes that were ever started, by their numbers.
    pub started: Vec<Program>,
}

struct Process {
    program: Program,
    child: Child,
}

impl Fleet {
    pub fn new(address: String) -> Self {
        Self {
            address,
            logs: tempfile::tempdir().unwrap(),
            running: Vec::new(),
            started: Vec::new(),
        }
    }

    /// Ends each process of another program, and starts processes of these programs instead.
    pub fn leave_only(&mut self, programs: &[Program], random: &mut Rng) {
        self.running
            .retain(|process| programs.contains(&process.program));
        while self.running.len() < PROCESSES {
            self.start(programs, random);
        }
    }

    /// Kills processes at random moments, and replaces each by one of a random program.
    pub fn roll(&mut self, programs: &[Program], duration: Duration, random: &mut Rng) {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            // The kill hits a random moment.
            thread::sleep(Duration::from_millis(random.u64(10..150)));
            drop(self.running.remove(random.usize(..self.running.len())));
            self.start(programs, random);
        }
    }

    /// Kills all processes.
    pub fn end(&mut self) {
        self.running.clear();
    }

    fn start(&mut self, programs: &[Program], random: &mut Rng) {
        let program = programs[random.usize(..programs.len())];
        let number = self.started.len();
        let child = Command::new(env::current_exe().unwrap())
            .args(["worker::worker", "--exact", "--test-threads=1"])
            .env(ADDRESS, &self.address)
            .env(PROGRAM, program.name())
            .env(LOG, self.log(number))
            .env(NUMBER, number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.started.push(program);
        self.running.push(Process { program, child });
    }

    fn log(&self, number: usize) -> PathBuf {
        self.logs.path().join(number.to_string())
    }

    /// Returns what the external handlers have recorded, process by process.
    pub fn handled(&self) -> Vec<Record> {
        let started = self.started.iter().enumerate();
        started
            .flat_map(|(number, program)| records::read(&self.log(number), number, *program))
            .collect()
    }
}

impl Drop for Process {
    /// Kills the process, in any state.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
