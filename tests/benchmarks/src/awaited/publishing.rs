use std::sync::Arc;
use std::time::{Duration, Instant};

use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure, Way};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::MessageDispatcher;
use tokio::runtime::Runtime;

use super::same_statement::{Bare, Text};

/// Returns the ways to publish batches of this size, one publisher each; of 1: single messages.
pub fn ways(
    library: &str,
    bare: &str,
    size: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let runtime = Arc::new(Runtime::new()?);
    let messages = Arc::new(Orders::numbered(0..size as u64));
    let mut connection = runtime.block_on(AsyncPgConnection::establish(library))?;
    let text = runtime.block_on(text_of_publishing(&mut connection, &messages))?;
    let mut bare = runtime.block_on(Bare::connect(bare, &text))?;
    let same = Arc::clone(&messages);
    let same = async move || bare.publish(&same).await;
    let dispatched = async move || Ok(publish(&mut connection, &messages).await?);
    let each = (size, duration);
    Ok(vec![
        (
            "the same statement on tokio-postgres",
            over_and_over(Arc::clone(&runtime), each, same),
        ),
        (
            "dispatch, awaited",
            over_and_over(runtime, each, dispatched),
        ),
    ])
}

/// Publishes batches of a size repeatedly for some time.
fn over_and_over(
    runtime: Arc<Runtime>,
    (size, duration): (usize, Duration),
    mut publish: impl AsyncFnMut() -> Result<(), Failure> + 'static,
) -> Way {
    Box::new(move || {
        runtime.block_on(async {
            let begun = Instant::now();
            let mut published = 0;
            while begun.elapsed() < duration {
                publish().await?;
                published += size;
            }
            Ok(Done::since(begun, published))
        })
    })
}

async fn publish(
    connection: &mut AsyncPgConnection,
    messages: &[Orders],
) -> Result<(), persisting_message_bus::Error> {
    let dispatcher = MessageDispatcher::<Orders>::new();
    match messages {
        [message] => dispatcher.dispatch(connection, message).await.map(drop),
        batch => dispatcher.dispatch_batch(connection, batch).await.map(drop),
    }
}

/// Publishes, and returns the statement of that. The first message of a session takes another one as
/// well.
async fn text_of_publishing(
    connection: &mut AsyncPgConnection,
    messages: &[Orders],
) -> Result<Text, Failure> {
    for _batch in 0..3 {
        publish(connection, messages).await?;
    }
    Text::of_inserting(connection).await
}
