//! `browser` serves a page and a feed, and keeps no client that never finishes its request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ORIGIN: &str = "https://shop.example";

struct Browser {
    program: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_browser"))
            .args(["--address", "127.0.0.1:0", "--origin", ORIGIN])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(program.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self {
            program,
            address,
            _folder: folder,
        }
    }

    /// Sends the beginning of a request.
    fn send(&self, head: &str) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        let patience = Some(Duration::from_secs(60));
        connection.set_read_timeout(patience).unwrap();
        connection.write_all(head.as_bytes()).unwrap();
        connection
    }

    fn ask(&self, method: &str, target: &str, headers: &str) -> String {
        let request = format!("{method} {target} HTTP/1.0\r\nhost: here\r\n{headers}\r\n");
        let mut answer = String::new();
        self.send(&request).read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }
}

#[test]
fn a_page_and_a_feed_are_served_also_for_other_origins() {
    let browser = Browser::start();
    assert!(
        browser
            .ask("GET", "/", "")
            .contains("subscribe(\"/feeds/orders\"")
    );
    assert!(
        browser
            .ask("GET", "/subscribe.js", "")
            .contains("text/javascript")
    );
    for index in ["/feeds", "/feeds/"] {
        assert!(
            browser
                .ask("GET", index, "")
                .contains("\"topics\":[\"orders\"]")
        );
    }
    let events = "accept: text/event-stream\r\n";
    let stream = browser.send(&format!("GET /feeds/orders HTTP/1.0\r\n{events}\r\n"));
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "id: 2"));

    let allowed = format!("access-control-allow-origin: {ORIGIN}");
    let from = |origin: &str| format!("origin: {origin}\r\n");
    let page = browser.ask("GET", "/feeds/orders", &from(ORIGIN));
    assert!(page.contains(&allowed), "{page}");
    assert!(
        page.contains("access-control-expose-headers: feed-next,feed-head"),
        "{page}"
    );
    let preflight = from(ORIGIN)
        + "access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n";
    let preflight = browser.ask("OPTIONS", "/feeds/orders", &preflight);
    assert!(preflight.starts_with("HTTP/1.0 200"), "{preflight}");
    assert!(preflight.contains(&allowed), "{preflight}");
    let elsewhere = browser.ask("GET", "/feeds/orders", &from("https://other.example"));
    assert!(
        !elsewhere.contains("access-control-allow-origin"),
        "{elsewhere}"
    );
    assert!(
        !browser
            .ask("GET", "/", &from(ORIGIN))
            .contains("access-control")
    );
}

#[test]
fn a_client_that_never_finishes_its_request_is_disconnected() {
    let browser = Browser::start();
    let heads = ["", "GET", "GET /feeds/orders HTTP/1.1\r\nhost: here\r\n"];
    let begun = Instant::now();
    for mut connection in heads.map(|head| browser.send(head)) {
        // With or without an answer, the connection ends.
        let _answer = connection.read_to_end(&mut Vec::new());
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            begun.elapsed()
        );
    }
}
