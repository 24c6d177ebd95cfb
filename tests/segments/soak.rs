//! Processes that join, leave, are killed and frozen at random while messages of random keys come on two
//! topics, and the number of segments changes. Nothing is lost, keys keep their order across the topics,
//! and only messages of disturbed processes are repeated.
//!
//! `SOAK_SECONDS` is the duration for each database, and `SOAK_MESSAGES` the lowest number of messages:
//! `SOAK_MESSAGES=1000000 ./soak`.

use std::env;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::Signal;
use persisting_message_bus::{Keyed, MessageConsumer, ParallelConsumer};
use persisting_message_bus_tests::{seed, soak_time};

use super::fleet::{Fleet, THREADS};
use super::sql::Sql;
use super::topic::{Both, Step, Steps};
use super::worker::{PAGE, PAYER, TELLER, Worker};

const LEASE: Duration = Duration::from_secs(3);

/// The number of different keys.
const KEYS: u64 = 50;

/// How fast it goes.
struct Rate {
    /// The most messages of a transaction.
    most_at_once: u64,
    /// While so many messages wait, no more are published.
    most_waiting: u64,
    /// The largest page of a consumer.
    page: usize,
    /// The handlers of a process take no time, this long or twice that.
    pause: Duration,
    /// Whether the payer handles whole pages.
    pays_pages: bool,
    /// Whether the consumers read two topics, which takes twice as long.
    reads_payments: bool,
}

/// Many signals for each message.
const SHORT: Rate = Rate {
    most_at_once: 40,
    most_waiting: 3_000,
    page: PAGE,
    pause: Duration::from_micros(500),
    pays_pages: false,
    reads_payments: true,
};

/// As many messages as possible.
const LONG: Rate = Rate {
    most_at_once: 1_000,
    most_waiting: 20_000,
    page: 200,
    pause: Duration::from_micros(20),
    pays_pages: true,
    reads_payments: false,
};

/// The most processes at once.
const MOST: usize = 4;

struct Soak<D: Sql> {
    fleet: Fleet<D>,
    random: Rng,
    workers: Vec<Worker>,
    /// The worker that is frozen, and until when.
    frozen: Option<(Worker, Instant)>,
    /// The processes that were killed or frozen.
    disturbed: Vec<u32>,
    resizes: u32,
    rate: Rate,
}

pub fn everything_committed_is_handled_in_the_order_of_its_keys<D: Sql>() {
    let mut random = Rng::with_seed(seed());
    let least = env::var("SOAK_MESSAGES").map_or(0, |it| it.parse().expect("a number"));
    let mut fleet = Fleet::<D>::new(random.u16(1..24));
    let rate = if least > 0 { LONG } else { SHORT };
    (fleet.task.lease, fleet.task.page) = (LEASE, rate.page);
    (fleet.task.pays_pages, fleet.task.reads_payments) = (rate.pays_pages, rate.reads_payments);
    let mut soak = Soak {
        fleet,
        random,
        workers: Vec::new(),
        frozen: None,
        disturbed: Vec::new(),
        resizes: 0,
        rate,
    };
    soak.join();
    soak.join();
    let (begun, time) = (Instant::now(), soak_time(8));
    while begun.elapsed() < time || soak.fleet.messages < least {
        soak.act();
        let until = Instant::now() + Duration::from_millis(soak.random.u64(50..600));
        // To count the effects of many messages would cost more than to handle some.
        let paid = D::last_effect(&mut soak.fleet.bus);
        while Instant::now() < until {
            soak.publish(paid);
        }
    }
    soak.finish();
}

impl<D: Sql> Soak<D> {
    fn act(&mut self) {
        let is_over = |frozen: &mut (Worker, Instant)| frozen.1 <= Instant::now();
        if let Some((worker, _)) = self.frozen.take_if(is_over) {
            worker.signal(Signal::SIGCONT);
            self.workers.push(worker);
        }
        match self.random.u32(..100) {
            0..25 if self.workers.len() < MOST => self.join(),
            25..45 if self.workers.len() > 1 => self.choose().stop(),
            45..65 => {
                let killed = self.choose();
                killed.signal(Signal::SIGKILL);
                self.disturbed.push(killed.number);
                self.join();
            }
            // It can have everything locked, also for this process.
            65..80 if self.frozen.is_none() && !D::HAS_ONE_WRITER => {
                let frozen = self.choose();
                frozen.signal(Signal::SIGSTOP);
                self.disturbed.push(frozen.number);
                let until = Instant::now() + LEASE.mul_f64(2.0 * self.random.f64());
                self.frozen = Some((frozen, until));
                self.join();
            }
            80..100 => self.resize(),
            _ => {}
        }
    }

    fn join(&mut self) {
        self.fleet.task.threads = self.random.usize(1..=THREADS);
        self.fleet.task.pause = self.rate.pause * self.random.u32(..3);
        let worker = self.fleet.start();
        self.workers.push(worker);
    }

    fn choose(&mut self) -> Worker {
        let chosen = self.random.usize(..self.workers.len());
        self.workers.swap_remove(chosen)
    }

    /// Changes the number of segments, unless it is changing.
    fn resize(&mut self) {
        if self.rate.reads_payments {
            self.resize_as::<Both>();
        } else {
            self.resize_as::<Steps>();
        }
    }

    /// Changes it as a program that reads this does.
    fn resize_as<S: Keyed>(&mut self) {
        for consumer in [TELLER, PAYER] {
            let make = move || MessageConsumer::<S>::external(consumer, |_| Ok(()));
            let mut operator = ParallelConsumer::by_key(make);
            let segments = self.random.u16(1..32);
            match operator.resize(&mut self.fleet.bus, segments) {
                Ok(changes) => self.resizes += u32::from(changes),
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    }

    /// Publishes some messages, unless many wait. About so many were paid before.
    fn publish(&mut self, paid: u64) {
        let told = self.fleet.told();
        if self.fleet.messages > told.min(paid) + self.rate.most_waiting {
            std::thread::sleep(Duration::from_millis(20));
            return;
        }
        let first = self.fleet.messages;
        let numbers = first..first + self.random.u64(1..self.rate.most_at_once);
        let steps = numbers.map(|number| Step {
            order: self.random.u64(..KEYS),
            number,
        });
        let steps = steps.collect();
        self.fleet.publish_steps(steps);
        std::thread::sleep(Duration::from_millis(self.random.u64(..20)));
    }

    fn finish(mut self) {
        if let Some((worker, _)) = self.frozen.take() {
            worker.signal(Signal::SIGCONT);
            self.workers.push(worker);
        }
        let verdict = self.fleet.finish(self.workers, &self.disturbed);
        let (messages, disturbed) = (self.fleet.messages, self.disturbed.len());
        let resizes = self.resizes;
        eprintln!("{messages} messages, {disturbed} disturbed, {resizes} resizes: {verdict:?}");
        // Each thread has handled a page at most without storing the cursor.
        let repeated: usize = verdict.repeated.values().sum();
        assert!(
            repeated <= disturbed * THREADS * self.rate.page,
            "{verdict:?}"
        );
        let late: usize = verdict.late.values().sum();
        assert!(late <= disturbed * THREADS, "{verdict:?}");
    }
}
