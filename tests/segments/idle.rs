//! What a consumer without new messages asks the database.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use diesel::Connection;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::waiting::wait_until;

use super::LEASE;
use super::handling::{MESSAGES, place};
use super::running::has_ended_well;
use super::topic::Orders;

/// How many looks are compared.
const LOOKS: usize = 5;

/// Each look runs the same statements, whatever the number of segments and threads is, and nothing else
/// asks the database.
pub fn looks_of_an_idle_consumer_cost_the_same<D>()
where
    D: Database<Bus: Connection> + Send + 'static,
{
    let small = statements_of_looks::<D>(4, 1);
    for (segments, threads) in [(64, 1), (4, 8), (64, 8)] {
        let statements = statements_of_looks::<D>(segments, threads);
        assert_eq!(statements, small, "{segments} segments, {threads} threads");
    }
}

/// Runs a consumer until it has nothing to do. Returns the statements of the next looks, of all its
/// connections.
fn statements_of_looks<D>(segments: u16, threads: usize) -> Vec<String>
where
    D: Database<Bus: Connection> + Send + 'static,
{
    let (database, log) = (Arc::new(D::create()), Log::default());
    place(&mut database.connect(), 0..MESSAGES);
    let (shared, watching) = (Arc::clone(&database), log.clone());
    let connect = move || {
        let mut bus = shared.connect();
        watching.watch(&mut bus);
        Ok::<_, io::Error>(bus)
    };
    let make = || {
        let handler = |_: &Message<Orders>| Ok(());
        MessageConsumer::<Orders>::external("all", handler).lease_duration(LEASE)
    };
    let consumer = ParallelConsumer::by_key(make).segments(segments);
    let running = Runner::new(connect)
        .idle_interval(Duration::from_millis(10))
        .parallel(consumer.threads(threads))
        .start();
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    let idle_since = log.statements().len();
    let looks_from = |statements: &[String]| {
        let looks = statements.iter().enumerate().skip(idle_since);
        let looks = looks.filter(|(_, statement)| is_look(statement));
        Vec::from_iter(looks.map(|(index, _)| index))
    };
    wait_until("there are some looks", || {
        looks_from(&log.statements()).len() > LOOKS + 1
    });
    has_ended_well(running);
    let statements = log.statements();
    let looks = looks_from(&statements);
    statements[looks[1]..looks[LOOKS + 1]].to_vec()
}

/// A look reads all segments once.
fn is_look(statement: &str) -> bool {
    statement.starts_with("SELECT") && statement.contains("message_consumer_segments")
}
