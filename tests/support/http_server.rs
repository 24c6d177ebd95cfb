//! An HTTP server on a free port.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use tokio::runtime::{Builder, Runtime};

/// A running server. Dropping this closes its connections and stops it.
pub struct HttpServer {
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl HttpServer {
    pub fn start(router: Router) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), router)
    }

    /// Starts a server again at the address of an earlier one.
    pub fn start_at(address: SocketAddr, router: Router) -> Self {
        let listener = TcpListener::bind(address).expect("a free address");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(thread_name(address))
            .enable_all()
            .build()
            .expect("a runtime");
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        drop(entered);
        runtime.spawn(async { axum::serve(listener, router).await });
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of the server's threads.
    pub fn threads(&self) -> usize {
        let name = thread_name(self.address);
        let threads = fs::read_dir("/proc/self/task").expect("threads");
        let names = threads.map(|thread| fs::read_to_string(thread?.path().join("comm")));
        // Some threads may end during the count.
        names
            .filter(|found| found.as_ref().is_ok_and(|found| found.trim() == name))
            .count()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A connection to PostgreSQL must not outlive the libraries of the program.
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

fn thread_name(address: SocketAddr) -> String {
    format!("http {}", address.port())
}
