use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use persisting_message_bus::backend::MessageSource;
use tokio::sync::Semaphore;

use super::problem::Problem;

type BoxError = Box<dyn StdError + Send + Sync>;
type UseSource<'a> = dyn FnMut(&mut dyn MessageSource) + 'a;
type Open = dyn Fn(&mut UseSource<'_>) -> Result<(), BoxError> + Send + Sync;

/// Reads the source: a limited number of reads at once, on threads that can block.
#[derive(Clone)]
pub(super) struct Reader {
    open: Arc<Open>,
    turns: Arc<Semaphore>,
}

impl Reader {
    pub(super) fn new<B, E>(connect: impl Fn() -> Result<B, E> + Send + Sync + 'static) -> Self
    where
        B: MessageSource,
        E: Into<BoxError>,
    {
        let open = move |read: &mut UseSource<'_>| {
            let mut source = connect().map_err(Into::into)?;
            read(&mut source);
            Ok(())
        };
        Self {
            open: Arc::new(open),
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    /// Limits the number of concurrent reads.
    pub(super) fn limited_to(self, reads: usize) -> Self {
        let reads = reads.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            turns: Arc::new(Semaphore::new(reads)),
            ..self
        }
    }

    /// Reads when a permit is free. A read that has begun runs to its end, even if its caller no
    /// longer waits, and keeps its permit until then.
    pub(super) async fn read<T, R>(&self, read: R) -> Result<T, Problem>
    where
        T: Send + 'static,
        R: FnOnce(&mut dyn MessageSource) -> Result<T, Problem> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|closed| Problem::unreadable(&closed))?;
        let open = Arc::clone(&self.open);
        let work = move || {
            let _turn = turn;
            let mut read = Some(read);
            let mut answer = None;
            open(&mut |source| answer = read.take().map(|read| read(source)))
                .map_err(|cause| Problem::unreadable(&cause))?;
            answer.unwrap_or_else(|| Err(Problem::unreadable(&"nothing was read")))
        };
        let worked = tokio::task::spawn_blocking(work).await;
        worked.unwrap_or_else(|panicked| Err(Problem::unreadable(&panicked)))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}
