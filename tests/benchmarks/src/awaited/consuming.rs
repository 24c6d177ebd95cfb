use std::hint::black_box;

use benchmark_rows::backends::{Database, Postgres};
use benchmark_rows::consume::{Kind, Task, consume, until_done};
use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure, Way};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::{Blocking, MessageConsumer, open_dedicated};
use persisting_message_bus::backend::{MessageConsumerState, MessageSource, TransactionControlOn};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// What drives an async connection.
#[derive(Debug, Clone, Copy)]
pub enum Drives {
    /// The runtime of the application.
    Runtime,
    /// The consumer's thread.
    Thread,
}

/// Returns the ways to consume: on a sync connection, and on an async one with an async handler.
pub fn ways(
    database: &Database<'_, Postgres>,
    task: Task,
    drives: Drives,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut connection = database.connect()?;
    let sync = move || consume::<Orders, _>(&mut connection, task);
    let runtime = Runtime::new()?;
    let url = database.url.clone();
    let connecting = async move || AsyncPgConnection::establish(&url).await;
    let awaited = match drives {
        Drives::Runtime => {
            let connection = runtime.block_on(connecting())?;
            let _entered = runtime.enter();
            awaited(Blocking::from(connection), task)
        }
        Drives::Thread => awaited(open_dedicated(connecting)?, task),
    };
    Ok(vec![
        ("sync", Box::new(sync)),
        ("awaited", in_runtime(runtime, awaited)),
    ])
}

fn in_runtime(runtime: Runtime, mut way: Way) -> Way {
    Box::new(move || {
        let _entered = runtime.enter();
        way()
    })
}

fn awaited<B>(mut bus: B, task: Task) -> Way
where
    B: MessageSource + MessageConsumerState + TransactionControlOn<AsyncPgConnection> + 'static,
{
    Box::new(move || consume_awaited(&mut bus, task))
}

/// Consumes with a new consumer.
fn consume_awaited<B>(bus: &mut B, task: Task) -> Result<Done, Failure>
where
    B: MessageSource + MessageConsumerState + TransactionControlOn<AsyncPgConnection>,
{
    let name = format!("awaited {}", Uuid::now_v7());
    match task.kind {
        Kind::External => {
            let handler = async |message: &_| {
                black_box(message);
                Ok(())
            };
            let consumer = MessageConsumer::<Orders>::external(name, handler);
            until_done(bus, task, consumer)
        }
        Kind::Transactional => {
            let handler = async |_: &mut AsyncPgConnection, message: &_| {
                black_box(message);
                Ok(())
            };
            let consumer = MessageConsumer::<Orders>::transactional(name, handler);
            until_done(bus, task, consumer)
        }
    }
}
