use std::hint::black_box;
use std::time::Instant;

use persisting_message_bus::{
    EventSet, HandlePages, Message, MessageConsumer, MessageConsumerState, MessageSource, Position,
    ResetTo, TransactionsOn,
};
use uuid::Uuid;

use super::{Kind, Task};
use crate::{Done, Failure};

/// As a new consumer.
pub fn consume<S, C>(connection: &mut C, task: Task) -> Result<Done, Failure>
where
    S: EventSet,
    C: MessageSource + MessageConsumerState + TransactionsOn<C>,
{
    let name = format!("library {}", Uuid::now_v7());
    match task.kind {
        Kind::External => {
            let handler = |message: &Message<S>| {
                black_box(message);
                Ok(())
            };
            until_done(connection, task, MessageConsumer::external(name, handler))
        }
        Kind::Transactional => {
            let handler = |_: &mut C, message: &Message<S>| {
                black_box(message);
                Ok(())
            };
            until_done(
                connection,
                task,
                MessageConsumer::transactional(name, handler),
            )
        }
    }
}

pub(super) fn until_done<S, C, H>(
    connection: &mut C,
    task: Task,
    consumer: MessageConsumer<S, H>,
) -> Result<Done, Failure>
where
    S: EventSet,
    C: MessageSource + MessageConsumerState + TransactionsOn<C>,
    H: HandlePages<S, C>,
{
    let mut consumer = consumer.page_size(task.page);
    if task.after > 0 {
        let after = ResetTo::Position(Position::new(task.after));
        consumer.reset(connection, after)?;
    }
    let begun = Instant::now();
    if task.most == usize::MAX {
        return Ok(Done::since(begun, consumer.catch_up(connection)?));
    }
    let mut handled = 0;
    while handled < task.most {
        match consumer.handle_new_messages(connection)? {
            0 => break,
            more => handled += more,
        }
    }
    Ok(Done::since(begun, handled))
}
