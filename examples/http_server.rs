//! The HTTP server of the examples.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

/// Serves an application until the program ends.
///
/// `axum::serve` has no timeouts, so a client that never finishes its request would be kept for
/// ever.
// docs: serve
pub async fn serve(listener: TcpListener, app: Router) {
    loop {
        match listener.accept().await {
            Ok((connection, _)) => drop(tokio::spawn(serve_one(connection, app.clone()))),
            // Such as too many open files. The next connection may be possible.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve_one(connection: TcpStream, app: Router) -> Result<(), Box<dyn Error + Send + Sync>> {
    // With TCP_NODELAY, the end of a page does not wait until its beginning is acknowledged.
    connection.set_nodelay(true)?;
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10));
    let app = TowerToHyperService::new(app);
    server.serve_connection(TokioIo::new(connection), app).await
}
// docs: end
