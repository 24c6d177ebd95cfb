use std::time::Duration;

/// How much is done in a turn: so much that it takes some tenths of a second, so that two turns are close
/// together in time.
#[derive(Clone, Copy)]
pub struct Amounts {
    /// How many messages there are to be consumed.
    pub consumed: u64,
    /// The most that are there for a handler that inserts a row for each.
    pub inserted: u64,
    /// How long is published.
    pub publish_for: Duration,
}

impl Amounts {
    pub const USUAL: Self = Self {
        consumed: 200_000,
        inserted: u64::MAX,
        publish_for: Duration::from_millis(200),
    };

    /// Just enough to see that everything runs.
    pub const TINY: Self = Self {
        consumed: 200,
        inserted: 100,
        publish_for: Duration::from_millis(5),
    };
}
