use std::hint::black_box;

use benchmark_rows::backends::{Database, Postgres};
use benchmark_rows::consume::{Kind, Task, consume, until_done};
use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure, Way};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::{Blocking, MessageConsumer};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Returns the ways to consume: on a sync connection, and on an async one with an async handler.
pub fn ways(
    database: &Database<'_, Postgres>,
    task: Task,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut connection = database.connect()?;
    let runtime = Runtime::new()?;
    let connecting = AsyncPgConnection::establish(&database.url);
    let mut bus = {
        let _entered = runtime.enter();
        Blocking::from(runtime.block_on(connecting)?)
    };
    let sync = move || consume::<Orders, _>(&mut connection, task);
    let awaited = move || {
        let _entered = runtime.enter();
        consume_awaited(&mut bus, task)
    };
    Ok(vec![
        ("sync", Box::new(sync) as Way),
        ("awaited", Box::new(awaited)),
    ])
}

/// Consumes with a new consumer.
fn consume_awaited(bus: &mut Blocking<AsyncPgConnection>, task: Task) -> Result<Done, Failure> {
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
