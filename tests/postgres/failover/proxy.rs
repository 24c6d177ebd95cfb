//! A proxy whose server can be exchanged, so that the address of the database stays.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A TCP proxy on the loopback interface.
pub struct Proxy {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// The port of the server.
    server: u16,
    open: Vec<TcpStream>,
}

impl Proxy {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared {
            server,
            open: Vec::new(),
        }));
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The server may be dead. Then the client is disconnected.
                let _dead = forward(client, &serving);
            }
        });
        Self { port, shared }
    }

    /// Returns the address of the database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Cuts all connections, and forwards new ones to another server.
    pub fn switch_to(&self, server: u16) {
        let mut shared = self.shared.lock().unwrap();
        shared.server = server;
        for stream in shared.open.drain(..) {
            // The connection may have ended.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }
}

fn forward(client: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut shared = shared.lock().unwrap();
    let server = TcpStream::connect(("127.0.0.1", shared.server))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        shared.open.push(stream.try_clone()?);
    }
    let ways = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (mut from, mut to) in ways {
        thread::spawn(move || {
            // Either side may end the connection; then both end.
            let _ended = copy(&mut from, &mut to);
            let _ended = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}
