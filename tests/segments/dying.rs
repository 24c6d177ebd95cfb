//! A program that ends before one of its statements, as a killed process does.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use diesel::Connection;
use diesel::connection::InstrumentationEvent;

/// The end of a program.
struct Death;

/// The statements of a program.
#[derive(Default)]
struct Life {
    statements: u32,
    /// What it still ran after its end.
    after: Vec<String>,
}

/// Runs a program on a connection, and ends it before its statement of this number. Its connection is
/// then dropped without a commit. Returns what the program returns, or `None` if it has ended.
pub fn run_until<C: Connection, T>(
    mut connection: C,
    statement: u32,
    program: impl FnOnce(&mut C) -> T,
) -> Option<T> {
    let life = Arc::new(Mutex::new(Life::default()));
    let watched = Arc::clone(&life);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        let InstrumentationEvent::StartQuery { query, .. } = event else {
            return;
        };
        let mut life = watched.lock().unwrap();
        life.statements += 1;
        let is_dead = life.statements >= statement;
        if is_dead && thread::panicking() {
            life.after.push(query.to_string());
        }
        drop(life);
        if is_dead && !thread::panicking() {
            resume_unwind(Box::new(Death));
        }
    });
    let ran = catch_unwind(AssertUnwindSafe(|| program(&mut connection)));
    drop(connection);
    let life = life.lock().unwrap();
    // The database itself rolls back when a connection is lost.
    let is_undone = |statement: &String| {
        let harmless = ["ROLLBACK", "PRAGMA busy_timeout"];
        harmless.iter().any(|it| statement.starts_with(it))
    };
    assert!(life.after.iter().all(is_undone), "{:?}", life.after);
    match ran {
        Ok(returned) => (life.statements < statement).then_some(returned),
        Err(panic) if panic.is::<Death>() => None,
        Err(panic) => resume_unwind(panic),
    }
}
