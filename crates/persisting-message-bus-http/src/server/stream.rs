use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Served;
use super::page::{Page, Wanted};
use super::problem::Problem;
use super::query::Start;

/// What is in the hands of a connection that stands still: less than a page, as there may be many.
const PIECE_BYTES: usize = 256 * 1024;

/// What keeps a connection alive.
const HEARTBEAT: &[u8] = b":\n\n";

/// A client that is sent events as they come.
struct Subscriber {
    served: Arc<Served>,
    wanted: Wanted,
    /// What was read already.
    page: Option<Page>,
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
    wanted.bytes = wanted.bytes.min(PIECE_BYTES);
    wanted.limit = wanted.limit.max(1);
    let page = served.read(wanted.clone(), None).await?;
    let subscriber = Subscriber {
        served,
        wanted,
        page: Some(page),
        _place: place,
    };
    let pieces = stream::unfold(subscriber, async |mut subscriber| {
        let piece = subscriber.next_piece().await?;
        Some((Ok::<_, Infallible>(piece), subscriber))
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
        let first = self.page.take();
        let is_first = first.is_some();
        let mut page = match first {
            Some(page) => page,
            None => self.served.read(self.wanted.clone(), None).await.ok()?,
        };
        let deadline = in_time(self.served.limits.heartbeat);
        loop {
            self.wanted.start = Start::Position(page.next);
            if page.last.is_some() {
                return Some(page.text.into());
            }
            if is_first {
                return Some(Bytes::from_static(HEARTBEAT));
            }
            let topic = &self.wanted.topic;
            let waiting = self.served.something_behind(topic, page.next, deadline);
            let Some(seen) = waiting.await else {
                let is_closed = self.served.closing.is_closed();
                return (!is_closed).then_some(Bytes::from_static(HEARTBEAT));
            };
            let read = self.served.read(self.wanted.clone(), Some(seen));
            page = read.await.ok()?;
        }
    }
}
