//! Messages whose handler ends the process, as with `panic = "abort"` or when memory runs out. This
//! program starts itself again, as a process supervisor does.

use std::env;
use std::io;
use std::process::{Command, abort};
use std::time::Duration;

use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, NoteWork, Work};
use persisting_message_bus::operate::{
    ConsumerKey, FailedMessagesRequest, FailureState, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, Position, Runner};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server, Sqlite, connect_sqlite};
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until_every;

use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const CONSUMERS: u32 = 10;
const LAST: u64 = 20;
const GUILTY: u64 = 5;
const LEASE: Duration = Duration::from_millis(400);

/// Environment variables that make this process a worker.
const URL: &str = "EXACTLY_ONCE_WORKER";
const KIND: &str = "EXACTLY_ONCE_KIND";

fn name(number: u32) -> String {
    format!("consumer {number}")
}

fn handle<C: diesel::connection::SimpleConnection>(
    bus: &mut C,
    guilty: bool,
    consumer: u32,
    order: u64,
) -> Result<(), persisting_message_bus::handler::HandlerError> {
    if guilty && order == GUILTY {
        abort();
    }
    effect(bus, u64::from(consumer) * 1_000 + order)?;
    // A pause, so that the process ends at a random moment of the other consumers' work.
    std::thread::sleep(Duration::from_millis(2));
    Ok(())
}

/// Runs ten consumers until all have caught up. The fourth one ends the process at one message.
fn work<D: Sql>(connect: impl Fn() -> D::Connection + Send + Sync + Clone + 'static, kind: &str)
where
    D::Connection: Send,
{
    let retry = at_once(2, FailurePolicy::Park);
    let connection = connect.clone();
    let mut runner = Runner::new(move || Ok::<_, io::Error>(connection()))
        .idle_interval(Duration::from_millis(20))
        .retry(retry);
    for number in 0..CONSUMERS {
        let guilty = number == 3;
        if kind == "external" {
            let connect = connect.clone();
            let mut effects = None;
            let handler = move |message: &Message<Orders>| {
                let effects = effects.get_or_insert_with(&connect);
                handle(effects, guilty, number, order(message))
            };
            let consumer = MessageConsumer::<Orders>::external(name(number), handler);
            runner = runner.consumer(consumer.lease_duration(LEASE));
        } else {
            let handler = move |bus: &mut D::Connection, message: &Message<Orders>| {
                handle(bus, guilty, number, order(message))
            };
            let consumer = MessageConsumer::<Orders>::transactional(name(number), handler);
            runner = runner.consumer(consumer.lease_duration(LEASE));
        }
    }
    let running = runner.start();
    let mut bus = connect();
    let mut is_done = |number| {
        let redriven = FailureState::Redriven;
        let waiting = bus
            .count_failed(
                ConsumerKey {
                    consumer: &name(number),
                    topic: "orders",
                },
                redriven,
            )
            .unwrap();
        waiting == 0 && cursor(&mut bus, &name(number)) == LAST.cast_signed()
    };
    let interval = Duration::from_millis(10);
    wait_until_every(interval, "the consumers catch up", || {
        (0..CONSUMERS).all(&mut is_done)
    });
    running.stop_within(Duration::from_secs(30)).unwrap();
}

#[test]
fn worker() {
    let (Ok(url), Ok(kind)) = (env::var(URL), env::var(KIND)) else {
        return;
    };
    if url.starts_with("postgres") {
        work::<Postgres>(move || Postgres::connect_to(&url), &kind);
    } else if url.starts_with("mysql") {
        work::<Mariadb>(move || Mariadb::connect_to(&url), &kind);
    } else {
        work::<Sqlite>(move || connect_sqlite(&url), &kind);
    }
}

/// Runs a worker, and returns whether it finished.
fn start(url: &str, kind: &str) -> bool {
    let program = env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args(["deaths::worker", "--exact"])
        .envs([(URL, url), (KIND, kind)]);
    command.output().unwrap().status.success()
}

/// Replays these controls of the death model: `without_the_note`, `where_a_page_is_an_attempt`,
/// `where_others_are_at_work_meanwhile`.
fn only_the_guilty_message_is_parked<D: Sql>(url: impl Fn(&D) -> String, kind: &str) {
    let (database, mut bus) = D::prepare();
    place(&mut bus, 1..LAST + 1);
    let starts = (1..20).find(|_| start(&url(&database), kind));
    // One start for a page with the message, two for the message alone, and one for the rest.
    assert_eq!(starts, Some(4), "the number of starts");
    for number in 0..CONSUMERS {
        let found = positions(&parked(&mut bus, &name(number)));
        let guilty = if number == 3 { vec![(5, 2)] } else { vec![] };
        assert_eq!(found, guilty, "{}", name(number));
        for state in [FailureState::Failing, FailureState::Stopped] {
            let failed = bus
                .count_failed(
                    ConsumerKey {
                        consumer: &name(number),
                        topic: "orders",
                    },
                    state,
                )
                .unwrap();
            assert_eq!(failed, 0, "{}", name(number));
        }
        let orders = (1..=LAST).filter(|order| number != 3 || *order != GUILTY);
        let counts = effects::<D>(&mut bus, orders.map(|it| u64::from(number) * 1_000 + it));
        let is_right = |count: &i64| match kind {
            "external" => *count >= 1,
            _ => *count == 1,
        };
        assert!(counts.iter().all(is_right), "{}: {counts:?}", name(number));
    }
    let text = &parked(&mut bus, &name(3))[0].error;
    assert!(text.contains("ended unexpectedly"), "{text}");
}

/// A redriven message ends its process, too, and is then parked again.
fn a_redriven_message_that_ends_its_process_is_parked_again<D: Sql>(url: impl Fn(&D) -> String) {
    let (database, mut bus) = D::prepare();
    place(&mut bus, 1..LAST + 1);
    while !start(&url(&database), "transactional") {}
    let guilty = name(3);
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: &guilty,
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        1
    );
    let starts = (1..20).find(|_| {
        start(&url(&database), "transactional");
        positions(&parked(&mut bus, &guilty)) == [(5, 3)]
    });
    assert!(
        starts.is_some(),
        "{:?}",
        bus.failed_messages(&FailedMessagesRequest {
            state: FailureState::Redriven,
            ..FailedMessagesRequest::of_parked(ConsumerKey {
                consumer: &guilty,
                topic: "orders"
            })
        })
    );
}

/// Acquires the lease as a process that dies. It records the messages that it hands out, if it gets
/// so far.
fn die<D: Sql>(bus: &mut D::Connection, owner: &str, work: Option<Work>) {
    let lease = bus
        .acquire(&LeaseRequest {
            consumer: "all",
            topic: "orders",
            segment: None,
            owner,
            duration: Duration::ZERO,
            identity: Default::default(),
            hands_out: false,
        })
        .unwrap();
    let note = NoteWork {
        work,
        suspect_until: lease.suspect_until,
        extend_lease: Duration::ZERO,
    };
    if work.is_some() {
        bus.note_work(&lease, &note).unwrap();
    }
}

fn deaths_without_a_lone_message_park_nothing<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..4);
    for death in 0..5 {
        die::<D>(&mut bus, &format!("a process {death}"), None);
    }
    // These processes had a page, so it is unknown which of its messages ended them.
    for death in 0..5 {
        die::<D>(
            &mut bus,
            &format!("another process {death}"),
            Some(Work::PAGE),
        );
    }
    let mut seen = Vec::new();
    let handler = |message: &Message<Orders>| {
        seen.push(order(message));
        Ok(())
    };
    let mut consumer =
        MessageConsumer::<Orders>::external("all", handler).retry(at_once(1, FailurePolicy::Park));
    // The suspect messages are handled one at a time.
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(positions(&parked(&mut bus, "all")), []);
}

/// Replays the control `where_taking_ones_own_lease_again_is_an_attempt`. A process acquires its
/// lease again after a lost connection, for example.
fn a_process_that_reacquires_its_own_lease_has_not_died<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..4);
    die::<D>(&mut bus, "a process", Some(Work::PAGE.alone(true)));
    let request = |owner| LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner,
        duration: Duration::ZERO,
        identity: Default::default(),
        hands_out: false,
    };
    assert_eq!(bus.acquire(&request("a process")).unwrap().left, None);
    assert_eq!(bus.acquire(&request("another process")).unwrap().left, None);
    die::<D>(&mut bus, "a process", Some(Work::PAGE.alone(true)));
    let left = bus.acquire(&request("another process")).unwrap().left;
    assert_eq!(left, Some(Work::PAGE.alone(true)));
}

fn a_death_alone_with_a_message_is_a_failed_attempt<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..4);
    let handler = |_: &Message<Orders>| Ok(());
    let mut consumer =
        MessageConsumer::<Orders>::external("all", handler).retry(at_once(2, FailurePolicy::Park));
    die::<D>(&mut bus, "a process", Some(Work::PAGE.alone(true)));
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_handler_failure(), "{error:?}");
    assert_eq!(
        (error.position(), error.attempts()),
        (Some(Position::new(1)), Some(1))
    );
    die::<D>(&mut bus, "another process", Some(Work::PAGE.alone(true)));
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(positions(&parked(&mut bus, "all")), [(1, 2)]);
    assert_eq!(cursor(&mut bus, "all"), 3);
}

macro_rules! deaths_on {
    ($($backend:ident: $database:ty, $url:expr;)*) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn only_the_guilty_message_of_ten_consumers_is_parked() {
                only_the_guilty_message_is_parked::<$database>($url, "transactional");
            }

            #[test]
            fn only_the_guilty_message_of_external_handlers_is_parked() {
                only_the_guilty_message_is_parked::<$database>($url, "external");
            }

            #[test]
            fn a_redriven_message_that_ends_its_process_is_parked_again() {
                super::a_redriven_message_that_ends_its_process_is_parked_again::<$database>($url);
            }

            #[test]
            fn deaths_without_a_lone_message_park_nothing() {
                super::deaths_without_a_lone_message_park_nothing::<$database>();
            }

            #[test]
            fn a_process_that_reacquires_its_own_lease_has_not_died() {
                super::a_process_that_reacquires_its_own_lease_has_not_died::<$database>();
            }

            #[test]
            fn a_death_alone_with_a_message_is_a_failed_attempt() {
                super::a_death_alone_with_a_message_is_a_failed_attempt::<$database>();
            }
        }
    )*};
}

deaths_on! {
    sqlite: Sqlite, |database: &Sqlite| database.path();
    postgres: Postgres, Server::url;
    mariadb: Mariadb, Server::url;
}
