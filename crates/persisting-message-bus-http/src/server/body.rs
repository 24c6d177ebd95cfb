use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::connection::{PIECE, holding};
use super::held::Held;
use super::limits::Limits;
use super::problem::Problem;
use super::stream::in_time;

/// Room in memory for what is on its way to clients, however slowly these receive it.
#[derive(Debug)]
pub(super) struct Room {
    kibibytes: Arc<Semaphore>,
    of_page: u32,
    longest_transfer: Duration,
}

const KIBIBYTE: usize = 1024;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Room that is taken.
pub(super) type Taken = OwnedSemaphorePermit;

/// A text on its way, and its room.
#[derive(Debug)]
pub(super) struct Transfer {
    rest: Bytes,
    taken: Taken,
    /// When it has to be with the client.
    pub(super) deadline: Instant,
}

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

    /// A text that begins its way, with no more room than it has to have.
    pub(super) fn transfer(&self, text: Vec<u8>, mut taken: Taken) -> Transfer {
        let size = text.len().div_ceil(KIBIBYTE);
        drop(taken.split(taken.num_permits().saturating_sub(size)));
        Transfer {
            taken,
            rest: Bytes::from(text),
            deadline: in_time(self.longest_transfer),
        }
    }

    /// A text as it is sent, in pieces. Whoever takes too long for it is cut off, and the room is free
    /// again.
    pub(super) fn body(&self, text: Vec<u8>, taken: Taken) -> Body {
        if text.len() <= PIECE {
            return Body::from(text);
        }
        let transfer = self.transfer(text, taken);
        let held = Held::until(transfer.deadline, transfer);
        Body::from_stream(stream::try_unfold(held, async |held| {
            let mut transfer = held.into_kept()?;
            let piece = transfer.next_piece();
            let held = Held::until(transfer.deadline, transfer);
            Ok::<_, io::Error>(piece.map(|piece| (piece, held)))
        }))
    }
}

impl Transfer {
    /// The next piece, which holds its share of the room wherever it goes.
    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let size = piece.len().div_ceil(KIBIBYTE);
        let room = self.taken.split(size.min(self.taken.num_permits()));
        // A copy: what waits in a connection would keep the whole text otherwise.
        (!piece.is_empty()).then(|| holding(Bytes::copy_from_slice(&piece), room))
    }
}

fn kibibytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIBIBYTE)).unwrap_or(u32::MAX)
}
