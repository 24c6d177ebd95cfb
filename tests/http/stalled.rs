//! The server's memory for many clients that send a request and then wait, or do not read the
//! answer.

use std::io::{Read, Write};
use std::iter;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_for;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::requests::{Response, connect, request};
use super::resuming::ship;
use super::server_process::{ServerProcess, Settings};

const CLIENTS: usize = 100;
const MEBIBYTE: usize = 1024 * 1024;
/// The memory bound of the process, including its base. Half a mebibyte for each client would
/// exceed it.
const BOUND: u64 = 80 * MEBIBYTE as u64;
const STREAM: (&str, &str) = ("accept", "text/event-stream");

/// Creates a topic whose page is larger than the buffers of a connection.
fn large_topic() -> Sqlite {
    let database = Sqlite::create();
    // Random text does not compress well.
    let note = || iter::repeat_with(fastrand::alphanumeric).take(64 * 1024);
    let large = |order| OrderPlaced {
        order,
        note: note().collect(),
    };
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut database.connect(), (1..=400).map(large))
        .unwrap();
    database
}

fn settings() -> Settings {
    Settings {
        page_bytes: 4 * MEBIBYTE,
        max_in_flight_bytes: 8 * MEBIBYTE,
        transfer_timeout: Duration::from_millis(50),
        waiters: CLIENTS,
    }
}

/// Opens connections that send a request and do not read the answer.
async fn stalled(address: SocketAddr, headers: &[(&str, &str)]) -> Vec<TcpStream> {
    let request = request("/orders", headers);
    let mut stalled = Vec::new();
    for _ in 0..CLIENTS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut connection = socket.connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        stalled.push(connection);
    }
    stalled
}

/// Repeats a request until it is served.
fn is_served(address: SocketAddr, headers: &[(&str, &str)]) {
    wait_for("the request is served", || {
        let mut connection = connect(address);
        let request = request("/orders?limit=1", headers);
        connection.write_all(request.as_bytes()).unwrap();
        let mut begin = [0; 12];
        connection.read_exact(&mut begin).unwrap();
        match &begin {
            b"HTTP/1.0 200" => Ok(()),
            other => {
                assert_eq!(other, b"HTTP/1.0 503");
                Err("the server is busy")
            }
        }
    });
}

/// Sends a request, so that the server has taken the memory for one. Returns the number of sockets
/// that are open when the connection of that request is closed.
fn after_a_request(server: &ServerProcess, headers: &[(&str, &str)]) -> usize {
    let sockets = server.sockets();
    is_served(server.address, headers);
    wait_for("the server closes the connection", || {
        let open = server.sockets();
        if open <= sockets { Ok(()) } else { Err(open) }
    });
    sockets
}

fn assert_stalled_clients_are_disconnected(headers: &[(&str, &str)]) {
    let database = large_topic();
    let server = ServerProcess::start(&database, &settings());
    let (sockets, memory) = (after_a_request(&server, headers), server.most_memory());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stalled = runtime.block_on(stalled(server.address, headers));
    wait_for("the server disconnects the clients", || {
        let open = server.sockets().saturating_sub(sockets);
        if open == 0 {
            Ok(())
        } else {
            Err(format!("{open} are open, {} bytes", server.most_memory()))
        }
    });
    let most = server.most_memory();
    eprintln!("{CLIENTS} stalled clients: {memory} bytes before, {most} at most");
    assert!(most < BOUND, "{most} bytes");
    is_served(server.address, headers);
    drop(stalled);
}

const WAITING: usize = 500;
/// The memory bound for each waiting client, in bytes.
const BOUND_OF_ONE: u64 = 64 * 1024;

#[test]
fn five_hundred_clients_wait_in_little_memory() {
    let database = Sqlite::create();
    let settings = Settings {
        transfer_timeout: Duration::from_secs(60),
        waiters: WAITING,
        ..settings()
    };
    let server = ServerProcess::start(&database, &settings);
    let (sockets, before) = (after_a_request(&server, &[]), server.most_memory());
    let mut clients: Vec<_> = (0..WAITING)
        .map(|_| {
            let mut client = connect(server.address);
            let request = request("/orders?timeout=30000", &[]);
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    // By then, all clients wait or are about to.
    let begun = Instant::now();
    while server.sockets() < sockets + WAITING {
        // Requests end after 30 seconds: then the count falls again.
        let elapsed = begun.elapsed();
        assert!(
            elapsed < Duration::from_secs(25),
            "not all clients are connected after {elapsed:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
    is_served(server.address, &[]);
    ship(&mut database.connect(), 1);
    for client in &mut clients {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(Response::parse(&answer).orders(), [1]);
    }
    let more = server.most_memory() - before;
    eprintln!("{WAITING} waiting clients: {more} bytes more than {before}");
    assert!(more < BOUND_OF_ONE * WAITING as u64, "{more} bytes");
}

#[test]
fn a_client_that_does_not_read_its_page_is_disconnected() {
    assert_stalled_clients_are_disconnected(&[]);
}

#[test]
fn a_client_that_does_not_read_its_compressed_page_is_disconnected() {
    assert_stalled_clients_are_disconnected(&[("accept-encoding", "gzip")]);
}

#[test]
fn a_client_that_does_not_read_its_stream_is_disconnected() {
    assert_stalled_clients_are_disconnected(&[STREAM]);
}
