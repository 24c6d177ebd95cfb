use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::{Process, folder_of, free_port, tail, wait_until_ready};

const USER: &str = "www-data";

/// An nginx between the tests and servers of theirs. Dropping this stops it.
///
/// It also ends with the thread that started it.
pub struct Nginx {
    _process: Process,
    _folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts Debian's nginx with these locations, and its own defaults for everything else.
    pub fn start(locations: &str) -> Self {
        let folder = folder_of(USER);
        // Another process may have taken the port first.
        for _ in 0..5 {
            let port = free_port();
            let configuration = folder.path().join("nginx.conf");
            fs::write(&configuration, settings(folder.path(), port, locations)).expect("a file");
            // Debian has it in a folder that is on the PATH of root only.
            let mut command = Command::new("/usr/sbin/nginx");
            command.arg("-c").arg(&configuration);
            // Replaces the compiled-in file, which only root can write.
            command.args(["-e", "stderr"]);
            let log = folder.path().join("log");
            let mut process = Process::start(&command, USER, Signal::SIGTERM, &log);
            if wait_until_ready(&mut process, port, || true) {
                return Self {
                    _process: process,
                    _folder: folder,
                    address: SocketAddr::from(([127, 0, 0, 1], port)),
                };
            }
            eprintln!("nginx does not start:\n{}", tail(&log));
        }
        panic!("nginx does not start: ./test installs the package nginx-light");
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address as the beginning of a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Returns a configuration. Debian turns gzip on; the folders replace those that only root can
/// write.
fn settings(folder: &Path, port: u16, locations: &str) -> String {
    let folder = folder.display();
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\ngzip on;\n{folders}\
         server {{\nlisten 127.0.0.1:{port};\n{locations}\n}}\n}}\n"
    )
}
