//! Consumers that read two topics. Keys keep their order across these, also when a process ends.

use std::sync::Arc;
use std::time::Duration;

use diesel::Connection;
use nix::sys::signal::Signal;
use persisting_message_bus::backend::{DividedBy, Division};
use persisting_message_bus::handler::External;
use persisting_message_bus::operate::{ConsumerKey, end_lease};
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer};

use super::begun::{Log, member};
use super::division;
use super::dying::run_until;
use super::fleet::{Fleet, THREADS};
use super::handling::Noted;
use super::records::judge_topics;
use super::sql::Sql;
use super::topic::{Both, Step, TOPICS};
use super::worker::{PAGE, PAYER, TELLER};

const LEASE: Duration = Duration::from_secs(3);

/// A process that dies, and another one.
const FIRST: u32 = 1;
const OTHER: u32 = 2;

/// A process that needs fewer statements would show that the statements are not seen.
const AT_LEAST: u32 = 15;

/// A step and a payment of two orders: a page.
const MESSAGES: u64 = 4;

pub fn processes_that_end_keep_the_order_across_topics<D: Sql>() {
    let mut fleet = Fleet::<D>::new(8);
    fleet.task.lease = LEASE;
    fleet.task.reads_payments = true;
    let mut workers = Vec::from([(); 3].map(|()| fleet.start()));
    fleet.publish_until_at_work(&workers, 30);
    let killed = workers.remove(1);
    killed.signal(Signal::SIGKILL);
    resize(&mut fleet, 5);
    fleet.publish_until_at_work(&workers, 30);
    let mut leaving = workers.remove(0);
    leaving.end();
    fleet.publish_until("the worker stops", |_| leaving.has_ended_well());
    fleet.publish_until_at_work(&workers, 10);
    let verdict = fleet.finish(workers, &[killed.number]);
    // Each thread has handled a page at most without storing the cursors.
    let repeated: usize = verdict.repeated.values().sum();
    assert!(repeated <= THREADS * PAGE, "{verdict:?}");
    assert!(verdict.late.is_empty(), "{verdict:?}");
}

/// Changes the number of segments of both consumers while messages come.
fn resize<D: Sql>(fleet: &mut Fleet<D>, segments: u16) {
    for consumer in [TELLER, PAYER] {
        let make = move || MessageConsumer::<Both>::external(consumer, |_| Ok(()));
        let mut operator = ParallelConsumer::by_key(make);
        // Some segments may not have been worked on yet.
        fleet.publish_until("a change begins", |fleet| {
            let begun = operator.resize(&mut fleet.bus, segments);
            begun.unwrap_or_else(|error| {
                assert!(error.is_retryable(), "{error:#}");
                false
            })
        });
    }
    let wanted = Some(Division::new(DividedBy::Key, segments));
    fleet.publish_until("the segments are replaced", |fleet| {
        [TELLER, PAYER].map(|it| division(&mut fleet.bus, it)) == [wanted; 2]
    });
}

/// Returns the consumer "all" of a process, which records the messages that it begins.
pub fn reader(
    process: u32,
    log: &Arc<Log>,
) -> ParallelConsumer<Both, External<impl FnMut(&Message<Both>) -> Noted + use<>>> {
    let log = Arc::clone(log);
    let make = move || member::<Both>(&log, process, Duration::ZERO).page_size(MESSAGES as usize);
    ParallelConsumer::by_key(make).segments(1)
}

/// Ends a process before its first statement, before its second one, and so on: also between the
/// statements that store the cursors of the two topics. Each time, another process goes on.
pub fn a_death_before_any_statement_of_a_page_skips_nothing<D: Sql>()
where
    D::Connection: Connection,
{
    let (mut fleet, log) = (Fleet::<D>::new(1), Arc::<Log>::default());
    fleet.task.reads_payments = true;
    take_over(&mut fleet, &log);
    for statement in 1.. {
        let numbers = fleet.messages..fleet.messages + MESSAGES;
        let steps = numbers.map(|number| Step {
            order: number % 2,
            number,
        });
        fleet.publish_steps(steps.collect());
        let ran = run_until(fleet.database.connect(), statement, |bus| {
            reader(FIRST, &log).handle_new_messages(bus)
        });
        if let Some(handled) = ran {
            assert_eq!(handled.unwrap() as u64, MESSAGES);
            assert!(statement > AT_LEAST, "only {statement} statements");
            break;
        }
        take_over(&mut fleet, &log);
    }
    let verdict = judge_topics(&log.records(), &fleet.published, &fleet.payments, &[FIRST]);
    assert!(!verdict.repeated.is_empty(), "no page was repeated");
    assert!(verdict.late.is_empty(), "{verdict:?}");
}

/// Ends the leases of a dead process, and lets another one handle what is left.
fn take_over<D: Sql>(fleet: &mut Fleet<D>, log: &Arc<Log>) {
    for topic in TOPICS {
        let consumer = "all";
        end_lease(&mut fleet.bus, ConsumerKey { consumer, topic }).unwrap();
    }
    let handled = reader(OTHER, log).handle_new_messages(&mut fleet.bus);
    handled.unwrap();
}
