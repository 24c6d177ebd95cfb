use std::fmt;

use tracing::warn;

use crate::consume::attempt::{Failure, judge_at_end};
use crate::consume::bisect::FailureBisection;
use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::HandlerError;
use crate::consume::hand_over::{HandleMessages, PerMessage, PerPage};
use crate::consume::handler::{PageHandler, PageOutcome, Tried};
use crate::consume::handler_result::HandlerResult;
use crate::consume::leases::{LeaseDisposition, Leases};
use crate::consume::page::Page;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::Lease;
use crate::store::transactions::{Guarded, TransactionControlOn};

type BeforeReplay<C> = Box<dyn FnMut(&mut C) -> Result<(), HandlerError> + Send>;

/// The kind of handler that receives the connection on whose commit the cursor moves. So its
/// changes take effect exactly once.
pub struct Transactional<C: ?Sized, H> {
    pub(super) handler: H,
    pub(super) before_replay: Option<BeforeReplay<C>>,
}

impl<S> MessageConsumer<S> {
    /// Creates a consumer that calls `handler` with one message at a time. One transaction contains
    /// the changes of the page and the cursor.
    ///
    /// When the handler fails on a message, the consumer rolls the transaction back and runs it
    /// again up to that message. So the messages before it still commit. Effects other than changes
    /// through the connection can therefore happen more than once.
    ///
    /// The second example of [`MessageConsumer`] shows such a consumer.
    pub fn transactional<C, F, R>(
        name: impl Into<String>,
        handler: F,
    ) -> MessageConsumer<S, Transactional<C, PerMessage<F>>>
    where
        S: EventSet,
        C: ?Sized,
        F: FnMut(&mut C, &Message<S>) -> R,
        R: HandlerResult,
    {
        MessageConsumer::with_handler(name, Transactional::new(PerMessage(handler)))
    }

    /// As [`transactional`](Self::transactional), but `handler` receives the whole page at once, so
    /// that it can combine many messages in one statement.
    ///
    /// When the handler fails, it is called again with halves of the page until the failing message
    /// is found. The messages before it still commit.
    ///
    #[cfg_attr(feature = "sqlite", doc = "```")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
    /// use diesel::prelude::*;
    /// use persisting_message_bus::sql::migrate;
    /// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced { order: i32 }
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// diesel::table! { shipments (order_id) { order_id -> Integer } }
    ///
    /// let mut connection = SqliteConnection::establish(":memory:")?;
    /// migrate(&mut connection)?;
    /// diesel::sql_query("CREATE TABLE shipments (order_id INTEGER)").execute(&mut connection)?;
    /// let placed = (1..=3).map(|order| OrderPlaced { order });
    /// MessageDispatcher::<Orders>::new().dispatch_batch(&mut connection, placed)?;
    ///
    /// let ship = |connection: &mut SqliteConnection, page: &[Message<Orders>]| {
    ///     let row = |message: &Message<Orders>| match message.payload() {
    ///         Orders::OrderPlaced(placed) => shipments::order_id.eq(placed.order),
    ///     };
    ///     let rows: Vec<_> = page.iter().map(row).collect();
    ///     diesel::insert_into(shipments::table).values(rows).execute(connection)?;
    ///     Ok(())
    /// };
    /// let mut consumer = MessageConsumer::<Orders>::transactional_pages("shipping", ship);
    /// assert_eq!(consumer.handle_page(&mut connection)?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transactional_pages<C, F, R>(
        name: impl Into<String>,
        handler: F,
    ) -> MessageConsumer<S, Transactional<C, PerPage<F>>>
    where
        S: EventSet,
        C: ?Sized,
        F: FnMut(&mut C, &[Message<S>]) -> R,
        R: HandlerResult,
    {
        MessageConsumer::with_handler(name, Transactional::new(PerPage(handler)))
    }
}

impl<S: EventSet, C: ?Sized, H> MessageConsumer<S, Transactional<C, H>> {
    /// Sets a hook that is called when the consumer starts from the beginning: before its first
    /// message ever, or before its first message after a reset to the start. Its changes take
    /// effect exactly once, in a transaction of their own.
    #[must_use]
    pub fn before_replay<R>(mut self, mut hook: impl FnMut(&mut C) -> R + Send + 'static) -> Self
    where
        R: HandlerResult,
    {
        let hook = move |connection: &mut C| hook(connection).into_result();
        self.handler.set_hook(hook);
        self
    }
}

impl<C: ?Sized, H> Transactional<C, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self {
            handler,
            before_replay: None,
        }
    }

    pub(crate) fn set_hook(
        &mut self,
        hook: impl FnMut(&mut C) -> Result<(), HandlerError> + Send + 'static,
    ) {
        self.before_replay = Some(Box::new(hook));
    }
}

impl<S, B, C, H> PageHandler<S, B> for Transactional<C, H>
where
    S: EventSet,
    C: ?Sized,
    B: MessageConsumerState + TransactionControlOn<C> + ?Sized,
    H: HandleMessages<S, C>,
{
    const NEEDS_HEARTBEAT: bool = false;

    fn has_hook(&self) -> bool {
        self.before_replay.is_some()
    }

    fn handle_page(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
        then_at_end: LeaseDisposition,
    ) -> PageOutcome {
        if page.leaves_start()
            && let Err(error) = self.leave_start(bus, leases, page)
        {
            return PageOutcome::failed(error);
        }
        let mut outcome = PageOutcome::default();
        let mut search = FailureBisection::over(page.messages.len());
        while !page.makes_no_progress() {
            // The lease is still needed to settle a failure.
            let then = if search.reaches_end() && page.failure.is_none() {
                then_at_end
            } else {
                LeaseDisposition::Extend
            };
            let range = search.range();
            let attempt = self.attempt(bus, leases, page, range.clone(), then);
            match attempt.map_err(Failure::told) {
                Ok(handled) if handled < range.len() => {
                    // The consumer must stop. The attempt has stored the cursor and released the
                    // leases.
                    outcome.handled = range.start + handled;
                    outcome.released = true;
                    outcome.skipped = page.skipped_after(outcome.handled);
                    return outcome;
                }
                Ok(_) => {
                    search.succeeded();
                    outcome.skipped = page.skipped_after(search.handled());
                }
                Err(Failure::Before(error)) => {
                    outcome.is_not_stored = true;
                    outcome.failure = Some(error);
                    break;
                }
                Err(Failure::Message(offset, fault)) if fault.goes_on(offset) => {
                    search.failed(offset, fault);
                }
                Err(Failure::Message(offset, fault)) => {
                    let first = &page.messages[range.start + offset.unwrap_or_default()];
                    outcome.failure = Some(fault.error(first));
                    outcome.interrupted = Some(Tried {
                        messages: range.len(),
                        offset,
                    });
                    break;
                }
                Err(Failure::Ended(Some(offset), fault)) => {
                    outcome.handled = search.handled();
                    let index = range.start + offset;
                    Self::ended(bus, leases, page, index, fault, &mut outcome);
                    return outcome;
                }
                Err(Failure::Ended(None, fault)) => {
                    // The messages were handed out together, so only further attempts can find the
                    // guilty one.
                    warn!(
                        messaging.consumer.group.name = leases.consumer(),
                        "page handler left its transaction: committed effects can be \
                         repeated until the consumer finds the message"
                    );
                    search.failed(None, fault);
                }
            }
            if let Some((index, fault)) = search.failing_message() {
                if fault.is_interruption() {
                    outcome.interrupted = Some(Tried {
                        messages: 1,
                        offset: Some(0),
                    });
                }
                outcome.failure = Some(fault.error(&page.messages[index]));
                break;
            }
            if search.is_done() {
                outcome.released = then == LeaseDisposition::Release;
                break;
            }
        }
        outcome.handled = search.handled();
        outcome.failure = outcome.failure.or_else(|| page.failure.take());
        outcome
    }

    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error> {
        let position = message.position();
        let mut transaction = Guarded::begin(bus)?;
        leases.begin_work(transaction.bus())?;
        let bus = transaction.bus();
        if !bus.is_redriven(lease, position, leases.duration)? {
            return Ok(false);
        }
        let messages = std::slice::from_ref(message);
        let handled = self.handler.handle(&mut transaction, messages, leases);
        let taken = match handled {
            // The consumer must stop. The message stays redriven.
            Ok(0) => return Ok(false),
            Ok(_) => judge_at_end(&mut transaction, 1).and_then(|()| {
                let taken = transaction
                    .bus()
                    .take_redriven(lease, position, leases.duration);
                taken
                    .and_then(|taken| transaction.commit().map(|()| taken))
                    .map_err(|error| Failure::after(1, error))
            }),
            Err(failure) => {
                drop(transaction);
                Err(failure.told())
            }
        };
        taken.map_err(|failure| match failure {
            Failure::Before(error) => error,
            Failure::Message(_, fault) | Failure::Ended(_, fault) => fault.error(message),
        })
    }
}

impl<C: ?Sized, H> fmt::Debug for Transactional<C, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transactional")
            .finish_non_exhaustive()
    }
}
