use std::time::Duration;

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub rounds: usize,
    pub publishers: Vec<usize>,
    pub batches: Vec<usize>,
    /// How long a round of publishing takes.
    pub publish_for: Duration,
    /// How many messages are consumed in a round.
    pub consumed: u64,
    pub pages: Vec<usize>,
}

impl Sizes {
    pub fn usual() -> Self {
        Self {
            rounds: 3,
            publishers: vec![1, 4, 16, 64],
            batches: vec![1, 100, 1_000, 10_000],
            publish_for: Duration::from_secs(1),
            consumed: 200_000,
            pages: vec![50, 500, 5_000],
        }
    }

    pub fn quick() -> Self {
        Self {
            publish_for: Duration::from_millis(300),
            consumed: 30_000,
            ..Self::usual()
        }
    }

    /// Just enough to see that everything runs.
    pub fn tiny() -> Self {
        Self {
            rounds: 1,
            publishers: vec![1, 2],
            batches: vec![1, 10],
            publish_for: Duration::from_millis(5),
            consumed: 200,
            pages: vec![50],
        }
    }
}
