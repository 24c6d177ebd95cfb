//! An HTTP server that can be stopped and started again at its address.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use tokio::runtime::{Builder, Runtime};

/// A running server. Dropping this closes its connections and stops it.
pub struct Server {
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    pub fn start(router: Router) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), router)
    }

    pub fn start_at(address: SocketAddr, router: Router) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        });
        Self {
            address,
            runtime: Some(runtime),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A connection to PostgreSQL must not outlive the libraries of the program.
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}
