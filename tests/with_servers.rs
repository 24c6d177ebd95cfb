//! cargo run -p persisting-message-bus-tests --bin with-servers -- cargo test --workspace --all-features
//!
//! Starts a PostgreSQL and a MariaDB server, runs the command with their addresses in POSTGRES_URL
//! and MARIADB_URL, and stops both servers. It also stops them when the command fails and when this
//! program is interrupted. When this program is killed, the servers and the command end too, and
//! only their folders stay. Its exit code is that of the command, or 128 plus the signal that ended
//! it.
//!
//! `with-servers --postgres 17 <command>` starts PostgreSQL 16, 17 or 18 in place of the installed
//! version: see `tests/install-postgres`. The servers that the tests start are of that version, too.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use persisting_message_bus_tests::servers::{MariadbServer, PROGRAMS, PostgresServer};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The time that an interrupted command has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let is_chosen = arguments.first().is_some_and(|first| first == "--postgres");
    let version = (is_chosen && arguments.len() > 1).then(|| arguments.drain(..2).nth(1));
    if arguments.is_empty() {
        eprintln!("usage: with-servers [--postgres 16|17|18] <command> [<argument>...]");
        return ExitCode::from(2);
    }
    let Ok(programs) = version.flatten().map(installed).transpose() else {
        return ExitCode::from(2);
    };
    let mut signals =
        Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM]).expect("a handler of signals");
    // The command ends with this program, even on SIGKILL, because it cannot work without servers.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(arguments);
    if let Some(programs) = &programs {
        command.env(PROGRAMS, programs);
    }
    let code = with_servers(programs, |postgres, mariadb| {
        command
            .env("POSTGRES_URL", postgres)
            .env("MARIADB_URL", mariadb);
        run(command, &mut signals)
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Installs a version of PostgreSQL, and returns the folder of its programs. The installation
/// explains a failure.
fn installed(version: OsString) -> Result<PathBuf, ()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install-postgres");
    let mut install = Command::new(script);
    let output = install.arg(version).stderr(Stdio::inherit()).output();
    let output = output.map_err(|cause| eprintln!("{install:?}: {cause}"))?;
    if !output.status.success() {
        return Err(());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// Calls `run` with the addresses of two servers. Both start and stop at the same time.
fn with_servers(programs: Option<PathBuf>, run: impl FnOnce(String, String) -> i32) -> i32 {
    thread::scope(|scope| {
        let (started, mariadb) = channel();
        let (done, is_done) = channel::<()>();
        // This thread must stay, because the server ends with it.
        scope.spawn(move || {
            let mariadb = MariadbServer::start();
            // The send fails if the other server did not start.
            let _told = started.send(mariadb.url());
            let _done = is_done.recv();
        });
        let postgres = PostgresServer::start_from(programs, &["fsync=off"]);
        let mariadb = mariadb.recv().expect("a MariaDB server");
        let code = run(postgres.url(), mariadb);
        drop(done);
        code
    })
}

/// Runs the command in its own process group, and ends that group when this program is interrupted.
fn run(mut command: Command, signals: &mut Signals) -> i32 {
    let mut child = command.process_group(0).spawn().expect("setpriv");
    loop {
        for signal in signals.wait() {
            if signal != SIGCHLD {
                end(&mut child);
                return 128 + signal;
            }
            if let Some(status) = child.try_wait().expect("a status") {
                return code_of(status);
            }
        }
    }
}

/// Asks the process group of the command to end, and kills the rest of it.
fn end(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    let _gone = killpg(group, Signal::SIGTERM);
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        // Until its status is read, the process counts as a member of the group.
        child.try_wait().expect("a status");
        if killpg(group, None).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _gone = killpg(group, Signal::SIGKILL);
    child.wait().expect("a status");
}

fn code_of(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(1)
}
