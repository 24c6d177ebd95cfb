//! cargo run --release --bin expansion-cost
//!
//! Measures the time that the derives add to a debug `cargo check`. Programs with topics of 10, 50
//! and 200 messages, and an event set of half of them, are compared with the same types without
//! derives.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = Program::create(&workspace)?;
    println!("messages  without derives  with derives  difference");
    for messages in [10, 50, 200] {
        let (without, with) = program.compare(messages)?;
        let difference = with.as_secs_f64() - without.as_secs_f64();
        println!("{messages:>8}  {without:>13.2?}  {with:>12.2?}  {difference:>8.2} s");
    }
    println!("Medians of {RUNS} runs of a debug `cargo check`, the two in turn.");
    Ok(())
}

/// A package that is rewritten for each measurement.
struct Program {
    folder: PathBuf,
}

impl Program {
    fn create(workspace: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = workspace.join("target/expansion-cost");
        fs::create_dir_all(folder.join("src"))?;
        let library = workspace
            .join("crates/persisting-message-bus")
            .canonicalize()?;
        fs::write(
            folder.join("Cargo.toml"),
            format!(
                "[package]\nname = \"expansion-cost-program\"\nedition = \"2024\"\n\n[workspace]\n\n\
                 [dependencies]\npersisting-message-bus = {{ path = {library:?} }}\n\
                 serde = {{ version = \"1\", features = [\"derive\"] }}\n"
            ),
        )?;
        fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self { folder })
    }

    /// Returns the medians without and with the derives.
    fn compare(&self, messages: usize) -> Result<(Duration, Duration), Box<dyn Error>> {
        let mut times = (Vec::new(), Vec::new());
        self.check(&source(messages, true))?;
        for _ in 0..RUNS {
            times.0.push(self.check(&source(messages, false))?);
            times.1.push(self.check(&source(messages, true))?);
        }
        times.0.sort();
        times.1.sort();
        Ok((times.0[RUNS / 2], times.1[RUNS / 2]))
    }

    fn check(&self, source: &str) -> Result<Duration, Box<dyn Error>> {
        fs::write(self.folder.join("src/main.rs"), source)?;
        let begun = Instant::now();
        let status = Command::new("cargo")
            .args(["check", "--quiet", "--offline"])
            .current_dir(&self.folder)
            .env("CARGO_INCREMENTAL", "0")
            .stdout(Stdio::null())
            .status()?;
        if status.success() {
            Ok(begun.elapsed())
        } else {
            Err("the program does not compile".into())
        }
    }
}

fn source(messages: usize, with_derives: bool) -> String {
    let mut source = String::from("#![allow(dead_code)]\nuse serde::{Deserialize, Serialize};\n");
    for message in 0..messages {
        let _ = writeln!(
            source,
            "#[derive(Serialize, Deserialize)]\nstruct Message{message} {{ order: u64, note: String }}"
        );
    }
    let mut an_enum = |name: &str, derive: &str, variants: usize| {
        if with_derives {
            source.push_str(derive);
        }
        let _ = writeln!(source, "enum {name} {{");
        for message in 0..variants {
            let _ = writeln!(source, "    Message{message}(Message{message}),");
        }
        source.push_str("}\n");
    };
    let topic = "#[derive(persisting_message_bus::Topic)]\n#[topic(name = \"orders\")]\n";
    let event_set = "#[derive(persisting_message_bus::EventSet)]\n#[event_set(topic = Topic)]\n";
    an_enum("Topic", topic, messages);
    an_enum("Half", event_set, messages / 2);
    source.push_str("fn main() {}\n");
    source
}
