use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::budgeted::Budgeted;
use super::connection::{PIECE, holding};
use super::deadline::in_time;
use super::limits::Limits;
use super::problem::Problem;

/// The memory for pages that are in transit to clients, however slowly the clients receive them.
#[derive(Debug)]
pub(super) struct Room {
    kibibytes: Arc<Semaphore>,
    of_page: u32,
    transfer_timeout: Duration,
}

const KIBIBYTE: usize = 1024;
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A share of the memory that is taken.
pub(super) type Taken = OwnedSemaphorePermit;

/// A text in transit, and its share of the memory.
#[derive(Debug)]
pub(super) struct Transfer {
    rest: Bytes,
    taken: Taken,
    /// The time at which the client must have received the text.
    pub(super) deadline: Instant,
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        let of_page = kibibytes(limits.max_page_bytes);
        let all = kibibytes(limits.max_in_flight_bytes).max(of_page);
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        Self {
            kibibytes: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            of_page,
            transfer_timeout: limits.transfer_timeout,
        }
    }

    /// Takes the memory of a whole page, because the size of this page is not known yet.
    pub(super) async fn take(&self) -> Result<Taken, Problem> {
        let room = Arc::clone(&self.kibibytes).acquire_many_owned(self.of_page);
        match timeout(MAX_WAIT, room).await {
            Ok(Ok(taken)) => Ok(taken),
            _ => Err(Problem::unavailable(
                5,
                "too many pages are in transit to other clients: try again",
            )),
        }
    }

    /// Starts the transfer of a text, and frees the memory that the text does not need.
    pub(super) fn transfer(&self, text: Vec<u8>, mut taken: Taken) -> Transfer {
        let size = text.len().div_ceil(KIBIBYTE);
        drop(taken.split(taken.num_permits().saturating_sub(size)));
        Transfer {
            taken,
            rest: Bytes::from(text),
            deadline: in_time(self.transfer_timeout),
        }
    }

    /// Returns the body that sends a text in pieces. If the client takes too long, the body ends
    /// with an error, and the memory is free again.
    pub(super) fn body(&self, text: Vec<u8>, taken: Taken) -> Body {
        if text.len() <= PIECE {
            return Body::from(text);
        }
        let transfer = self.transfer(text, taken);
        let held = Budgeted::until(transfer.deadline, transfer);
        Body::from_stream(stream::try_unfold(held, async |held| {
            let mut transfer = held.into_kept()?;
            let piece = transfer.next_piece();
            let held = Budgeted::until(transfer.deadline, transfer);
            Ok::<_, io::Error>(piece.map(|piece| (piece, held)))
        }))
    }
}

impl Transfer {
    /// Returns the next piece, which keeps its share of the memory until it is dropped.
    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let size = piece.len().div_ceil(KIBIBYTE);
        let room = self.taken.split(size.min(self.taken.num_permits()));
        // The piece is a copy, because a slice that waits in a connection would keep the whole
        // text.
        (!piece.is_empty()).then(|| holding(Bytes::copy_from_slice(&piece), room))
    }
}

fn kibibytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIBIBYTE)).unwrap_or(u32::MAX)
}
