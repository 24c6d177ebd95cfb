//! Group commits on a scripted bus that counts its commits, and waits, fails or panics on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{MessageRepository, RawMessage, TransactionControl};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Coalescer, Error, OnDuplicate};
use persisting_message_bus_tests::topics::OrderPlaced;
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

use super::orders;

/// The instructions for a scripted bus, and its counts.
#[derive(Default)]
struct Script {
    bus: InMemoryMessageBus,
    connections: AtomicUsize,
    /// The number of messages at each attempt.
    attempts: Mutex<Vec<usize>>,
    /// The misbehaviour at some attempts, instead of persisting.
    plan: Mutex<BTreeMap<usize, Does>>,
    /// Whether the next call of `transaction_depth` reports an open transaction.
    is_open: AtomicBool,
    /// The signal for which it waits once.
    gate: Mutex<Option<mpsc::Receiver<()>>>,
}

enum Does {
    Panics,
    LosesItsConnection,
    /// Refuses the first message and leaves its transaction open.
    LeavesItOpen,
}

struct Scripted(Arc<Script>);

impl MessageRepository for Scripted {
    fn persist(
        &mut self,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        if let Some(gate) = self.0.gate.lock().unwrap().take() {
            gate.recv().unwrap();
        }
        let attempt = {
            let mut attempts = self.0.attempts.lock().unwrap();
            attempts.push(messages.len());
            attempts.len() - 1
        };
        let plan = self.0.plan.lock().unwrap().remove(&attempt);
        match plan {
            Some(Does::Panics) => panic!("out of order"),
            Some(Does::LosesItsConnection) => Err(Error::transient("writing", "connection reset")),
            Some(Does::LeavesItOpen) => {
                self.0.is_open.store(true, Ordering::Relaxed);
                Err(Error::duplicate_message(&messages[0]))
            }
            None => self.0.bus.clone().persist(messages, duplicates),
        }
    }
}

impl TransactionControl for Scripted {
    fn begin(&mut self) -> Result<(), Error> {
        self.0.bus.clone().begin()
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.0.bus.clone().commit()
    }

    fn rollback(&mut self) -> Result<(), Error> {
        self.0.bus.clone().rollback()
    }

    fn transaction_depth(&mut self) -> usize {
        usize::from(self.0.is_open.swap(false, Ordering::Relaxed))
    }
}

fn scripted(script: &Arc<Script>) -> Coalescer {
    let script = Arc::clone(script);
    Coalescer::new(move || {
        script.connections.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Error>(Scripted(Arc::clone(&script)))
    })
}

/// Dispatches one message, and `others` more while it is being committed.
fn one_and_then(
    script: &Arc<Script>,
    coalescer: &Coalescer,
    others: usize,
) -> Vec<Result<Uuid, Error>> {
    let (let_go, gate) = mpsc::channel();
    *script.gate.lock().unwrap() = Some(gate);
    let dispatch = |number| orders(coalescer).dispatch(&OrderPlaced::number(number));
    thread::scope(|scope| {
        let first = scope.spawn(move || dispatch(0));
        wait_until("the first message is being committed", || {
            coalescer.is_busy() && coalescer.waiting() == 0
        });
        let others: Vec<_> = (1..=others as u64)
            .map(|number| scope.spawn(move || dispatch(number)))
            .collect();
        wait_until("the others wait", || coalescer.waiting() >= others.len());
        let_go.send(()).unwrap();
        let all = std::iter::once(first).chain(others);
        all.map(|dispatched| dispatched.join().unwrap()).collect()
    })
}

#[test]
fn callers_during_a_commit_share_the_next_one() {
    let script = Arc::<Script>::default();
    let coalescer = scripted(&script);
    for outcome in one_and_then(&script, &coalescer, 20) {
        outcome.unwrap();
    }
    assert_eq!(*script.attempts.lock().unwrap(), [1, 20]);
    assert_eq!(script.bus.messages.messages().len(), 21);
    assert_eq!(script.connections.load(Ordering::Relaxed), 1);
}

#[test]
fn a_commit_has_at_most_max_batch_size_messages() {
    let script = Arc::<Script>::default();
    let coalescer = scripted(&script).max_batch_size(8);
    for outcome in one_and_then(&script, &coalescer, 20) {
        outcome.unwrap();
    }
    assert_eq!(*script.attempts.lock().unwrap(), [1, 8, 8, 4]);
    let batch = (0..30).map(OrderPlaced::number);
    assert_eq!(orders(&coalescer).dispatch_batch(batch).unwrap(), 30);
    assert_eq!(script.attempts.lock().unwrap().last(), Some(&30));
}

#[test]
fn a_lost_connection_fails_all_callers_and_nothing_is_repeated() {
    let script = Arc::<Script>::default();
    script
        .plan
        .lock()
        .unwrap()
        .insert(1, Does::LosesItsConnection);
    let coalescer = scripted(&script);
    let outcomes = one_and_then(&script, &coalescer, 3);
    assert!(outcomes[0].is_ok());
    for outcome in &outcomes[1..] {
        let error = outcome.as_ref().unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(
            format!("{error:#}").contains("connection reset"),
            "{error:#}"
        );
    }
    assert_eq!(*script.attempts.lock().unwrap(), [1, 3]);
    orders(&coalescer)
        .dispatch(&OrderPlaced::number(4))
        .unwrap();
    assert_eq!(script.connections.load(Ordering::Relaxed), 2);
}

#[test]
fn a_panic_of_the_repository_fails_its_message_only() {
    let script = Arc::<Script>::default();
    script
        .plan
        .lock()
        .unwrap()
        .extend([0, 1].map(|attempt| (attempt, Does::Panics)));
    let coalescer = scripted(&script);
    let outcomes = one_and_then(&script, &coalescer, 4);
    let error = outcomes[0].as_ref().unwrap_err();
    assert!(format!("{error:#}").contains("out of order"), "{error:#}");
    assert!(outcomes[1..].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(*script.attempts.lock().unwrap(), [1, 4, 2, 2]);
}

#[test]
fn a_closed_coalescer_drops_its_connections() {
    let script = Arc::<Script>::default();
    let coalescer = scripted(&script);
    orders(&coalescer)
        .dispatch(&OrderPlaced::number(0))
        .unwrap();
    // The references of this test, of `connect`, and of the connection.
    assert_eq!(Arc::strong_count(&script), 3);
    assert!(coalescer.close(Duration::from_secs(60)));
    assert_eq!(Arc::strong_count(&script), 2);
}

#[test]
fn a_connection_is_replaced_when_its_transaction_was_left_open() {
    let script = Arc::<Script>::default();
    script.plan.lock().unwrap().insert(0, Does::LeavesItOpen);
    let coalescer = scripted(&script);
    let dispatch = || orders(&coalescer).dispatch(&OrderPlaced::number(0));
    assert!(dispatch().unwrap_err().is_duplicate());
    dispatch().unwrap();
    assert_eq!(script.connections.load(Ordering::Relaxed), 2);
}

#[test]
fn a_failed_connection_is_reported_and_retried() {
    let attempts = AtomicUsize::new(0);
    let bus = InMemoryMessageBus::default();
    let coalescer = Coalescer::new(move || match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => Err("no server".to_owned()),
        1 => panic!("no memory"),
        _ => Ok(bus.clone()),
    });
    for problem in ["no server", "no memory"] {
        let error = orders(&coalescer)
            .dispatch(&OrderPlaced::number(1))
            .unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(format!("{error:#}").contains(problem), "{error:#}");
    }
    orders(&coalescer)
        .dispatch(&OrderPlaced::number(1))
        .unwrap();
}
