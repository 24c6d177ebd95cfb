use std::time::Duration;

/// The amounts of work in a turn. A turn takes a few hundred milliseconds, so that two turns are
/// close together in time.
#[derive(Clone, Copy)]
pub struct Amounts {
    /// The number of messages to consume.
    pub consumed: u64,
    /// The maximum number of messages for a handler that inserts a row for each.
    pub inserted: u64,
    /// The duration of publishing.
    pub publish_for: Duration,
}

impl Amounts {
    pub const USUAL: Self = Self {
        consumed: 200_000,
        inserted: u64::MAX,
        publish_for: Duration::from_millis(200),
    };

    /// Amounts that only show that everything runs.
    pub const TINY: Self = Self {
        consumed: 200,
        inserted: 100,
        publish_for: Duration::from_millis(5),
    };
}
