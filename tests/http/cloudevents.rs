//! Pages, read with an independent implementation: the Python SDK of CloudEvents.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::{Headers, MessageDispatcher};
use persisting_message_bus_tests::databases::{Database, Memory};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use serde_json::Value;

use super::round_trip::{publish_strange_things, stored};
use super::serving::{Serving, TOPICS, feed_of};

const SDK: &str = "cloudevents==2.2.0";

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Returns a Python interpreter with the SDK, which is installed once.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cloudevents");
    let done = folder.join(SDK);
    fs::create_dir_all(&folder).unwrap();
    // Other processes that run this wait until the SDK is installed.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let python = folder.join("bin/python");
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", SDK]));
        File::create(done).unwrap();
    }
    python
}

/// Returns the events of a page as the SDK reads them.
fn understood(page: &[u8]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/http/understand.py");
    let mut reader = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(page).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn another_implementation_understands_every_event() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    publish_strange_things(bus);
    let serving = Serving::start(feed_of(&database));
    for topic in TOPICS {
        let head = bus.current_head(topic).unwrap();
        let there = stored(bus, topic, head);
        let events = understood(&serving.get(&format!("/{topic}")).body);
        assert_eq!(events.len(), there.len());
        for (event, (position, message)) in events.iter().zip(there) {
            let attributes = &event["attributes"];
            assert_eq!(attributes["id"], message.message_id.to_string());
            assert_eq!(attributes["source"], format!("/{topic}"));
            assert_eq!(attributes["specversion"], "1.0");
            assert_eq!(attributes["type"], *message.message_type);
            assert_eq!(attributes["sequence"], format!("{:020}", position.get()));
            assert_eq!(
                attributes["messageversion"],
                message.message_version.to_string()
            );
            assert_eq!(attributes["headers"], message.headers);
            let time: chrono::DateTime<chrono::Utc> =
                attributes["time"].as_str().unwrap().parse().unwrap();
            assert_eq!(time, message.published_at);
            let payload: Value = serde_json::from_str(&message.payload).unwrap();
            assert_eq!(event["data"], payload);
        }
    }
}

#[test]
fn headers_known_to_cloud_events_become_attributes() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    let orders = MessageDispatcher::<Orders>::new();
    let headers = Headers::new()
        .with(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .with("partitionkey", "\u{fc} 7");
    orders
        .dispatch_with(bus, &OrderPlaced::number(1), headers)
        .unwrap();
    // Values that CloudEvents does not allow for these attributes.
    let headers = Headers::new()
        .with("traceparent", 7)
        .with("partitionkey", "");
    orders
        .dispatch_with(bus, &OrderPlaced::number(2), headers)
        .unwrap();
    let serving = Serving::start(feed_of(&database));
    let events = understood(&serving.get("/orders").body);
    let [first, second] = &events[..] else {
        panic!("{events:?}");
    };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(first["attributes"]["traceparent"], parent);
    assert_eq!(first["attributes"]["partitionkey"], "ü 7");
    assert_eq!(second["attributes"]["traceparent"], Value::Null);
    assert_eq!(second["attributes"]["partitionkey"], Value::Null);
}
