//! Pages whose server ends while it sends them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use persisting_message_bus::backend::MessageSource;
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{Database, Memory};
use persisting_message_bus_tests::http_server::HttpServer;
use persisting_message_bus_tests::servers::Nginx;
use persisting_message_bus_tests::topics::{OrderShipped, Orders};

/// Returns the whole answer to a request.
fn answer(server: &HttpServer, request: &[u8]) -> Vec<u8> {
    let mut connection = std::net::TcpStream::connect(server.address).unwrap();
    connection.write_all(request).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    answer
}

/// nginx speaks HTTP/1.0 to its servers, where an answer without a length ends with the connection.
#[test]
fn a_page_that_is_cut_off_is_retried_and_not_taken_for_a_wrong_answer() {
    let database = Arc::new(Memory::create());
    let orders = (1..=2_000).map(|order| OrderShipped { order });
    persisting_message_bus::MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut database.connect(), orders)
        .unwrap();
    let connect = move || Ok::<_, std::convert::Infallible>(database.connect());
    let feed = Feed::new(connect, ["orders"]).unwrap().public();
    let server = HttpServer::start(feed.router());
    let request = b"GET /orders?after=0&limit=2000 HTTP/1.0\r\nhost: here\r\n\r\n";
    let whole = answer(&server, request);
    assert!(whole.len() > 100_000);
    // A server that sends a part of that answer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let part = whole[..whole.len() / 2].to_vec();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _request = connection.read(&mut [0; 4096]).unwrap();
            connection.write_all(&part).unwrap();
        }
    });
    let nginx = Nginx::start(&format!("location / {{ proxy_pass http://{address}; }}"));
    let mut source = HttpSource::new(nginx.url()).unwrap().max_attempts(1);
    let error = source.current_head("orders").unwrap_err();
    assert!(error.is_retryable(), "{error:#}");
    assert!(
        format!("{error:#}").contains("the answer is incomplete"),
        "{error:#}"
    );
}
