use std::time::Duration;

use crate::latency::Pace;
use crate::measure::TURNS;

/// The sizes of all benchmarks.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub rounds: usize,
    pub publishers: Vec<usize>,
    /// The numbers of threads that share commits.
    pub producers: Vec<usize>,
    pub batches: Vec<usize>,
    /// The duration of a round of publishing.
    pub publish_for: Duration,
    /// The number of messages to consume.
    pub consumed: u64,
    pub pages: Vec<usize>,
    /// The maximum number of pages in a round.
    pub most_pages: usize,
    /// The numbers of rows in large tables.
    pub rows: Vec<u64>,
    /// The number of messages that are consumed from a large table.
    pub consumed_of_many: usize,
    pub topics: Vec<usize>,
    pub messages_of_a_topic: u64,
    pub consumers: Vec<usize>,
    pub paces: Vec<Pace>,
    /// The duration of publishing at each pace.
    pub latency_for: Duration,
    /// The duration for which an idle consumer is observed.
    pub idle_for: Duration,
    /// The number of idle consumers that are observed together.
    pub crowd: usize,
    /// The number of locks that another program holds meanwhile.
    pub foreign_locks: usize,
    /// The duration of measuring many handlers at once.
    pub parallel_for: Duration,
    /// The highest number of threads for one consumer.
    pub most_threads: usize,
}

impl Sizes {
    /// Returns the duration of a publisher's turn.
    pub fn turn(&self) -> Duration {
        self.publish_for / TURNS
    }

    /// Returns the maximum number of messages in a consumer's turn.
    pub fn most_in_a_turn(&self, page: usize) -> usize {
        page * self.most_pages.div_ceil(TURNS as usize)
    }

    pub fn usual() -> Self {
        Self {
            rounds: 3,
            publishers: vec![1, 4, 16, 64],
            producers: vec![16, 64, 256],
            batches: vec![1, 100, 1_000, 10_000],
            publish_for: Duration::from_secs(1),
            consumed: 200_000,
            pages: vec![50, 500, 5_000],
            most_pages: 400,
            rows: vec![100_000, 1_000_000],
            consumed_of_many: 20_000,
            topics: vec![1, 16, 256],
            messages_of_a_topic: 2_000,
            consumers: vec![1, 10, 50],
            paces: vec![
                Pace::Even(1),
                Pace::Random(10),
                Pace::Even(50),
                Pace::Even(200),
                Pace::FullLoad,
                Pace::TwoAtFullLoad,
            ],
            latency_for: Duration::from_secs(10),
            idle_for: Duration::from_secs(30),
            crowd: 200,
            foreign_locks: 40_000,
            parallel_for: Duration::from_secs(5),
            most_threads: 64,
        }
    }

    /// Returns sizes with a table of ten million rows.
    pub fn full() -> Self {
        Self {
            rows: vec![100_000, 1_000_000, 10_000_000],
            ..Self::usual()
        }
    }

    pub fn quick() -> Self {
        Self {
            publish_for: Duration::from_millis(300),
            consumed: 30_000,
            most_pages: 60,
            rows: vec![10_000, 100_000],
            messages_of_a_topic: 500,
            consumed_of_many: 5_000,
            latency_for: Duration::from_secs(3),
            idle_for: Duration::from_secs(10),
            parallel_for: Duration::from_secs(3),
            ..Self::usual()
        }
    }

    /// Returns sizes that only show that everything runs.
    pub fn tiny() -> Self {
        Self {
            rounds: 1,
            publishers: vec![1, 2],
            producers: vec![2],
            batches: vec![1, 10],
            publish_for: Duration::from_millis(5),
            consumed: 200,
            pages: vec![50],
            most_pages: 10,
            rows: vec![1_000],
            consumed_of_many: 100,
            topics: vec![1, 2],
            messages_of_a_topic: 100,
            consumers: vec![1, 2],
            paces: vec![Pace::Even(200), Pace::FullLoad, Pace::TwoAtFullLoad],
            latency_for: Duration::from_millis(50),
            idle_for: Duration::from_millis(500),
            crowd: 3,
            foreign_locks: 100,
            parallel_for: Duration::from_millis(200),
            most_threads: 1,
        }
    }
}
