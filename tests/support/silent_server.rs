//! Servers that accept connections and do not answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use diesel::{Connection, ConnectionResult, PgConnection};

/// A server that accepts connections and says nothing, until it is dropped.
pub struct SilentServer {
    port: u16,
    accepted: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl SilentServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (accepted, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, ends) = (Arc::clone(&accepted), Arc::clone(&is_over));
        thread::spawn(move || {
            let mut kept = Vec::new();
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                kept.push(client);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            port,
            accepted,
            is_over,
        }
    }

    /// Returns the address of a PostgreSQL database on this server.
    pub fn postgres_url(&self) -> String {
        format!("postgres://user@127.0.0.1:{}/nothing", self.port)
    }

    /// Returns the address of a MySQL database on this server.
    pub fn mysql_url(&self) -> String {
        format!("mysql://user@127.0.0.1:{}/nothing", self.port)
    }

    /// Returns a closure that connects to this server the first times that it is called, and then to
    /// another one.
    pub fn before(
        &self,
        url: String,
        times: usize,
    ) -> impl Fn() -> ConnectionResult<PgConnection> + use<> {
        let (nowhere, attempts) = (self.postgres_url(), AtomicUsize::new(0));
        move || {
            let is_early = attempts.fetch_add(1, Ordering::SeqCst) < times;
            PgConnection::establish(if is_early { &nowhere } else { &url })
        }
    }

    /// Returns the number of connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for SilentServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread, which closes all connections.
        let _refused = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A proxy that stops forwarding while it is paused, as a network that drops packets.
pub struct PausableProxy {
    port: u16,
    pause: Arc<Pause>,
}

#[derive(Default)]
struct Pause {
    is_paused: Mutex<bool>,
    changed: Condvar,
    held_back: AtomicUsize,
}

impl Pause {
    fn set(&self, is_paused: bool) {
        *self.is_paused.lock().expect("no panic") = is_paused;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let paused = self.is_paused.lock().expect("no panic");
        if *paused {
            self.held_back.fetch_add(1, Ordering::SeqCst);
        }
        let waited = self.changed.wait_while(paused, |paused| *paused);
        drop(waited.expect("no panic"));
    }
}

impl PausableProxy {
    /// Returns the address of a server through a new proxy, and the proxy.
    pub fn before(url: &str) -> (String, Self) {
        let (credentials, rest) = url.split_once('@').expect("an address with a user");
        let (server, path) = rest.split_once('/').expect("an address with a database");
        let proxy = Self::to(server.to_owned());
        let url = format!("{credentials}@127.0.0.1:{}/{path}", proxy.port);
        (url, proxy)
    }

    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let pause = Arc::<Pause>::default();
        let paused = Arc::clone(&pause);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).expect("a connection to the server");
                for (from, to) in [
                    (client.try_clone(), server.try_clone()),
                    (Ok(server), Ok(client)),
                ] {
                    let (from, to) = (from.expect("a socket"), to.expect("a socket"));
                    let pause = Arc::clone(&paused);
                    thread::spawn(move || forward(from, to, &pause));
                }
            }
        });
        Self { port, pause }
    }

    pub fn pause(&self) {
        self.pause.set(true);
    }

    /// Returns how often something was held back.
    pub fn held_back(&self) -> usize {
        self.pause.held_back.load(Ordering::SeqCst)
    }

    pub fn resume(&self) {
        self.pause.set(false);
    }
}

impl Drop for PausableProxy {
    fn drop(&mut self) {
        self.resume();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, pause: &Pause) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut bytes) {
        pause.wait();
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // The other side may have ended the connection.
    let _ended = to.shutdown(std::net::Shutdown::Both);
}
