use persisting_message_bus::{Message, MessageConsumer};
use uuid::Uuid;

use super::library::until_done;
use super::{Kind, Task};
use crate::backends::Backend;
use crate::topic::Orders;
use crate::{Done, Failure};

/// Consumes with a new consumer. Its transactional handler inserts a row for each message, as a
/// projection does.
pub fn consume_inserting<B: Backend>(
    connection: &mut B::Connection,
    page: usize,
) -> Result<Done, Failure> {
    let name = format!("inserting {}", Uuid::now_v7());
    let handler = |connection: &mut B::Connection, message: &Message<Orders>| {
        let order = i64::try_from(message.payload().order())?;
        B::insert_handled(connection, order)?;
        Ok(())
    };
    let consumer = MessageConsumer::transactional(name, handler);
    until_done(
        connection,
        Task::handle_new_messages(Kind::Transactional, page),
        consumer,
    )
}
