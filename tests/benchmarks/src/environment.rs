use std::{env, fs, thread};

use serde::Serialize;

/// The environment on which the figures depend.
#[derive(Debug, Serialize)]
pub struct Environment {
    pub cpus: usize,
    pub processor: String,
    pub system: &'static str,
    pub arguments: Vec<String>,
}

impl Environment {
    pub fn here() -> Self {
        Self {
            cpus: thread::available_parallelism().map_or(0, usize::from),
            processor: processor().unwrap_or_default(),
            system: env::consts::OS,
            arguments: env::args().skip(1).collect(),
        }
    }
}

fn processor() -> Option<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").ok()?;
    let mut lines = processors.lines();
    let name = lines.find_map(|line| line.strip_prefix("model name"))?;
    Some(name.trim_start_matches(['\t', ' ', ':']).to_owned())
}
