//! Parked messages that are redriven while live messages of their keys are handled.

use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, TransactionControlOn,
};
use persisting_message_bus::handler::{External, PageHandler};
use persisting_message_bus::operate::{
    FailedMessage, FailedMessagesRequest, FailureState, MessageFailures, ParkedSelector, RunHandle,
};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until_every;

use super::handling::{Noted, place};
use super::poisoned_segments::{Numbers, Work, start};
use super::running::has_ended_well;
use super::topic::{Orders, Paid, Payments};
use super::{connector, key};

/// The order with the messages that fail. Other orders are in its segment, too.
const ORDER: u64 = 3;

/// Its messages that fail until they are redriven.
const GUILTY: [u64; 3] = [ORDER, ORDER + 200, ORDER + 400];

/// So many messages wait while others are published. The threads need longer for them than the interval.
const WAITING: u64 = 100;
const INTERVAL: Duration = Duration::from_millis(10);

type Note = Box<dyn FnMut(&Message<Payments>) -> Noted + Send>;

/// Returns a consumer "all" that notes its effects.
pub fn external(
    work: &Arc<Work>,
) -> MessageConsumer<Orders, External<impl FnMut(&Message<Orders>) -> Noted + use<>>> {
    let work = Arc::clone(work);
    MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        work.handle(message, |effect| {
            work.note(effect);
            Ok(())
        })
    })
}

/// Returns a consumer "all" whose effects are payments.
pub fn transactional<C>(
    work: &Arc<Work>,
) -> MessageConsumer<Orders, impl PageHandler<Orders, C> + Send + use<C>>
where
    C: MessageRepository + MessageConsumerState + TransactionControlOn<C> + 'static,
{
    let work = Arc::clone(work);
    let handler = move |bus: &mut C, message: &Message<Orders>| {
        work.handle(message, |(order, number)| {
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order, number })?;
            Ok(())
        })
    };
    MessageConsumer::<Orders>::transactional("all", handler)
}

/// Returns the consumer that notes the payments.
fn auditor(work: &Arc<Work>) -> MessageConsumer<Payments, External<Note>> {
    let work = Arc::clone(work);
    let note: Note = Box::new(move |message: &Message<Payments>| {
        let Payments::Paid(paid) = message.payload();
        work.note((paid.order, paid.number));
        Ok(())
    });
    MessageConsumer::<Payments>::external("auditor", note)
}

pub fn parked(bus: &mut impl MessageFailures) -> Vec<FailedMessage> {
    let request = FailedMessagesRequest::of_parked(key("all"));
    bus.failed_messages(&request).unwrap()
}

/// The messages that are published, and their effects.
pub struct Live<D: Database> {
    pub bus: D::Bus,
    auditor: MessageConsumer<Payments, External<Note>>,
    work: Arc<Work>,
    published: u64,
}

impl<D: Database> Live<D> {
    pub fn new(database: &D, work: &Arc<Work>) -> Self {
        Self {
            bus: database.connect(),
            auditor: auditor(work),
            work: Arc::clone(work),
            published: 0,
        }
    }

    pub fn publish(&mut self, count: u64) {
        place(&mut self.bus, self.published..self.published + count);
        self.published += count;
    }

    fn effects(&mut self) -> Vec<Numbers> {
        self.auditor.handle_new_messages(&mut self.bus).unwrap();
        self.work.effects()
    }

    #[track_caller]
    pub fn wait_until(
        &mut self,
        awaited: &str,
        mut holds: impl FnMut(&mut Self, &[Numbers]) -> bool,
    ) {
        wait_until_every(INTERVAL, awaited, || {
            let effects = self.effects();
            holds(self, &effects)
        });
    }

    /// Publishes until a condition holds for the messages of the order that have taken effect.
    #[track_caller]
    fn publish_until(&mut self, awaited: &str, mut holds: impl FnMut(&[u64]) -> bool) {
        self.wait_until(awaited, |live, effects| {
            let up_to = effects.len() as u64 + WAITING;
            if live.published < up_to {
                live.publish(up_to - live.published);
            }
            let of_order = effects.iter().filter(|it| it.0 == ORDER).map(|it| it.1);
            holds(&Vec::from_iter(of_order))
        });
    }

    /// Waits until everything has taken effect, and checks how.
    #[track_caller]
    pub fn finish(mut self, running: RunHandle) {
        self.wait_until("everything takes effect", |live, effects| {
            effects.len() as u64 >= live.published
        });
        running.caught_up_within(Duration::from_secs(60)).unwrap();
        has_ended_well(running);
        let effects = self.effects();
        self.work.judge(&effects, self.published);
        for state in [FailureState::Parked, FailureState::Redriven] {
            let left = self.bus.count_failed(key("all"), state).unwrap();
            assert_eq!(left, 0, "{state:?}");
        }
    }
}

/// An external handler has one call for the redriven message, between calls for live ones of its key.
pub fn a_redriven_message_takes_effect_once_beside_live_ones<D: Database + Send + 'static>() {
    redrive_beside_live::<D, _>(external);
}

/// A transactional handler has a transaction of its own for the redriven message.
pub fn a_redriven_message_is_committed_once_beside_live_ones<D: Database + Send + 'static>() {
    redrive_beside_live::<D, _>(transactional::<D::Bus>);
}

fn redrive_beside_live<D, H>(
    make: impl Fn(&Arc<Work>) -> MessageConsumer<Orders, H> + Send + Sync + 'static,
) where
    D: Database + Send + 'static,
    H: PageHandler<Orders, D::Bus> + Send + 'static,
{
    let (database, connect) = connector::<D>();
    let work = Work::failing_at(&GUILTY);
    let mut live = Live::<D>::new(&database, &work);
    let running = start::<D, H>(connect, &work, 1, make);
    for guilty in GUILTY {
        // The message holds up the later ones of its key until it is parked.
        live.publish_until("a later message of its key is handled", |handled| {
            handled.iter().any(|it| *it > guilty)
        });
        let found = parked(&mut live.bus);
        work.cure(guilty);
        let which = ParkedSelector::At(found[0].position);
        assert_eq!(live.bus.redrive(key("all"), which).unwrap(), 1);
        live.publish_until("the message takes effect between live ones", |handled| {
            handled.contains(&guilty) && handled.last() != Some(&guilty)
        });
    }
    live.finish(running);
}
