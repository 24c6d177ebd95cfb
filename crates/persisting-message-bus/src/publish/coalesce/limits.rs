use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_connections: usize,
    pub(super) max_batch_size: usize,
    pub(super) max_queue_size: usize,
    pub(super) queue_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1,
            max_batch_size: 5_000,
            max_queue_size: 10_000,
            queue_timeout: Duration::from_secs(10),
        }
    }
}
