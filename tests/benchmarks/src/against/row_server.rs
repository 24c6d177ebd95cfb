use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use benchmark_rows::serving::{Answer, Command, NAME, Places};
use benchmark_rows::{Done, Failure};

/// A running row server with its version of the library. Dropping this ends it.
pub struct RowServer {
    /// The name in errors.
    name: String,
    process: Child,
    /// The input of the program, which ends when this is closed.
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl RowServer {
    /// Starts a row server, and returns it with the names of its rows.
    pub fn start(
        program: &Path,
        name: &str,
        places: Places,
    ) -> Result<(Self, Vec<String>), Failure> {
        let mut process = Process::new(program)
            .arg(NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| format!("{}: {cause}", program.display()))?;
        let commands = process.stdin.take();
        let answers = process.stdout.take().ok_or("a row server without output")?;
        let mut server = Self {
            name: name.to_owned(),
            process,
            commands,
            answers: BufReader::new(answers).lines(),
        };
        match server.ask(&Command::Begin(places))? {
            Answer::Rows(rows) => Ok((server, rows)),
            other => Err(server.unexpected(&other)),
        }
    }

    /// Runs a turn of a row.
    pub fn turn(&mut self, row: &str) -> Result<Done, Failure> {
        match self.ask(&Command::Run(row.to_owned()))? {
            Answer::Done(Done { messages: 0, .. }) => {
                Err(format!("{}: {row}: there were no messages", self.name).into())
            }
            Answer::Done(done) => Ok(done),
            other => Err(self.unexpected(&other)),
        }
    }

    fn ask(&mut self, command: &Command) -> Result<Answer, Failure> {
        let line = serde_json::to_string(command)?;
        let told = self
            .commands
            .as_ref()
            .map(|mut input| writeln!(input, "{line}"));
        // The exit status of the process is a better error than a closed pipe.
        let answer = match told {
            Some(Ok(())) => self.answers.next(),
            _ => None,
        };
        let Some(answer) = answer else {
            let status = self.process.wait()?;
            return Err(format!("{}: the row server has ended: {status}", self.name).into());
        };
        let answer = answer?;
        serde_json::from_str(&answer)
            .map_err(|cause| format!("{}: {cause}: {answer}", self.name).into())
    }

    fn unexpected(&self, answer: &Answer) -> Failure {
        match answer {
            Answer::Failed(cause) => format!("{}: {cause}", self.name).into(),
            other => format!("{}: an answer to another question: {other:?}", self.name).into(),
        }
    }
}

impl Drop for RowServer {
    fn drop(&mut self) {
        self.commands = None;
        // The process removes its databases. They disappear with their servers at the latest.
        let _ended = self.process.wait();
    }
}
