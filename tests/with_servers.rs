//! cargo run -p persisting-message-bus-tests --bin with-servers -- cargo test --workspace --all-features
//!
//! Starts a PostgreSQL and a MariaDB server, runs the command with their addresses in POSTGRES_URL
//! and MARIADB_URL, and stops them again: also when the command fails, and when this program is
//! interrupted. When it is killed, servers and command end too, and only their folders
//! stay. Its exit code is the command's.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-servers <command> [<argument>...]");
        return ExitCode::from(2);
    };
    let (sender, interrupted) = channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more when the command has ended.
        let _ended = sender.send(());
    })
    .expect("a handler of signals");
    let postgres = PostgresServer::start();
    let mariadb = MariadbServer::start();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(arguments)
        .env("POSTGRES_URL", postgres.url())
        .env("MARIADB_URL", mariadb.url());
    code_of(run(command, &interrupted))
}

/// Runs the command in a process group of its own, which is ended when we are interrupted.
fn run(mut command: Command, interrupted: &Receiver<()>) -> ExitStatus {
    let mut child = match command.process_group(0).spawn() {
        Ok(child) => child,
        Err(cause) => {
            eprintln!("{command:?}: {cause}");
            return ExitStatus::from_raw(127 << 8);
        }
    };
    let group = Pid::from_raw(child.id().cast_signed());
    loop {
        if interrupted.recv_timeout(Duration::from_millis(50)).is_ok() {
            // What is left of the group after the first signal gets the second.
            let _gone = killpg(group, Signal::SIGTERM);
            std::thread::sleep(Duration::from_millis(500));
            let _gone = killpg(group, Signal::SIGKILL);
        }
        if let Some(status) = child.try_wait().expect("a status") {
            return status;
        }
    }
}

fn code_of(status: ExitStatus) -> ExitCode {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
