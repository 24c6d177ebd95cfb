//! The servers of the tests start and stop as they should.
//!
//! This program starts itself again as a holder of servers: see `holder`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection, PgConnection};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use persisting_message_bus_tests::waiting::wait_for;

const FOLDER: &str = "HOLDER_FOLDER";

/// The body of a holder, if the environment variable is set. It starts both servers and waits until
/// it is killed. Passes otherwise.
#[test]
fn holder() {
    if env::var_os(FOLDER).is_none() {
        return;
    }
    let _servers = (PostgresServer::start(), MariadbServer::start());
    say_started_and_wait();
}

fn say_started_and_wait() {
    println!("\nstarted");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
}

/// Returns a command whose temporary files are in the folder.
fn in_folder(program: impl AsRef<Path>, folder: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .env("TMPDIR", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Creates a folder that servers of any user can access.
fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn read_until(line: &str, child: &mut Child) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|found| found.unwrap() == line));
}

/// Returns the processes that use the folder.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|process| process.path().join("cmdline"))
        .filter(|path| fs::read_to_string(path).is_ok_and(|line| line.contains(folder)))
        .collect()
}

fn assert_nothing_runs_in(folder: &Path) {
    wait_for("the processes end", || {
        let processes = processes_in(folder);
        processes.is_empty().then_some(()).ok_or(processes)
    });
}

#[test]
fn servers_end_with_a_holder_that_is_killed() {
    let folder = folder();
    let mut holder = in_folder(env::current_exe().unwrap(), folder.path())
        .args(["holder", "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .spawn()
        .unwrap();
    read_until("started", &mut holder);
    assert!(processes_in(folder.path()).len() >= 2);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_nothing_runs_in(folder.path());
}

/// Returns `with-servers` with a command, in a folder.
fn with_servers(folder: &Path, script: &str) -> Command {
    let mut command = in_folder(env!("CARGO_BIN_EXE_with-servers"), folder);
    command.args(["sh", "-c", script]);
    command
}

#[test]
fn with_servers_returns_the_exit_code_and_leaves_nothing() {
    for code in [0, 7] {
        let folder = folder();
        let script = format!("test -n \"$POSTGRES_URL$MARIADB_URL\" && exit {code}");
        let status = with_servers(folder.path(), &script).status().unwrap();
        assert_eq!(status.code(), Some(code));
        assert!(processes_in(folder.path()).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn with_servers_leaves_nothing_when_it_is_interrupted() {
    // The exit code of the command is ignored because it was interrupted.
    let script = "trap 'exit 0' TERM; echo started; sleep 1000 & wait";
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let folder = folder();
        let mut child = with_servers(folder.path(), script).spawn().unwrap();
        read_until("started", &mut child);
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(128 + signal as i32));
        assert!(processes_in(folder.path()).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn with_servers_leaves_no_process_when_it_is_killed() {
    let folder = folder();
    let wait = "exec sh -c 'echo started; while :; do sleep 1; done'";
    let script = format!("{wait} {}", folder.path().display());
    let mut child = with_servers(folder.path(), &script).spawn().unwrap();
    read_until("started", &mut child);
    assert!(processes_in(folder.path()).len() >= 4);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_nothing_runs_in(folder.path());
}

#[test]
fn a_server_that_was_killed_starts_again_with_its_data() {
    let mut postgres = PostgresServer::start();
    let mut mariadb = MariadbServer::start();
    let (postgres_url, mariadb_url) = (postgres.url(), mariadb.url());
    let create = "CREATE TABLE kept (id INTEGER)";
    PgConnection::establish(&postgres_url)
        .unwrap()
        .batch_execute(create)
        .unwrap();
    MysqlConnection::establish(&mariadb_url)
        .unwrap()
        .batch_execute(create)
        .unwrap();
    postgres.kill();
    mariadb.kill();
    assert!(PgConnection::establish(&postgres_url).is_err());
    assert!(MysqlConnection::establish(&mariadb_url).is_err());
    postgres.start_again();
    mariadb.start_again();
    let select = "SELECT * FROM kept";
    PgConnection::establish(&postgres_url)
        .unwrap()
        .batch_execute(select)
        .unwrap();
    MysqlConnection::establish(&mariadb_url)
        .unwrap()
        .batch_execute(select)
        .unwrap();
}
