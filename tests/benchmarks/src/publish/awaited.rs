//! Concurrent publishers that are tasks, each with an async connection.

use std::time::Instant;

use benchmark_rows::backends::Database;
use benchmark_rows::publish::Publishers;
use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure, Way};
use diesel_async::AsyncConnection;
use futures_util::future::try_join_all;
use persisting_message_bus::asynchronous::{MessageDispatcher, MessageRepository};

use super::singles::by_hand;
use crate::with_driver::WithDriver;

/// Returns the ways to publish: by hand on threads, and with `await` in tasks.
pub fn awaited<B: WithDriver>(
    library: &Database<'_, B>,
    raw: &Database<'_, B>,
    of: Publishers,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    Ok(vec![
        ("autocommit", by_hand(raw, of)?),
        ("dispatch, awaited", B::publish_in_tasks(&library.url, of)?),
    ])
}

/// Publishes on connections of this type.
pub fn in_tasks<C>(url: &str, of: Publishers) -> Result<Way, Failure>
where
    C: AsyncConnection + MessageRepository + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let connections = (0..of.publishers).map(|_| C::establish(url));
    let mut connections = runtime.block_on(try_join_all(connections))?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    Ok(Box::new(move || {
        let begun = Instant::now();
        let tasks = connections.iter_mut().map(async |connection| {
            let mut published = 0;
            while begun.elapsed() < of.duration {
                let message = Orders::number(published);
                dispatcher.dispatch(connection, &message).await?;
                published += 1;
            }
            Ok::<_, Failure>(published as usize)
        });
        let published = runtime.block_on(try_join_all(tasks))?;
        Ok(Done::since(begun, published.into_iter().sum()))
    }))
}
