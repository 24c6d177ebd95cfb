//! The records of handled messages.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::letters::Program;

/// A handled message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The number of the process that handled it.
    pub process: usize,
    pub position: i64,
    pub message_type: String,
}

/// A file in which one process records what it has handled. It outlives the process.
pub struct Log(File);

impl Log {
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(file.unwrap())
    }

    pub fn handled(&mut self, position: i64, message_type: &str) -> io::Result<()> {
        self.write(&format!("handled {position} {message_type}"))
    }

    pub fn stopped(&mut self, reason: &str) -> io::Result<()> {
        self.write(&format!("stopped {}", reason.replace('\n', " ")))
    }

    /// Writes a line at once, so that a kill does not cut it off.
    fn write(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

/// Reads the log of a process, which must not have stopped by itself.
pub fn read(path: &Path, process: usize, program: Program) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let handled = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let ["handled", position, message_type] = words[..] else {
            panic!("process {process} ({program:?}) {line}");
        };
        Record {
            process,
            position: position.parse().unwrap(),
            message_type: message_type.to_owned(),
        }
    };
    text.lines().map(handled).collect()
}
