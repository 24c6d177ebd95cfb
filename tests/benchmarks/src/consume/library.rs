use std::hint::black_box;
use std::time::Instant;

use persisting_message_bus::{
    EventSet, Message, MessageConsumer, MessageConsumerState, MessageSource, TransactionsOn,
};
use uuid::Uuid;

use super::Kind;
use crate::Failure;
use crate::measure::Way;

/// Consumes all that there is, each time from the start.
pub fn consuming<C, S>(mut connection: C, kind: Kind, page_size: usize) -> Way
where
    C: MessageSource + MessageConsumerState + TransactionsOn<C> + 'static,
    S: EventSet,
{
    Box::new(move || {
        let name = format!("library {}", Uuid::now_v7());
        let begun = Instant::now();
        let handled = match kind {
            Kind::External => external::<C, S>(&mut connection, name, page_size),
            Kind::Transactional => transactional::<C, S>(&mut connection, name, page_size),
        }?;
        Ok(handled as f64 / begun.elapsed().as_secs_f64())
    })
}

fn external<C, S>(connection: &mut C, name: String, page_size: usize) -> Result<usize, Failure>
where
    C: MessageSource + MessageConsumerState,
    S: EventSet,
{
    let consumer = MessageConsumer::<S>::external(name, |message: &Message<S>| {
        black_box(message);
        Ok(())
    });
    let mut consumer = consumer.page_size(page_size);
    Ok(consumer.catch_up(connection)?)
}

fn transactional<C, S>(connection: &mut C, name: String, page_size: usize) -> Result<usize, Failure>
where
    C: MessageSource + MessageConsumerState + TransactionsOn<C>,
    S: EventSet,
{
    let consumer = MessageConsumer::<S>::transactional(name, |_: &mut C, message: &Message<S>| {
        black_box(message);
        Ok(())
    });
    let mut consumer = consumer.page_size(page_size);
    Ok(consumer.catch_up(connection)?)
}
