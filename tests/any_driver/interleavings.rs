//! Clients whose transactions overlap with those of publishers, step by step.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::topics::{Paid, Payments};
use persisting_message_bus_tests::waiting::wait_until_every;

use crate::beside::{Beside, begin, dispatch, with_topic};
use crate::clients::Client;
use crate::reader::Reader;

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

/// A client publishes 1, the library publishes 2 and commits. Returns what a reader sees before and
/// after the client's commit.
pub fn overtake<D: Beside>(
    database: &D,
    client: &mut dyn Client,
    level: &str,
) -> (Vec<u64>, Vec<u64>) {
    let mut reader = Reader::new(database.connect());
    dispatch(&mut database.connect(), 0);
    while !reader.read().contains(&0) {}
    begin::<D>(client, level);
    client.publish(1).unwrap();
    dispatch(&mut database.connect(), 2);
    let before = reader.read();
    client.execute("COMMIT").unwrap();
    (before, reader.read())
}

pub fn a_late_commit_of_any_client_is_not_skipped<D: Beside>() {
    let database = with_topic::<D>();
    for mut client in database.clients() {
        for level in LEVELS {
            let (before, after) = overtake(&database, client.as_mut(), level);
            assert!(
                before.is_empty(),
                "{} at {level}: {before:?}",
                client.name()
            );
            assert_eq!(after, [1, 2], "{} at {level}", client.name());
        }
    }
}

/// The control: the order of events in which a message is lost.
pub fn without_the_announcement_a_late_commit_is_skipped<D: Beside>() {
    let database = with_topic::<D>();
    let mut connection = database.connect();
    for statement in D::statements(&TableSchema::default()) {
        connection
            .batch_execute(&D::without_announcement(&statement))
            .unwrap();
    }
    let (before, after) = overtake(&database, database.sqlx().as_mut(), LEVELS[0]);
    assert_eq!(before, [2]);
    assert!(after.is_empty());
}

pub fn a_late_commit_is_not_skipped_with_the_guard<D: Beside>() {
    let database = with_topic::<D>();
    D::guard(&mut database.connect());
    let mut client = database.sqlx();
    let (before, after) = overtake(&database, client.as_mut(), LEVELS[1]);
    assert!(before.is_empty());
    assert_eq!(after, [1, 2]);
    client.publish(3).unwrap();
    assert_eq!(Reader::new(database.connect()).read(), [3]);
}

/// The client creates what the topic needs, and other topics are not held back.
pub fn a_client_that_publishes_the_first_message_is_waited_for<D: Beside>() {
    let database = D::create();
    let mut client = database.sqlx();
    let mut reader = Reader::new(database.connect());
    begin::<D>(client.as_mut(), LEVELS[0]);
    client.publish(1).unwrap();
    MessageDispatcher::<Payments>::new()
        .dispatch(&mut database.connect(), &Paid { order: 1 })
        .unwrap();
    assert!(reader.read().is_empty());
    client.execute("COMMIT").unwrap();
    dispatch(&mut database.connect(), 2);
    assert_eq!(reader.read(), [1, 2]);
}

pub fn a_rolled_back_savepoint_keeps_the_announcement<D: Beside>() {
    let database = with_topic::<D>();
    let mut client = database.sqlx();
    let mut reader = Reader::new(database.connect());
    begin::<D>(client.as_mut(), LEVELS[0]);
    client.execute("SAVEPOINT inner_one").unwrap();
    client.publish(1).unwrap();
    client.execute("ROLLBACK TO SAVEPOINT inner_one").unwrap();
    client.publish(2).unwrap();
    dispatch(&mut database.connect(), 3);
    assert!(reader.read().is_empty());
    client.execute("COMMIT").unwrap();
    assert_eq!(reader.read(), [2, 3]);
}

pub fn a_client_and_the_library_share_a_transaction<D: Beside>() {
    let database = with_topic::<D>();
    let mut shared = database.connect();
    let mut reader = Reader::new(database.connect());
    let call = |order: u64| {
        let payload = format!(r#"'orders', 'OrderPlaced', 1, '{{"order":{order},"note":""}}'"#);
        D::call(&format!("{payload}, NULL, NULL, NULL, NULL, NULL, NULL"))
    };
    D::begin_with(&mut shared, LEVELS[1]);
    shared.batch_execute(&call(1)).unwrap();
    dispatch(&mut shared, 2);
    shared.batch_execute(&call(3)).unwrap();
    assert_eq!(D::fences(&mut database.connect()), 1, "one for the topic");
    dispatch(&mut database.connect(), 4);
    assert!(reader.read().is_empty());
    persisting_message_bus::backend::TransactionControl::commit(&mut shared).unwrap();
    assert_eq!(reader.read(), [1, 2, 3, 4]);
}

pub fn a_publisher_outside_of_a_transaction_holds_nothing_afterwards<D: Beside>() {
    let database = with_topic::<D>();
    let mut reader = Reader::new(database.connect());
    for (mut client, order) in database.clients().into_iter().zip(1..) {
        client.publish(order).unwrap();
        assert_eq!(reader.read(), [order], "{}", client.name());
        assert_eq!(D::fences(&mut database.connect()), 0, "{}", client.name());
    }
}

/// Between the position and the commit, the call is not in a transaction that the client began.
pub fn a_publisher_outside_of_a_transaction_is_waited_for<D: Beside>() {
    let database = with_topic::<D>();
    let mut gate = database.connect();
    for statement in D::GATE {
        gate.batch_execute(statement).unwrap();
    }
    let mut client = database.sqlx();
    let mut reader = Reader::new(database.connect());
    dispatch(&mut database.connect(), 0);
    assert_eq!(reader.read(), [0]);
    gate.batch_execute("BEGIN; UPDATE gate SET id = 2").unwrap();
    let before = thread::scope(|scope| {
        // It ends with this closure, so that a failure does not leave the client waiting.
        let mut gate = gate;
        let publishing = scope.spawn(|| client.publish(1));
        let mut observer = database.connect();
        wait_for_publisher::<D>(&mut observer);
        dispatch(&mut database.connect(), 2);
        let before = reader.read();
        gate.batch_execute("COMMIT").unwrap();
        publishing.join().unwrap().unwrap();
        before
    });
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(reader.read(), [1, 2]);
}

/// A position that was drawn before the announcement would be passed by readers.
pub fn a_call_that_waits_to_announce_itself_has_no_position<D: Beside>() {
    let database = with_topic::<D>();
    let (mut holder, mut program) = (database.connect(), database.connect());
    let mut client = database.sqlx();
    dispatch(&mut program, 0);
    holder.batch_execute(D::HOLD_ANNOUNCEMENTS).unwrap();
    thread::scope(|scope| {
        // It ends with this closure, so that a failure does not leave the client waiting.
        let mut holder = holder;
        let publishing = scope.spawn(|| client.publish(1));
        wait_for_publisher::<D>(&mut program);
        program.batch_execute(D::INSERT).unwrap();
        holder.batch_execute("COMMIT").unwrap();
        publishing.join().unwrap().unwrap();
    });
    // In the order of positions.
    assert_eq!(Reader::new(program).read(), [0, 2, 1]);
}

/// The server runs no handlers of a procedure that it cancels.
pub fn a_cancelled_call_leaves_no_transaction_open<D: Beside>() {
    let database = with_topic::<D>();
    let mut holder = database.connect();
    dispatch(&mut database.connect(), 0);
    let mut client = database.sqlx();
    client.execute(D::CANCELS).unwrap();
    holder.batch_execute(D::HOLD_ANNOUNCEMENTS).unwrap();
    client.publish(1).unwrap_err();
    holder.batch_execute("COMMIT").unwrap();
    client.execute(D::CANCELS_NO_MORE).unwrap();
    client.publish(2).unwrap();
    drop(client);
    assert_eq!(Reader::new(database.connect()).read(), [0, 2]);
}

/// Waits until a publisher waits. MariaDB renews its table only if it was not read for 100 ms.
fn wait_for_publisher<D: Beside>(observer: &mut D::Plain) {
    wait_until_every(Duration::from_millis(150), "a publisher waits", || {
        D::texts(observer, D::WAITING) == ["1"]
    });
}
