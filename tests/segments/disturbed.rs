//! A consumer state that is disturbed at one of its calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use persisting_message_bus::backend::{
    ConsumerIdentity, ConsumerRow, CursorUpdate, Division, Lease, LeaseRequest, MessageAt,
    MessageConsumerState, NewFailure, NoteWork, Place, Segment, SegmentChange, SegmentRow,
};
use persisting_message_bus::memory::{
    InMemoryMessageBus, InMemoryMessageConsumerState, InMemoryMessageRepository,
};
use persisting_message_bus::operate::{
    ConsumerKey, FailedMessage, FailedMessagesRequest, FailureState, MessageFailures,
    ParkedSelector, end_lease,
};
use persisting_message_bus::{Error, FailurePolicy, MessageBus, Position};

use super::{LEASE, division, key};

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Before it, another process takes all segments, handles what is new, and releases them.
    TakenOver,
    /// Before it, another process takes all segments, and keeps them for some more calls.
    Held,
    /// Before it and before each later call, an operator may move the cursors.
    Operated,
    /// The connection is lost before the call.
    Refused,
    /// The connection is lost after the call, before its answer.
    Unanswered,
}

/// For how many more calls another process keeps the segments.
const KEPT_FOR: usize = 25;

/// The work of another process, or of an operator.
pub type Other = Box<dyn FnMut(&mut InMemoryMessageBus) + Send>;

/// The disturbance of a consumer.
pub struct Plan {
    disturbance: Disturbance,
    /// The number of the call at which it happens.
    at: usize,
    calls: AtomicUsize,
    has_happened: AtomicBool,
    bus: InMemoryMessageBus,
    other: Mutex<Other>,
    held: Mutex<Vec<Lease>>,
}

impl Plan {
    pub fn new(
        disturbance: Disturbance,
        at: usize,
        bus: InMemoryMessageBus,
        other: Other,
    ) -> Arc<Self> {
        Arc::new(Self {
            disturbance,
            at,
            calls: AtomicUsize::new(0),
            has_happened: AtomicBool::new(false),
            bus,
            other: Mutex::new(other),
            held: Mutex::default(),
        })
    }

    /// Returns the bus of the consumer that is disturbed.
    pub fn disturb(self: &Arc<Self>) -> MessageBus<InMemoryMessageRepository, DisturbedState> {
        let state = DisturbedState {
            state: self.bus.state.clone(),
            plan: Arc::clone(self),
        };
        MessageBus::new(self.bus.messages.clone(), state)
    }

    pub fn has_happened(&self) -> bool {
        self.has_happened.load(Ordering::SeqCst)
    }

    /// Returns whether the answer to the call is lost.
    fn before(&self, call: &str) -> Result<bool, Error> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.at + KEPT_FOR {
            self.give_back();
        }
        let is_later = number > self.at && self.disturbance == Disturbance::Operated;
        if number != self.at && !is_later {
            return Ok(false);
        }
        self.has_happened.store(true, Ordering::SeqCst);
        if !is_later {
            eprintln!("{:?} at call {number}, {call}", self.disturbance);
        }
        match self.disturbance {
            Disturbance::TakenOver => {
                let mut bus = self.bus.clone();
                end_lease(&mut bus, key("all"))?;
                (self.other.lock().unwrap())(&mut bus);
            }
            Disturbance::Held => self.hold(),
            Disturbance::Operated => (self.other.lock().unwrap())(&mut self.bus.clone()),
            Disturbance::Refused => return Err(lost(call)),
            Disturbance::Unanswered => return Ok(true),
        }
        Ok(false)
    }

    /// Takes the leases of all segments, but for those that a thread takes at this moment, or the lease of
    /// the consumer that is not divided yet.
    fn hold(&self) {
        let mut bus = self.bus.clone();
        end_lease(&mut bus, key("all")).unwrap();
        let segments = division(&mut bus, "all").map(|it| it.all("all").map(Some).collect());
        let segments: Vec<_> = segments.unwrap_or_else(|| vec![None]);
        let leases = segments.iter().map(|segment| {
            bus.acquire(&LeaseRequest {
                consumer: "all",
                topic: "orders",
                segment: segment.as_ref(),
                owner: "another process",
                duration: LEASE,
                identity: Default::default(),
                hands_out: false,
            })
        });
        self.held.lock().unwrap().extend(leases.flatten());
    }

    /// Lets the other process release what it keeps.
    pub fn give_back(&self) {
        for lease in self.held.lock().unwrap().drain(..) {
            self.bus.clone().release(&lease).unwrap();
        }
    }
}

fn lost(call: &str) -> Error {
    Error::disconnected(call, "the connection was lost")
}

/// The state of consumers, with a disturbance.
#[derive(Clone)]
pub struct DisturbedState {
    state: InMemoryMessageConsumerState,
    plan: Arc<Plan>,
}

macro_rules! disturb {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {$(
        fn $name(&mut self, $($argument: $type),*) -> Result<$output, Error> {
            let is_unanswered = self.plan.before(stringify!($name))?;
            let answer = self.state.$name($($argument),*);
            if is_unanswered { Err(lost(stringify!($name))) } else { answer }
        }
    )*};
}

impl MessageConsumerState for DisturbedState {
    disturb! {
        fn acquire(request: &LeaseRequest<'_>) -> Lease;
        fn note_work(lease: &Lease, note: &NoteWork) -> ();
        fn store_cursor(lease: &Lease, store: &CursorUpdate) -> ();
        fn renew(lease: &Lease, duration: Duration) -> ();
        fn release(lease: &Lease) -> ();
        fn end_lease(key: ConsumerKey<'_>) -> bool;
        fn reset(lease: &Lease, place: Place) -> ();
        fn identify(lease: &Lease, identity: ConsumerIdentity<'_>) -> ();
        fn replace_event_set(key: ConsumerKey<'_>, before: &str, after: &str) -> bool;
        fn rename(from: &str, to: &str) -> bool;
        fn pause(key: ConsumerKey<'_>) -> bool;
        fn resume(key: ConsumerKey<'_>) -> bool;
        fn stored_consumer(key: ConsumerKey<'_>) -> Option<ConsumerRow>;
        fn divide(leases: &[Lease], division: Division) -> ();
        fn segments(key: ConsumerKey<'_>, division: Division) -> Vec<SegmentRow>;
        fn stored_segment(key: ConsumerKey<'_>, segment: &Segment) -> Option<ConsumerRow>;
        fn change_division(key: ConsumerKey<'_>, before: Division, after: Division) -> bool;
        fn replace_segments(changes: &[SegmentChange<'_>]) -> bool;
    }
}

impl MessageFailures for DisturbedState {
    disturb! {
        fn record_failure(lease: &Lease, failure: &NewFailure<'_>) -> u32;
        fn give_up(lease: &Lease, message: MessageAt, then: FailurePolicy) -> ();
        fn is_redriven(lease: &Lease, position: Position, extend_lease: Duration) -> bool;
        fn take_redriven(lease: &Lease, position: Position, extend_lease: Duration) -> bool;
        fn failed_messages(request: &FailedMessagesRequest<'_>) -> Vec<FailedMessage>;
        fn count_failed(key: ConsumerKey<'_>, state: FailureState) -> u64;
        fn redrive(key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> u64;
        fn discard(key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> u64;
    }
}
