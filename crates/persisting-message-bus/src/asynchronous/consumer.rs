//! Consumers with async handlers.

use std::marker::PhantomData;

use crate::asynchronous::handler::{Awaiting, HandleMessage, HandleMessageOn, HandlePageOn};
use crate::asynchronous::waiting::wait_for;
use crate::consume::consumer::MessageConsumer as Consumer;
use crate::consume::errors::HandlerError;
use crate::consume::external::External;
use crate::consume::hand_over::{PerMessage, PerPage};
use crate::consume::transactional::Transactional;
use crate::message::topic::EventSet;
use crate::message::typed::Message;

/// Creates consumers with async handlers.
///
/// A consumer is a thread that awaits: it blocks until the handler's future ends, then it goes on to
/// the next message. So a handler is an async closure that can capture, its future need not be
/// `Send`, and the future is never dropped before it ends, unless the runtime ends first.
///
/// Call it in no task by yourself: `handle_page` blocks the thread, which a thread of the runtime must
/// not do. Run it on a `Runner`, or in `tokio::task::spawn_blocking`.
///
/// The functions return the library's usual [`MessageConsumer`](crate::MessageConsumer), which has
/// the settings. A [`Runner`](crate::asynchronous::Runner) runs it.
///
/// ```
/// use std::time::Duration;
///
/// use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Message, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     order: u32,
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let bus = InMemoryMessageBus::default();
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus.clone(), &OrderPlaced { order: 7 })?;
///
/// let (mails, mut sent) = tokio::sync::mpsc::channel(1);
/// let mailer = MessageConsumer::<Orders>::external("mailer", async move |message| {
///     let Orders::OrderPlaced(placed) = message.payload();
///     mails.send(placed.order).await?;
///     Ok(())
/// });
/// let running = Runner::on_sync_connections(move || Ok::<_, std::io::Error>(bus.clone()))
///     .consumer(mailer)
///     .start();
/// assert_eq!(sent.recv().await, Some(7));
/// running.stop_within(Duration::from_secs(10)).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MessageConsumer<S>(PhantomData<S>);

#[expect(clippy::type_complexity, reason = "closures have no names")]
impl<S: EventSet> MessageConsumer<S> {
    /// Creates a consumer that awaits `handler` with one message at a time. As
    /// [`MessageConsumer::external`](crate::MessageConsumer::external), it handles each message at
    /// least once.
    pub fn external<F>(
        name: impl Into<String>,
        mut handler: F,
    ) -> Consumer<S, Awaiting<External<impl FnMut(&Message<S>) -> Result<(), HandlerError>>>>
    where
        F: HandleMessage<S>,
    {
        let handler = move |message: &Message<S>| wait_for(handler(message));
        Consumer::with_handler(name, Awaiting(External::new(handler)))
    }

    /// Creates a consumer that awaits `handler` with the async connection and one message at a time.
    /// As with [`MessageConsumer::transactional`](crate::MessageConsumer::transactional), one
    /// transaction contains the changes of the page and the cursor.
    ///
    /// The connection is that of the [`Runner`](crate::asynchronous::Runner), such as
    /// `AsyncPgConnection`, or `Object<AsyncPgConnection>` from a deadpool. The handler must not keep
    /// the transaction open in a task: it has the connection only until its future ends.
    pub fn transactional<C, F>(
        name: impl Into<String>,
        mut handler: F,
    ) -> Consumer<
        S,
        Awaiting<
            Transactional<
                C,
                PerMessage<impl FnMut(&mut C, &Message<S>) -> Result<(), HandlerError>>,
            >,
        >,
    >
    where
        C: ?Sized,
        F: HandleMessageOn<S, C>,
    {
        let handler =
            move |connection: &mut C, message: &Message<S>| wait_for(handler(connection, message));
        let handler = Transactional::new(PerMessage(handler));
        Consumer::with_handler(name, Awaiting(handler))
    }

    /// As [`transactional`](Self::transactional), but `handler` receives the whole page at once, as
    /// with [`MessageConsumer::transactional_pages`](crate::MessageConsumer::transactional_pages).
    pub fn transactional_pages<C, F>(
        name: impl Into<String>,
        mut handler: F,
    ) -> Consumer<
        S,
        Awaiting<
            Transactional<
                C,
                PerPage<impl FnMut(&mut C, &[Message<S>]) -> Result<(), HandlerError>>,
            >,
        >,
    >
    where
        C: ?Sized,
        F: HandlePageOn<S, C>,
    {
        let handler =
            move |connection: &mut C, page: &[Message<S>]| wait_for(handler(connection, page));
        let handler = Transactional::new(PerPage(handler));
        Consumer::with_handler(name, Awaiting(handler))
    }
}

impl<S: EventSet, F> Consumer<S, Awaiting<External<F>>> {
    /// Sets an async hook that is called once when the consumer starts from the beginning: before
    /// its first message ever, or before its first message after a reset to the start.
    #[must_use]
    pub fn before_replay(
        mut self,
        mut hook: impl AsyncFnMut() -> Result<(), HandlerError> + Send + 'static,
    ) -> Self {
        self.handler.0.set_hook(move || wait_for(hook()));
        self
    }
}

impl<S: EventSet, C: ?Sized, H> Consumer<S, Awaiting<Transactional<C, H>>> {
    /// Sets an async hook that is called when the consumer starts from the beginning: before its
    /// first message ever, or before its first message after a reset to the start. Its changes take
    /// effect exactly once, in a transaction of their own.
    #[must_use]
    pub fn before_replay(
        mut self,
        mut hook: impl AsyncFnMut(&mut C) -> Result<(), HandlerError> + Send + 'static,
    ) -> Self {
        let hook = move |connection: &mut C| wait_for(hook(connection));
        self.handler.0.set_hook(hook);
        self
    }
}
