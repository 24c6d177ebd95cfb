use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::limits::Limits;
use super::problem::Problem;

/// Room in memory for pages on their way to clients, however slowly these receive them.
#[derive(Debug)]
pub(super) struct Room {
    kibibytes: Arc<Semaphore>,
    of_page: u32,
    longest_transfer: Duration,
}

const KIBIBYTE: usize = 1024;
/// What is smaller is not worth watching: the connection itself has buffers of that size.
const SMALL: usize = 64 * KIBIBYTE;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Room that is taken.
pub(super) type Taken = OwnedSemaphorePermit;

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        let of_page = kibibytes(limits.page_bytes);
        let all = kibibytes(limits.bytes_under_way).max(of_page);
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        Self {
            kibibytes: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            of_page,
            longest_transfer: limits.longest_transfer,
        }
    }

    /// Takes the room of a whole page, before it is known how large this one is.
    pub(super) async fn take(&self) -> Result<Taken, Problem> {
        let room = Arc::clone(&self.kibibytes).acquire_many_owned(self.of_page);
        match timeout(LONGEST_WAIT, room).await {
            Ok(Ok(taken)) => Ok(taken),
            _ => Err(Problem::unavailable(
                5,
                "too many pages are on their way to others: try again",
            )),
        }
    }

    /// The text as it is sent, in pieces. Whoever takes too long for it is cut off, and the room is free
    /// again: also where the connection stands still, and asks for no more.
    pub(super) fn body(&self, text: Vec<u8>, mut taken: Taken) -> Body {
        if text.len() <= SMALL {
            return Body::from(text);
        }
        let size = usize::try_from(kibibytes(text.len())).unwrap_or(usize::MAX);
        let under_way = UnderWay {
            rest: Bytes::from(text),
            _taken: taken.split(size.min(taken.num_permits())),
        };
        let under_way = Arc::new(Mutex::new(Some(under_way)));
        let transfer = Transfer {
            deadline: cut_off(Arc::clone(&under_way), self.longest_transfer),
            under_way,
        };
        Body::from_stream(stream::try_unfold(transfer, async |transfer| {
            let piece = transfer.next_piece()?;
            Ok::<_, io::Error>(piece.map(|piece| (piece, transfer)))
        }))
    }
}

struct UnderWay {
    rest: Bytes,
    _taken: Option<Taken>,
}

struct Transfer {
    under_way: Arc<Mutex<Option<UnderWay>>>,
    deadline: AbortHandle,
}

impl Transfer {
    fn next_piece(&self) -> io::Result<Option<Bytes>> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(UnderWay { rest, .. }) = under_way.as_mut() else {
            let late = "the page took longer than it may";
            return Err(io::Error::new(io::ErrorKind::TimedOut, late));
        };
        // A copy: what waits in a connection would keep the whole page otherwise, behind the deadline too.
        let piece = Bytes::copy_from_slice(&rest.split_to(rest.len().min(SMALL)));
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.deadline.abort();
    }
}

fn cut_off(under_way: Arc<Mutex<Option<UnderWay>>>, longest: Duration) -> AbortHandle {
    let waiting = tokio::spawn(async move {
        sleep(longest).await;
        *under_way.lock().unwrap_or_else(PoisonError::into_inner) = None;
    });
    waiting.abort_handle()
}

fn kibibytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIBIBYTE)).unwrap_or(u32::MAX)
}
