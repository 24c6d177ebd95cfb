use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent};

/// How much of a statement is kept.
const LENGTH: usize = 90;

/// How long a connection's statements take.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Recording>>);

#[derive(Default)]
struct Recording {
    running: Option<(String, Instant)>,
    statements: HashMap<String, Recorded>,
}

/// What was recorded of one statement.
#[derive(Clone, Copy, Default)]
pub struct Recorded {
    pub times: u64,
    pub duration: Duration,
}

impl Recorder {
    /// By how they begin; the longest first.
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

/// Without the values, which are different each time.
fn beginning_of(query: &str) -> String {
    let sql = query.split("-- binds").next().unwrap_or_default();
    let words: Vec<_> = sql.split_whitespace().collect();
    words.join(" ").chars().take(LENGTH).collect()
}
