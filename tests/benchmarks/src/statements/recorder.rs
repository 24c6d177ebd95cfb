use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent};

/// The maximum length of a recorded statement.
const LENGTH: usize = 90;

/// A recorder of the times of a connection's statements.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Recording>>);

#[derive(Default)]
struct Recording {
    running: Option<(String, Instant)>,
    statements: HashMap<String, Recorded>,
}

/// The record of one statement.
#[derive(Clone, Copy, Default)]
pub struct Recorded {
    pub times: u64,
    pub duration: Duration,
}

impl Recorder {
    /// Returns the statements by their beginnings, by decreasing time.
    pub fn statements(&self) -> Vec<(String, Recorded)> {
        let recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = recording.statements.iter();
        let mut statements: Vec<_> = statements.map(|(sql, of)| (sql.clone(), *of)).collect();
        statements.sort_by_key(|(_, recorded)| std::cmp::Reverse(recorded.duration));
        statements
    }
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let mut recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            InstrumentationEvent::StartQuery { query, .. } => {
                let sql = beginning_of(&query.to_string());
                recording.running = Some((sql, Instant::now()));
            }
            InstrumentationEvent::FinishQuery { .. } => {
                let Some((sql, begun)) = recording.running.take() else {
                    return;
                };
                let duration = begun.elapsed();
                let recorded = recording.statements.entry(sql).or_default();
                recorded.times += 1;
                recorded.duration += duration;
            }
            _ => {}
        }
    }
}

/// Returns the beginning of a statement without its values, which differ each time.
fn beginning_of(query: &str) -> String {
    let sql = query.split("-- binds").next().unwrap_or_default();
    let words: Vec<_> = sql.split_whitespace().collect();
    words.join(" ").chars().take(LENGTH).collect()
}
