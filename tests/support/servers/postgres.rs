use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::{Process, as_user, folder_of, free_port, run, tail, wait_until_ready};

const USER: &str = "postgres";

/// A PostgreSQL server with an empty cluster, which ends and goes away when it is dropped.
///
/// It ends with the thread that started it, too.
pub struct PostgresServer {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
}

impl PostgresServer {
    /// Starts one that does not care for a loss of power.
    pub fn start() -> Self {
        Self::start_with(&["fsync=off"])
    }

    /// Starts one with settings such as `fsync=on`.
    pub fn start_with(settings: &[&str]) -> Self {
        let folder = folder_of(USER);
        let mut initialise = Command::new(program("initdb"));
        initialise
            .args(["--auth=trust", "--username=postgres", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "-D"])
            .arg(folder.path().join("data"));
        run(as_user(USER, Signal::SIGTERM, &initialise));
        let mut server = Self {
            process: None,
            folder,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
        };
        // Somebody else may have been faster to take the port.
        for _ in 0..5 {
            if server.try_start_again() {
                return server;
            }
            server.port = free_port();
        }
        panic!("PostgreSQL does not start:\n{}", tail(&server.log()));
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends every connection and stops.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends it as a crash would.
    ///
    /// After a SIGKILL, its busy connections would go on, and keep it from starting again.
    pub fn kill(&mut self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGQUIT);
        }
        self.process = None;
    }

    /// Starts it again after it was stopped or killed: with its data, on its port.
    pub fn start_again(&mut self) {
        self.process = None;
        assert!(
            self.try_start_again(),
            "PostgreSQL does not start again:\n{}",
            tail(&self.log())
        );
    }

    /// One of PostgreSQL's programs, with the address of this server.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres");
        command
    }

    fn try_start_again(&mut self) -> bool {
        let mut command = Command::new(program("postgres"));
        command.arg("-D").arg(self.data());
        let socket = format!("unix_socket_directories={}", self.folder.path().display());
        let port = format!("port={}", self.port);
        let fixed = [
            "listen_addresses=127.0.0.1",
            "max_connections=400",
            "max_prepared_transactions=20",
            &port,
            &socket,
        ];
        let settings = self.settings.iter().map(String::as_str);
        for setting in fixed.into_iter().chain(settings) {
            command.args(["-c", setting]);
        }
        // SIGINT is PostgreSQL's fast shutdown.
        let mut process = Process::start(&command, USER, Signal::SIGINT, &self.log());
        let is_ready = || {
            // By its socket: on the port may be the server that was faster to take it.
            let mut ask = self.command("pg_isready");
            let ready = ask.arg("-q").env("PGHOST", self.folder.path()).status();
            ready.is_ok_and(|status| status.success())
        };
        let ready = wait_until_ready(&mut process, self.port, is_ready);
        self.process = ready.then_some(process);
        ready
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Where Debian has them, which is not in the PATH.
fn program(name: &str) -> PathBuf {
    let folder = Command::new("pg_config")
        .arg("--bindir")
        .output()
        .expect("pg_config, of the package libpq-dev: ./test installs what is needed");
    let folder = String::from_utf8(folder.stdout).expect("a path in UTF-8");
    let program = PathBuf::from(folder.trim()).join(name);
    assert!(
        program.exists(),
        "{} is missing: ./test installs the package postgresql",
        program.display()
    );
    program
}
