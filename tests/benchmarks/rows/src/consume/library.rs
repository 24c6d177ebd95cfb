use std::hint::black_box;
use std::time::Instant;

use persisting_message_bus::backend::{
    MessageConsumerState, MessageSource, TransactionControl, TransactionControlOn,
};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::{EventSet, Message, MessageConsumer, Position, StartAt};
use uuid::Uuid;

use super::{Kind, Task};
use crate::{Done, Failure};

/// Consumes with a new consumer.
pub fn consume<S, C>(connection: &mut C, task: Task) -> Result<Done, Failure>
where
    S: EventSet,
    C: MessageSource + MessageConsumerState + TransactionControlOn<C>,
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

/// Lets the consumer handle what the task says.
pub fn until_done<S, C, H>(
    connection: &mut C,
    task: Task,
    consumer: MessageConsumer<S, H>,
) -> Result<Done, Failure>
where
    S: EventSet,
    C: MessageSource + MessageConsumerState + TransactionControl,
    H: PageHandler<S, C>,
{
    let mut consumer = consumer.page_size(task.page);
    if task.after > 0 {
        let after = StartAt::Position(Position::new(task.after));
        consumer.reset(connection, after)?;
    }
    let begun = Instant::now();
    if task.most == usize::MAX {
        return Ok(Done::since(
            begun,
            consumer.handle_new_messages(connection)?,
        ));
    }
    let mut handled = 0;
    while handled < task.most {
        match consumer.handle_page(connection)? {
            0 => break,
            more => handled += more,
        }
    }
    Ok(Done::since(begun, handled))
}
