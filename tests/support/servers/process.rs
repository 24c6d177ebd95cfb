//! A server process that does not outlive the thread that started it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

/// The time that a server has to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
///
/// The server gets `stop_signal` when the *thread* that started it ends, for whatever reason.
pub struct Process {
    child: Child,
    stop_signal: Signal,
}

impl Process {
    /// Starts a server as `user`, or as the current user if that is not root.
    pub fn start(command: &Command, user: &str, stop_signal: Signal, log: &Path) -> Self {
        let log = fs::File::create(log).expect("a log file");
        let child = as_user(user, stop_signal, command)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("a server process");
        Self { child, stop_signal }
    }

    /// Returns whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_some()
    }

    /// Sends a signal to the server process only.
    pub fn signal(&self, signal: Signal) {
        // The process may have ended.
        let _gone = kill(self.pid(), signal);
    }

    /// Kills the child processes, and then sends a signal that ends the server process.
    pub fn kill_children(self, end: Signal) {
        let pid = self.pid();
        // A stopped process does not notice that its children end, and starts no others.
        self.signal(Signal::SIGSTOP);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("a list of child processes");
        for child in children.split_whitespace() {
            let child = child.parse().expect("a process id");
            // The process may have ended.
            let _gone = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        self.signal(end);
        self.signal(Signal::SIGCONT);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(self.stop_signal);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.signal(Signal::SIGKILL);
        drop(self.child.wait());
    }
}

/// Returns `command` as another user if the current user is root, because servers refuse to run as
/// root. The process gets `end_signal` when the thread that starts it ends.
pub fn as_user(user: &str, end_signal: Signal, command: &Command) -> Command {
    let signal = end_signal.as_str().trim_start_matches("SIG");
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", signal]);
    if geteuid().is_root() {
        wrapped.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    wrapped.arg("--").arg(command.get_program());
    wrapped.args(command.get_args());
    // The server must not inherit settings for clients, such as PGOPTIONS.
    wrapped
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    // Ctrl-C in the terminal must not reach the server, because it ends after its clients.
    wrapped.current_dir("/").process_group(0);
    wrapped
}

/// Runs a program until it ends.
pub fn run(mut command: Command) {
    let output = command
        .output()
        .unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Creates a folder that belongs to the user.
pub fn folder_of(user: &str) -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("message-bus-")
        .tempdir()
        .expect("a temporary folder");
    if geteuid().is_root() {
        let user = User::from_name(user)
            .expect("a list of users")
            .unwrap_or_else(|| panic!("no user {user}: ./test installs what is needed"));
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        chown(folder.path(), Some(uid), Some(gid)).expect("a folder of the user");
    }
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path(), private).expect("a private folder");
    folder
}

/// Returns a port that is free now. Another process may take it before the server does.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Waits until the server accepts connections and `is_ready`. Returns `false` if the server has
/// ended instead.
pub fn wait_until_ready(process: &mut Process, port: u16, is_ready: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if process.has_ended() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() && is_ready() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Returns the end of a server's log, for the panic that reports a failed start.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
