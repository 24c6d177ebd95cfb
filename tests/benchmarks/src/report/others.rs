use super::numbers::{rounded, with_separators};
use super::section::Section;
use crate::results::{Results, Work};

const WORK: &[&str] = &["statement", "times", "µs", "share"];

const LATENCY: &[&str] = &[
    "database",
    "published",
    "consumer",
    "messages",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
];

const MEMORY: &[&str] = &["database", "rows", "page", "library KiB", "driver KiB"];

const IDLE: &[&str] = &["database", "statements/s"];

const CROWD: &[&str] = &[
    "database",
    "consumers",
    "locks of others",
    "messages/s on another topic",
    "server",
    "client",
];

/// Returns the sections that are not comparisons of rates.
pub fn sections(results: &Results) -> Vec<Section> {
    let work = results.work.iter().map(work);
    work.chain([
        latencies(results),
        idle(results),
        crowds(results),
        memory(results),
    ])
    .filter(|section| !section.is_empty())
    .collect()
}

fn work(work: &Work) -> Section {
    let share = |micros: f64| format!("{:.0} %", micros / work.micros * 100.0);
    let statements = work.statements.iter().map(|statement| {
        vec![
            statement.sql.replace('|', "\\|"),
            rounded(statement.times),
            rounded(statement.micros),
            share(statement.micros),
        ]
    });
    let of_all: f64 = work
        .statements
        .iter()
        .map(|statement| statement.micros)
        .sum();
    let rest = (work.micros - of_all).max(0.0);
    let rest = vec![
        "(outside of statements)".to_owned(),
        String::new(),
        rounded(rest),
        share(rest),
    ];
    let title = format!(
        "{}: {}, {} µs",
        work.backend,
        work.unit,
        rounded(work.micros)
    );
    Section::new(title, WORK, 1, statements.chain([rest]))
}

fn latencies(results: &Results) -> Section {
    let rows = results.latencies.iter().map(|of| {
        let texts = [of.backend, &of.pace, &of.wake].map(str::to_owned);
        let messages = with_separators(of.messages as u64);
        let milliseconds = [of.p50, of.p90, of.p99, of.p99_9, of.max];
        let milliseconds = milliseconds.map(|value| format!("{value:.2}"));
        texts
            .into_iter()
            .chain([messages])
            .chain(milliseconds)
            .collect()
    });
    Section::new(
        "From the commit to the handler, in milliseconds",
        LATENCY,
        3,
        rows,
    )
}

fn idle(results: &Results) -> Section {
    let rows = results.idle.iter().map(|of| {
        let statements = format!("{:.2}", of.statements_per_second);
        vec![of.backend.to_owned(), statements]
    });
    Section::new("An idle consumer", IDLE, 1, rows)
}

fn crowds(results: &Results) -> Section {
    let rows = results.crowds.iter().map(|of| {
        vec![
            of.backend.to_owned(),
            with_separators(of.consumers as u64),
            with_separators(of.foreign_locks as u64),
            of.messages_per_second.to_string(),
            format!("{:.1} %", of.server_percent),
            format!("{:.1} %", of.client_percent),
        ]
    });
    Section::new("Idle consumers, in percent of a core", CROWD, 1, rows)
}

fn memory(results: &Results) -> Section {
    let rows = results.memory.iter().map(|of| {
        let numbers = [of.rows, of.page as u64, of.library_kib, of.driver_kib];
        let numbers = numbers.map(with_separators);
        [of.backend.to_owned()].into_iter().chain(numbers).collect()
    });
    Section::new("Growth of a consuming process", MEMORY, 1, rows)
}
