//! Pages of topics whose messages lie close together, far apart, and both.

use std::ops::ControlFlow;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::Position;
use persisting_message_bus::backend::{MessageSource, PageRequest, StoredMessage, TypeFilter};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::OrderPlaced;

use super::orders;

const MESSAGES: i64 = 3_000;

/// Moves the messages that fulfil the condition to another topic.
fn on_other_topic(connection: &mut SqliteConnection, condition: &str) {
    let sql = format!("UPDATE public_messages SET topic = 'other' WHERE {condition}");
    connection.batch_execute(&sql).unwrap();
}

fn page(after: i64, up_to: i64, limit: usize) -> PageRequest<'static> {
    PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::new(after),
        up_to: Position::new(up_to),
        limit,
    }
}

/// Returns the positions of a page, of which at most `most` are received.
fn read(connection: &mut SqliteConnection, page: &PageRequest<'_>, most: usize) -> Vec<i64> {
    let mut positions = Vec::new();
    let mut receive = |stored: &StoredMessage<'_>| {
        assert_eq!(stored.topic, "orders");
        positions.push(stored.position.get());
        if positions.len() < most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    connection.read_page(page, &mut receive).unwrap();
    positions
}

#[test]
fn pages_are_the_same_however_the_messages_lie() {
    let lies = [
        "false",
        "id % 2 = 0",
        "id % 10 = 0",
        "id % 10 <> 0",
        "id BETWEEN 300 AND 1200",
        "id BETWEEN 70 AND 90 OR id > 2000 AND id % 3 = 0",
        "id <= 1000 OR id = 2999",
        "id > 100",
    ];
    for (lie, broken) in lies.iter().flat_map(|lie| [(lie, false), (lie, true)]) {
        let mut connection = Sqlite::create().connect();
        let batch = (0..MESSAGES as u64).map(OrderPlaced::number);
        orders().dispatch_batch(&mut connection, batch).unwrap();
        on_other_topic(&mut connection, lie);
        if broken {
            let sql = "UPDATE public_messages SET published_at = '2026-03-01 12:00:00'
                WHERE id IN (1, 250, 555, 2998)";
            connection.batch_execute(sql).unwrap();
        }
        let all = read(&mut connection, &page(0, MESSAGES, 10_000), 10_000);
        let by_topic: Vec<_> = (0..MESSAGES)
            .step_by(100)
            .flat_map(|after| read(&mut connection, &page(after, after + 100, 100), 100))
            .collect();
        assert_eq!(all, by_topic, "{lie}");
        for (limit, most) in [
            (199, 500),
            (200, 500),
            (500, 500),
            (1_000, 300),
            (usize::MAX, 70),
        ] {
            for (after, up_to) in [(0, MESSAGES), (0, 350), (240, 1_300), (900, i64::MAX)] {
                let within = all.iter().filter(|at| (after + 1..=up_to).contains(*at));
                let expected: Vec<_> = within.copied().take(limit.min(most)).collect();
                let request = page(after, up_to, limit);
                assert_eq!(
                    read(&mut connection, &request, most),
                    expected,
                    "{lie}: {request:?}"
                );
            }
        }
    }
}
