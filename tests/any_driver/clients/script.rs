//! Programs in Python and PHP. They read a command from each line, and answer with a line.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use persisting_message_bus::sql::PublishStatement;
use serde_json::json;

use super::Client;

/// The drivers of Python.
const DRIVERS: [&str; 2] = ["psycopg[binary]==3.3.9", "PyMySQL==1.2.4"];

pub struct Script {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Script {
    pub fn python(url: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/any_driver/clients/publish.py");
        Self::start("Python", Command::new(python()).args([script, url]))
    }

    pub fn php(url: &str) -> Self {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/any_driver/clients/publish.php"
        );
        Self::start("PHP", Command::new("php").args([script, url]))
    }

    fn start(name: &'static str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program: tests/install-servers installs it");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self {
            name,
            child,
            input,
            output,
        }
    }

    fn ask(&mut self, command: &serde_json::Value) -> Result<(), String> {
        let input = self.input.as_mut().expect("an open pipe");
        writeln!(input, "{command}").expect("a pipe");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("an answer");
        match answer.trim_end() {
            "ok" => Ok(()),
            "" => panic!("{} has ended", self.name),
            error => Err(error.to_owned()),
        }
    }
}

impl Client for Script {
    fn name(&self) -> &str {
        self.name
    }

    fn execute(&mut self, sql: &str) -> Result<(), String> {
        self.ask(&json!({ "execute": sql }))
    }

    fn publish(&mut self, order: u64) -> Result<(), String> {
        let payload = json!({ "order": order, "note": "" }).to_string();
        self.ask(&json!({ "publish": payload }))
    }

    fn run(&mut self, statement: &PublishStatement) -> Result<(), String> {
        panic!("{statement:?} is for clients in Rust")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The program ends when its input ends.
        self.input = None;
        let _status = self.child.wait();
    }
}

/// Returns Python with the drivers, which it installs once.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drivers");
        let python = folder.join("bin/python");
        if !has_drivers(&python) {
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let mut install = Command::new(&python);
            run(install
                .args(["-m", "pip", "install", "--quiet"])
                .args(DRIVERS));
        }
        python
    })
}

fn has_drivers(python: &Path) -> bool {
    let import = Command::new(python)
        .args(["-c", "import psycopg, pymysql"])
        .stderr(Stdio::null())
        .status();
    import.is_ok_and(|status| status.success())
}

fn run(command: &mut Command) {
    let status = command.status().expect("Python");
    assert!(status.success(), "{command:?}");
}
