use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use super::process::{Process, folder_of, free_port, tail, wait_until_ready};

const USER: &str = "postgres";

/// A pgbouncer between the tests and a PostgreSQL server. Dropping this stops it.
///
/// It also ends with the thread that started it.
pub struct Pgbouncer {
    _process: Process,
    _folder: TempDir,
    port: u16,
}

impl Pgbouncer {
    /// Starts Debian's pooler for the server at a port, with settings such as `pool_mode = session`.
    pub fn start(server_port: u16, settings: &str) -> Self {
        // Debian has it in a folder that is on the PATH of root only.
        Self::start_program(Path::new("/usr/sbin/pgbouncer"), server_port, settings)
    }

    /// Starts a version that knows prepared statements.
    pub fn start_newer(server_port: u16, settings: &str) -> Self {
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("install-pgbouncer");
        let output = Command::new(install)
            .stderr(Stdio::inherit())
            .output()
            .expect("tests/install-pgbouncer");
        assert!(output.status.success(), "tests/install-pgbouncer failed");
        let program = String::from_utf8(output.stdout).expect("a path in UTF-8");
        Self::start_program(Path::new(program.trim()), server_port, settings)
    }

    fn start_program(program: &Path, server_port: u16, settings: &str) -> Self {
        let folder = folder_of(USER);
        let path = folder.path();
        // Another process may have taken the port first.
        for _ in 0..5 {
            let port = free_port();
            let users = path.join("users");
            write(&users, "\"postgres\" \"\"\n");
            let configuration = path.join("pgbouncer.ini");
            write(
                &configuration,
                &format!(
                    "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n[pgbouncer]\n\
                     listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                     auth_type = any\nauth_file = {}\n{settings}\n",
                    users.display()
                ),
            );
            let mut command = Command::new(program);
            command.arg(&configuration);
            let log = path.join("log");
            let mut process = Process::start(&command, USER, Signal::SIGINT, &log);
            if wait_until_ready(&mut process, port, || true) {
                return Self {
                    _process: process,
                    _folder: folder,
                    port,
                };
            }
            eprintln!("pgbouncer does not start:\n{}", tail(&log));
        }
        panic!("pgbouncer does not start: ./test installs the package pgbouncer");
    }

    /// Returns the address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// Writes a file that the pooler's user can read.
fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    if geteuid().is_root() {
        let user = User::from_name(USER).expect("a list of users");
        let user = user.unwrap_or_else(|| panic!("no user {USER}"));
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        chown(path, Some(uid), Some(gid)).expect("a file of the user");
    }
}
