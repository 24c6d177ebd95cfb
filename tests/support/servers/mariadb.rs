use std::env;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::{Process, as_user, folder_of, free_port, run, tail, wait_until_ready};

const USER: &str = "mysql";

/// A MariaDB server with an empty database, `bus`. Dropping this stops the server and deletes its
/// data.
///
/// The server also ends with the thread that started it.
pub struct MariadbServer {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
}

impl MariadbServer {
    /// Starts a server that does not protect its data from a power failure.
    pub fn start() -> Self {
        Self::start_with(&["--innodb-flush-log-at-trx-commit=2"])
    }

    /// Starts a server with options such as `--innodb-flush-log-at-trx-commit=1`.
    pub fn start_with(settings: &[&str]) -> Self {
        let folder = folder_of(USER);
        let mut initialise = Command::new(program("mariadb-install-db"));
        initialise
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", "--skip-name-resolve"])
            .arg(format!("--datadir={}/data", folder.path().display()))
            .arg(tmpdir(&folder));
        run(as_user(USER, Signal::SIGTERM, &initialise));
        let mut server = Self {
            process: None,
            folder,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
        };
        // Another process may have taken the port first.
        for _ in 0..5 {
            if server.try_start_again() {
                let mut create = server.command("mariadb");
                create.args(["-e", "CREATE DATABASE bus"]);
                run(create);
                return server;
            }
            server.port = free_port();
        }
        panic!("MariaDB does not start:\n{}", tail(&server.log()));
    }

    /// Returns the address of the database.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/bus", self.port)
    }

    /// Closes every connection and stops the server.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Kills the server, as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGKILL);
        }
        self.process = None;
    }

    /// Starts the server again after it was stopped or killed, with its data and on its port.
    pub fn start_again(&mut self) {
        self.process = None;
        assert!(
            self.try_start_again(),
            "MariaDB does not start again:\n{}",
            tail(&self.log())
        );
    }

    /// Returns a command that runs one of MariaDB's programs with the address of this server.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command
            .args([
                "--no-defaults",
                "--protocol=tcp",
                "--host=127.0.0.1",
                "--user=root",
            ])
            .arg(format!("--port={}", self.port));
        command
    }

    fn try_start_again(&mut self) -> bool {
        let folder = self.folder.path().display();
        let mut command = Command::new(program("mariadbd"));
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1"])
            .args(["--skip-name-resolve", "--innodb-log-file-size=64M"])
            .args(["--max-connections=400", "--innodb-buffer-pool-size=256M"])
            .arg("--character-set-server=utf8mb4")
            .arg(format!("--port={}", self.port))
            .arg(format!("--datadir={folder}/data"))
            .arg(tmpdir(&self.folder))
            .arg(format!("--socket={folder}/socket"))
            .arg(format!("--pid-file={folder}/pid"))
            .args(&self.settings);
        let mut process = Process::start(&command, USER, Signal::SIGTERM, &self.log());
        let is_ready = || {
            // The check uses the socket, because another server may have taken the port.
            let mut ask = Command::new(program("mariadb-admin"));
            ask.args(["--no-defaults", "--user=root", "ping"])
                .arg(format!("--socket={folder}/socket"));
            let ping = ask.output();
            ping.is_ok_and(|output| output.status.success())
        };
        let ready = wait_until_ready(&mut process, self.port, is_ready);
        self.process = ready.then_some(process);
        ready
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Returns a private temporary folder. A starting server deletes all temporary tables that it
/// finds, which in a shared folder would include those of other servers.
fn tmpdir(folder: &TempDir) -> String {
    format!("--tmpdir={}", folder.path().display())
}

/// Returns the path of a program. Debian has the server in a folder that is on the PATH of root
/// only.
fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.exists())
        .unwrap_or_else(|| {
            panic!("{name} is missing: ./test installs the packages mariadb-server and -client")
        })
}
