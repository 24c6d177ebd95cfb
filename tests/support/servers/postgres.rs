use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::{Process, as_user, folder_of, free_port, run, tail, wait_until_ready};

const USER: &str = "postgres";

/// The environment variable with the folder of the programs `initdb` and `postgres` of another
/// version than the installed one.
pub const PROGRAMS: &str = "POSTGRES_PROGRAMS";

/// A PostgreSQL server with an empty cluster. Dropping this stops the server and deletes its data.
///
/// The server also ends with the thread that started it.
pub struct PostgresServer {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    /// The folder of programs of another version.
    programs: Option<PathBuf>,
}

impl PostgresServer {
    /// Starts a server that does not protect its data from a power failure.
    pub fn start() -> Self {
        Self::start_with(&["fsync=off"])
    }

    /// Starts a server with settings such as `fsync=on`.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_from(env::var_os(PROGRAMS).map(PathBuf::from), settings)
    }

    /// Starts a server of the version whose programs are in a folder; `None` is the installed one.
    pub fn start_from(programs: Option<PathBuf>, settings: &[&str]) -> Self {
        let folder = folder_of(USER);
        let mut initialise = Command::new(of_version(programs.as_deref(), "initdb"));
        initialise
            .args(["--auth=trust", "--username=postgres", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "-D"])
            .arg(folder.path().join("data"));
        run(as_user(USER, Signal::SIGTERM, &initialise));
        let settings = settings.iter().map(ToString::to_string).collect();
        Self::start_in(folder, settings, programs)
    }

    /// Starts a server with the data in a folder.
    fn start_in(folder: TempDir, settings: Vec<String>, programs: Option<PathBuf>) -> Self {
        let mut server = Self {
            process: None,
            folder,
            port: free_port(),
            settings,
            programs,
        };
        // Another process may have taken the port first.
        for _ in 0..5 {
            if server.try_start_again() {
                return server;
            }
            server.port = free_port();
        }
        panic!("PostgreSQL does not start:\n{}", tail(&server.log()));
    }

    /// Returns the address of the database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts a hot standby, which receives the changes of this server asynchronously.
    pub fn start_standby(&self) -> Self {
        let folder = folder_of(USER);
        let mut copy = Command::new(program("pg_basebackup"));
        copy.args(["--host=127.0.0.1", "--username=postgres", "--no-sync"])
            .args(["--write-recovery-conf", "--checkpoint=fast"])
            .arg(format!("--port={}", self.port))
            .arg("-D")
            .arg(folder.path().join("data"));
        run(as_user(USER, Signal::SIGTERM, &copy));
        Self::start_in(folder, self.settings.clone(), self.programs.clone())
    }

    /// Returns the port of the loopback interface on which the server listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Closes every connection and stops the server.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends the server, as a crash would.
    ///
    /// SIGKILL is not used, because busy connections would survive it and keep the server from
    /// starting again.
    pub fn kill(&mut self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGQUIT);
        }
        self.process = None;
    }

    /// Ends the server as the failure of its machine would: no client receives a last message.
    ///
    /// All processes get SIGKILL, except for the first one, which must remove the shared memory.
    pub fn kill_at_once(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill_children(Signal::SIGQUIT);
        }
    }

    /// Starts the server again after it was stopped or killed, with its data and on its port.
    pub fn start_again(&mut self) {
        self.process = None;
        assert!(
            self.try_start_again(),
            "PostgreSQL does not start again:\n{}",
            tail(&self.log())
        );
    }

    /// Returns a command that runs one of PostgreSQL's programs with the address of this server.
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
        let mut command = Command::new(of_version(self.programs.as_deref(), "postgres"));
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
            // The check uses the socket, because another server may have taken the port.
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

/// Returns the path of a program of the server's version.
fn of_version(programs: Option<&Path>, name: &str) -> PathBuf {
    programs.map_or_else(|| program(name), |programs| programs.join(name))
}

/// Returns the path of a program. Debian's folder for them is not on the PATH.
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
