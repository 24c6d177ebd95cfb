use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use persisting_message_bus::Position;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Served;
use super::body::Transfer;
use super::connection::PIECE;
use super::held::Held;
use super::page::Wanted;
use super::problem::Problem;
use super::query::Start;
use super::topic::Seen;

/// What keeps a connection alive.
const HEARTBEAT: &[u8] = b":\n\n";

/// A client that is sent events as they come.
struct Subscriber {
    served: Arc<Served>,
    wanted: Wanted,
    /// Everything of the topic up to here was sent, or is about to be.
    sent: Position,
    /// What was read already.
    coming: Transfer,
    /// Until when it may take what it was handed last.
    deadline: Instant,
    _place: OwnedSemaphorePermit,
}

/// Places for so many who wait.
pub(super) fn places(waiters: usize) -> Semaphore {
    Semaphore::new(waiters.min(Semaphore::MAX_PERMITS))
}

/// When so much time is over; a day at most, as clocks end somewhere.
pub(super) fn in_time(duration: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Instant::now() + duration.min(DAY)
}

/// Answers with events as they come. The first are read before it answers, so that a client learns why
/// there are none to come.
pub(super) async fn events(served: Arc<Served>, mut wanted: Wanted) -> Result<Response, Problem> {
    let place = served.wait()?;
    // No more than a connection takes at once: there may be many that stand still.
    wanted.bytes = wanted.bytes.min(PIECE);
    wanted.limit = wanted.limit.max(1);
    let taken = served.room.take().await?;
    let page = served.read(wanted.clone(), None).await?;
    let text = match page.last {
        Some(_) => page.text,
        None => HEARTBEAT.to_vec(),
    };
    let coming = served.room.transfer(text, taken);
    let subscriber = Subscriber {
        sent: page.next,
        deadline: coming.deadline,
        coming,
        served,
        wanted,
        _place: place,
    };
    let held = Held::until(subscriber.deadline, subscriber);
    let pieces = stream::try_unfold(held, async |held| {
        let mut subscriber = held.into_kept()?;
        let piece = subscriber.next_piece().await;
        let held = Held::until(subscriber.deadline, subscriber);
        Ok::<_, io::Error>(piece.map(|piece| (piece, held)))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("accept, authorization")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

impl Subscriber {
    /// The next events, or a heartbeat; the stream ends where the source cannot be read: the client
    /// comes again, and is told why.
    async fn next_piece(&mut self) -> Option<Bytes> {
        let heartbeat = in_time(self.served.limits.heartbeat);
        loop {
            if let Some(piece) = self.coming.next_piece() {
                return Some(piece);
            }
            let topic = &self.wanted.topic;
            let waiting = self.served.something_behind(topic, self.sent, heartbeat);
            match waiting.await {
                Some(seen) => self.read_on(Some(seen)).await.ok()?,
                None => return self.heartbeat().await,
            }
        }
    }

    async fn heartbeat(&mut self) -> Option<Bytes> {
        if self.served.closing.is_closed() {
            return None;
        }
        self.deadline = in_time(self.served.limits.longest_transfer);
        if !self.wanted.topic.is_readable_up_to(self.sent) {
            self.read_on(None).await.ok()?;
        }
        let next = self.coming.next_piece();
        Some(next.unwrap_or(Bytes::from_static(HEARTBEAT)))
    }

    /// Reads up to what was seen, or looks.
    async fn read_on(&mut self, seen: Option<Seen>) -> Result<(), Problem> {
        let taken = self.served.room.take().await?;
        self.wanted.start = Start::Position(self.sent);
        let page = self.served.read(self.wanted.clone(), seen).await?;
        self.sent = page.next;
        self.coming = self.served.room.transfer(page.text, taken);
        self.deadline = self.coming.deadline;
        Ok(())
    }
}
