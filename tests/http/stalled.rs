//! Many clients that ask, and then take nothing, or wait: what the server has in memory for them.

use std::io::{Read, Write};
use std::iter;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::requests::{Response, connect, request};
use super::resuming::ship;
use super::server_process::{ServerProcess, Settings};

const CLIENTS: usize = 100;
const MEBIBYTE: usize = 1024 * 1024;
/// With what the process has anyway. Half a mebibyte for each client is more.
const BOUND: u64 = 80 * MEBIBYTE as u64;
const STREAM: (&str, &str) = ("accept", "text/event-stream");

/// More than what the buffers of a connection take.
fn large_topic() -> Sqlite {
    let database = Sqlite::create();
    // No packing makes it small.
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
        bytes_under_way: 8 * MEBIBYTE,
        longest_transfer: Duration::from_millis(50),
        waiters: CLIENTS,
    }
}

/// Connections that have asked, and do not read.
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

/// Asks until it is granted.
fn is_served(address: SocketAddr, headers: &[(&str, &str)]) {
    let begun = Instant::now();
    loop {
        let mut connection = connect(address);
        let request = request("/orders?limit=1", headers);
        connection.write_all(request.as_bytes()).unwrap();
        let mut begin = [0; 12];
        connection.read_exact(&mut begin).unwrap();
        match &begin {
            b"HTTP/1.0 200" => return,
            other => assert_eq!(other, b"HTTP/1.0 503"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
}

fn who_takes_nothing_is_sent_away(headers: &[(&str, &str)]) {
    let database = large_topic();
    let server = ServerProcess::start(&database, &settings());
    is_served(server.address, headers);
    let (sockets, memory) = (server.sockets(), server.most_memory());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stalled = runtime.block_on(stalled(server.address, headers));
    let begun = Instant::now();
    while server.sockets() > sockets {
        let open = server.sockets() - sockets;
        let elapsed = begun.elapsed();
        assert!(
            elapsed < Duration::from_secs(60),
            "{open} are open still, {} bytes",
            server.most_memory()
        );
        thread::sleep(Duration::from_millis(20));
    }
    let most = server.most_memory();
    eprintln!("{CLIENTS} stalled clients: {memory} bytes before, {most} at most");
    assert!(most < BOUND, "{most} bytes");
    is_served(server.address, headers);
    drop(stalled);
}

const WAITING: usize = 500;
/// For each that waits.
const BOUND_OF_ONE: u64 = 64 * 1024;

#[test]
fn five_hundred_clients_wait_in_little_memory() {
    let database = Sqlite::create();
    let settings = Settings {
        longest_transfer: Duration::from_secs(60),
        waiters: WAITING,
        ..settings()
    };
    let server = ServerProcess::start(&database, &settings);
    is_served(server.address, &[]);
    let (sockets, before) = (server.sockets(), server.most_memory());
    let mut clients: Vec<_> = (0..WAITING)
        .map(|_| {
            let mut client = connect(server.address);
            let request = request("/orders?timeout=30000", &[]);
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    // All of them wait, or are about to.
    while server.sockets() < sockets + WAITING {
        thread::yield_now();
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
fn who_takes_nothing_of_a_page_is_sent_away() {
    who_takes_nothing_is_sent_away(&[]);
}

#[test]
fn who_takes_nothing_of_a_packed_page_is_sent_away() {
    who_takes_nothing_is_sent_away(&[("accept-encoding", "gzip")]);
}

#[test]
fn who_takes_nothing_of_a_stream_is_sent_away() {
    who_takes_nothing_is_sent_away(&[STREAM]);
}
