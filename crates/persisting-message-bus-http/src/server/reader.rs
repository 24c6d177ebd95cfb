use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::MessageSource;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::limits::Limits;
use super::problem::Problem;

type BoxError = Box<dyn StdError + Send + Sync>;
type UseSource<'a> = dyn FnMut(&mut dyn MessageSource) + 'a;
type Open = dyn Fn(&mut UseSource<'_>) -> Result<(), BoxError> + Send + Sync;

/// How many reads that hang can be replaced, for each permitted read. A hanging read occupies a
/// thread until its connection ends.
const HANGING_PER_READ: usize = 3;

/// Reads the source: a limited number of reads at once, each on a thread of its own.
#[derive(Clone)]
pub(super) struct Reader {
    open: Arc<Open>,
    turns: Arc<Semaphore>,
    /// The permits of reads that hang.
    hanging: Arc<Semaphore>,
    longest: Duration,
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
            hanging: Arc::new(Semaphore::new(0)),
            longest: Duration::MAX,
        }
    }

    /// Limits the number of concurrent reads, and their time.
    pub(super) fn limited_to(self, limits: &Limits) -> Self {
        let reads = limits.max_concurrent_reads.clamp(1, MAX_READS);
        Self {
            turns: Arc::new(Semaphore::new(reads)),
            hanging: Arc::new(Semaphore::new(reads * HANGING_PER_READ)),
            longest: limits.read_timeout,
            ..self
        }
    }

    /// Reads when a permit is free. A read that has begun runs to its end, even if its caller no
    /// longer waits, and keeps its permit until then or until it hangs.
    pub(super) async fn read<T, R>(&self, read: R) -> Result<T, Problem>
    where
        T: Send + 'static,
        R: FnOnce(&mut dyn MessageSource) -> Result<T, Problem> + Send + 'static,
    {
        let turn = timeout(self.longest, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_late| self.is_late("no other read has ended"))?;
        let turn = turn.map_err(|closed| Problem::unreadable(&closed))?;
        let turn = Arc::new(Mutex::new(Some(turn)));
        let (answer, answered) = oneshot::channel();
        let (held, open, runtime) = (Arc::clone(&turn), Arc::clone(&self.open), Handle::current());
        // The runtime waits at its end for its own blocking threads, so a read that hangs must not
        // be on one of them.
        let body = move || {
            let _runtime = runtime.enter();
            let _held = Held(held);
            // The client may be gone.
            let _unread = answer.send(read_once(&*open, read));
        };
        let thread = thread::Builder::new().name("feed read".to_owned());
        let started = thread.spawn(body);
        started.map_err(|cause| Problem::unreadable(&cause))?;
        match timeout(self.longest, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_dropped)) => Err(Problem::unreadable(&"the read panicked")),
            Err(_late) => {
                self.replace(&turn);
                Err(self.is_late("the database has not answered"))
            }
        }
    }

    /// Gives the permit of a read that hangs to another read.
    fn replace(&self, held: &Mutex<Option<OwnedSemaphorePermit>>) {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = &mut *held
            && let Ok(hanging) = Arc::clone(&self.hanging).try_acquire_owned()
        {
            *turn = hanging;
        }
    }

    fn is_late(&self, what: &str) -> Problem {
        Problem::unreadable(&format_args!(
            "{what} within {:?} (Limits::read_timeout)",
            self.longest
        ))
    }
}

/// So many reads, and those that hang, are as many as a semaphore permits.
const MAX_READS: usize = Semaphore::MAX_PERMITS / HANGING_PER_READ;

/// Reads on a connection. Abandons the connection if it may be the cause of a failure.
fn read_once<T, R>(open: &Open, read: R) -> Result<T, Problem>
where
    R: FnOnce(&mut dyn MessageSource) -> Result<T, Problem>,
{
    let mut read = Some(read);
    let mut answer = None;
    let opened = open(&mut |source| {
        let result = read.take().map(|read| read(source));
        if matches!(&result, Some(Err(problem)) if problem.may_be_of_connection()) {
            source.abandon_source();
        }
        answer = result;
    });
    opened.map_err(|cause| Problem::unreadable(&cause))?;
    answer.unwrap_or_else(|| Err(Problem::unreadable(&"nothing was read")))
}

/// Returns the permit of a read when the read ends, also by a panic.
struct Held(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Drop for Held {
    fn drop(&mut self) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(held);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}
