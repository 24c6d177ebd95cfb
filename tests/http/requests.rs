//! Requests written to the connection directly, without a client library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::serving::Serving;

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// Parses everything that came on a connection until it was closed.
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the numbers of a page's orders.
    pub fn orders(&self) -> Vec<u64> {
        assert_eq!(self.status, 200, "{self:?}");
        let events = self.json();
        let events = events.as_array().unwrap().iter();
        events
            .map(|event| event["data"]["order"].as_u64().unwrap())
            .collect()
    }

    /// Asserts that the answer is a problem of this status, and returns its text.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Serving {
    pub fn get(&self, target: &str) -> Response {
        self.get_with(target, &[])
    }

    pub fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        get(self.address, target, headers)
    }

    /// Returns the status, and an iterator over the lines of the body as they arrive.
    pub fn lines(
        &self,
        target: &str,
        headers: &[(&str, &str)],
    ) -> (u16, impl Iterator<Item = String> + use<>) {
        lines(self.address, target, headers)
    }
}

pub fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = connect(address);
    connection
        .write_all(request(target, headers).as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    Response::parse(&answer)
}

pub fn lines(
    address: SocketAddr,
    target: &str,
    headers: &[(&str, &str)],
) -> (u16, impl Iterator<Item = String> + use<>) {
    let mut connection = connect(address);
    connection
        .write_all(request(target, headers).as_bytes())
        .unwrap();
    let mut lines = BufReader::new(connection).lines().map(Result::unwrap);
    let status = lines.next().unwrap();
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(
        lines.by_ref().any(|line| line.is_empty()),
        "the end of the head"
    );
    (status, lines)
}

/// Returns a request in HTTP/1.0, whose answers come in one piece and end with the connection.
pub fn request(target: &str, headers: &[(&str, &str)]) -> String {
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    format!(
        "GET {target} HTTP/1.0\r\nhost: here\r\n{}\r\n",
        headers.collect::<String>()
    )
}

/// Opens a connection with timeouts.
pub fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    let timeout = Some(Duration::from_secs(60));
    connection.set_read_timeout(timeout).unwrap();
    connection.set_write_timeout(timeout).unwrap();
    connection
}
