use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_connections: usize,
    pub(crate) max_batch_size: usize,
    pub(crate) max_queue_size: usize,
    pub(crate) queue_timeout: Duration,
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
