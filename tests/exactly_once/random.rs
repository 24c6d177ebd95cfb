//! Handlers that misbehave at random, in processes that are started again. Nothing is lost, and
//! nothing is repeated except effects that a server had made final. Only guilty messages fail, and
//! every consumer catches up.
//!
//! `SOAK_SECONDS` is the duration for each database.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, abort};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use fastrand::Rng;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{Error, FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server, Sqlite, connect_sqlite};
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::{seed, soak_time};

use super::deeds::{Fate, do_it};
use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place};

const LAST: u64 = 40;
const LEASE: Duration = Duration::from_millis(200);

/// Environment variables of a worker: the database, its log, and the seed.
const URL: &str = "RANDOM_WORKER";
const LOG: &str = "RANDOM_LOG";
const SEED: &str = "RANDOM_SEED";

/// A file in which handlers record each deed before they do it. It outlives their process.
struct Log(String);

impl Log {
    fn write(&self, what: &str, order: u64) {
        let file = OpenOptions::new().create(true).append(true).open(&self.0);
        writeln!(file.unwrap(), "{what} {order}").unwrap();
    }

    /// Returns the orders whose handler did the deed.
    fn read(&self, what: &str) -> BTreeSet<u64> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.strip_prefix(what));
        lines
            .filter_map(|order| order.trim().parse().ok())
            .collect()
    }
}

/// Misbehaves at one of the messages that are handed out together.
fn misbehave<D: Sql>(
    bus: &mut D::Connection,
    log: &Log,
    random: &mut Rng,
    order: u64,
    together: bool,
) -> Result<(), HandlerError> {
    let is_bad = order.is_multiple_of(13);
    if !is_bad && random.u32(..100) < 85 {
        return Ok(());
    }
    log.write("guilty", order);
    match random.u32(..if is_bad { 80 } else { 100 }) {
        0..20 => Err("no stock".into()),
        20..30 => panic!("a handler panics"),
        30..70 => {
            let deed = &D::DEEDS[random.usize(..D::DEEDS.len())];
            // In a page, the handler itself continues with the innocent messages.
            if together && deed.fate != Fate::Aborted {
                return Err("nothing".into());
            }
            if deed.fate == Fate::Committed {
                log.write("final", order);
            }
            do_it::<D>(bus, deed.sql);
            // The handler may continue as if nothing had happened.
            if random.bool() && deed.fate != Fate::Aborted {
                log.write("final", order);
                do_it::<D>(bus, &format!("INSERT INTO effects VALUES ({order})"));
            }
            if random.bool() {
                Ok(())
            } else {
                Err("besides".into())
            }
        }
        70..76 => Ok(bus.batch_execute(D::KILLS_ITSELF.unwrap_or("no such statement"))?),
        76..80 => Err(Error::transient("booking", "deadlock").into()),
        80..85 => match D::TOO_SLOW {
            Some([_, slow]) => Ok(bus.batch_execute(slow)?),
            None => Ok(()),
        },
        85..95 => Ok(()),
        _ => abort(),
    }
}

/// Runs a consumer until it has caught up, on a new connection after each error.
fn work<D: Sql>(connect: impl Fn() -> D::Connection, log: &Log, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let pages = random.bool();
    let size = random.usize(1..20);
    let retry = at_once(3, FailurePolicy::Park).transient_timeout(Duration::from_millis(100));
    let (log, mut handler_random) = (&log, Rng::with_seed(seed + 1));
    let mut one = |bus: &mut D::Connection, order: u64, together: bool| {
        effect(bus, order)?;
        misbehave::<D>(bus, log, &mut handler_random, order, together)
    };
    let mut paged = MessageConsumer::<Orders>::transactional_pages(
        "all",
        |bus: &mut D::Connection, messages: &[Message<Orders>]| {
            let mut messages_of = messages.iter();
            messages_of.try_for_each(|message| one(bus, order(message), messages.len() > 1))
        },
    )
    .page_size(size)
    .lease_duration(LEASE)
    .retry(retry);
    let mut random_of_each = Rng::with_seed(seed + 2);
    let mut each = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut D::Connection, message: &Message<Orders>| {
            effect(bus, order(message))?;
            misbehave::<D>(bus, log, &mut random_of_each, order(message), false)
        },
    )
    .page_size(size)
    .lease_duration(LEASE)
    .retry(retry);
    for _ in 0..1_000 {
        let mut bus = connect();
        if let Some([set, _]) = D::TOO_SLOW {
            bus.batch_execute(set).unwrap();
        }
        let caught_up = if pages {
            paged.handle_new_messages(&mut bus)
        } else {
            each.handle_new_messages(&mut bus)
        };
        match caught_up {
            Ok(_) => return,
            // The process that died holds the lease until it expires. A pause, because a lease ends
            // by time alone.
            Err(error) if error.is_lease_held() => std::thread::sleep(LEASE / 10),
            Err(_) => {}
        }
    }
    panic!("the consumer does not catch up");
}

#[test]
fn worker() {
    let (Ok(url), Ok(log), Ok(seed)) = (env::var(URL), env::var(LOG), env::var(SEED)) else {
        return;
    };
    let (log, seed) = (Log(log), seed.parse().unwrap());
    if url.starts_with("postgres") {
        work::<Postgres>(|| Postgres::connect_to(&url), &log, seed);
    } else if url.starts_with("mysql") {
        work::<Mariadb>(|| Mariadb::connect_to(&url), &log, seed);
    } else {
        work::<Sqlite>(|| connect_sqlite(&url), &log, seed);
    }
}

/// Runs one database from its first message to its last.
fn world<D: Sql>(url: &impl Fn(&D) -> String, random: &mut Rng) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log(folder.path().join("log").display().to_string());
    let (database, mut bus) = D::prepare();
    place(&mut bus, 1..LAST + 1);
    let mut said = Vec::new();
    let ended = (0..100).find(|_| {
        let seed = random.u64(..u64::MAX / 2);
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["random::worker", "--exact"]);
        command.envs([
            (URL, url(&database)),
            (LOG, log.0.clone()),
            (SEED, seed.to_string()),
        ]);
        let output = command.output().unwrap();
        said.push(String::from_utf8_lossy(&output.stdout).into_owned());
        let text = said.last().unwrap();
        assert!(
            !text.contains("the consumer does not catch up"),
            "seed {seed}: {text}"
        );
        output.status.success()
    });
    assert!(
        ended.is_some(),
        "the worker was started 100 times: {:?}",
        said.last()
    );
    assert_eq!(cursor(&mut bus, "all"), LAST.cast_signed());

    let (guilty, final_ones) = (log.read("guilty"), log.read("final"));
    for failed in parked(&mut bus, "all") {
        let order = failed.position.get().unsigned_abs();
        assert!(guilty.contains(&order), "{failed:?} is innocent");
    }
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let handler =
        |bus: &mut D::Connection, message: &Message<Orders>| Ok(effect(bus, order(message))?);
    let mut good = MessageConsumer::<Orders>::transactional("all", handler);
    good.handle_new_messages(&mut bus).unwrap();
    let counts = effects::<D>(&mut bus, 1..=LAST);
    for (count, order) in counts.into_iter().zip(1..) {
        let is_right = count == 1 || count > 1 && final_ones.contains(&order);
        assert!(is_right, "order {order} has {count} effects");
    }
}

fn worlds<D: Sql>(url: impl Fn(&D) -> String) {
    let mut random = Rng::with_seed(seed());
    let begun = Instant::now();
    let mut worlds = 0;
    while worlds == 0 || begun.elapsed() < soak_time(5) {
        world(&url, &mut random);
        worlds += 1;
    }
    eprintln!("{worlds} worlds");
}

#[test]
fn everything_committed_has_its_effects_once_on_sqlite() {
    worlds(|database: &Sqlite| database.path());
}

#[test]
fn everything_committed_has_its_effects_once_on_postgres() {
    worlds(|database: &Postgres| database.url());
}

#[test]
fn everything_committed_has_its_effects_once_on_mariadb() {
    worlds(|database: &Mariadb| database.url());
}
