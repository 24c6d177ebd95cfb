use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use persisting_message_bus::Position;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::body::{Taken, Transfer};
use super::budgeted::Budgeted;
use super::connection::PIECE;
use super::deadline::in_time;
use super::page::{Page, Wanted};
use super::problem::Problem;
use super::query::Start;
use super::topic::Seen;
use super::{Served, retry};

/// The maximum time for which a client waits for the beginning of an answer. By default, nginx waits
/// for 60 s, and then sends a status that ends the subscriptions of browsers for good.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// A comment that keeps a connection open.
const HEARTBEAT: &[u8] = b":\n\n";

/// A client that receives events as they are committed.
struct Subscriber {
    served: Arc<Served>,
    wanted: Wanted,
    /// All events of the topic up to this position were sent, or are about to be sent.
    sent: Position,
    /// The client knows that there is no event up to this position that it does not have.
    told: Position,
    /// The events that were read but not sent yet.
    coming: Transfer,
    /// The time at which the client must have taken the last piece.
    deadline: Instant,
    _place: OwnedSemaphorePermit,
}

/// Answers with events as they are committed. The first events are read before the answer begins,
/// so that a client learns the reason if there cannot be any.
pub(super) async fn events(served: Arc<Served>, mut wanted: Wanted) -> Result<Response, Problem> {
    let place = served.wait()?;
    // A page is limited to the bytes that a connection takes at once, because many streams may
    // stand still.
    wanted.bytes = wanted.bytes.min(PIECE);
    wanted.limit = wanted.limit.max(1);
    let (page, taken, place) = first_page(&served, &wanted, place).await?;
    let mut text = retry::field(served.limits.reconnect_delay).into_bytes();
    match page.last {
        Some(_) => text.extend(page.text),
        None => text.extend(HEARTBEAT),
    }
    let coming = served.room.transfer(text, taken);
    let subscriber = Subscriber {
        sent: page.next,
        told: Position::START,
        deadline: coming.deadline,
        coming,
        served,
        wanted,
        _place: place,
    };
    let held = Budgeted::until(subscriber.deadline, subscriber);
    let pieces = stream::try_unfold(held, async |held| {
        let mut subscriber = held.into_kept()?;
        let piece = subscriber.next_piece().await;
        let held = Budgeted::until(subscriber.deadline, subscriber);
        Ok::<_, io::Error>(piece.map(|piece| (piece, held)))
    });
    Ok(answer(Body::from_stream(pieces)))
}

/// Returns an answer of server-sent events.
pub(super) fn answer(events: Body) -> Response {
    let headers = [
        (CONTENT_TYPE.as_str(), "text/event-stream"),
        (CACHE_CONTROL.as_str(), "no-store"),
        (VARY.as_str(), "accept, authorization"),
        // By default, nginx keeps events back until they fill its buffer.
        ("x-accel-buffering", "no"),
    ];
    (headers, events).into_response()
}

/// Reads the first events, within the time of one read, also if it had to wait for its turn. A read
/// that takes longer goes on, so that its permit is replaced if it hangs. Until then, it counts as a
/// client that waits, also if the client is gone.
async fn first_page(
    served: &Arc<Served>,
    wanted: &Wanted,
    place: OwnedSemaphorePermit,
) -> Result<(Page, Taken, OwnedSemaphorePermit), Problem> {
    let (served, wanted) = (Arc::clone(served), wanted.clone());
    let longest = served.limits.read_timeout.min(MAX_DELAY);
    let reading = tokio::spawn(async move {
        let taken = served.room.take().await?;
        Ok((served.read(wanted, None).await?, taken, place))
    });
    match timeout(longest, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(panicked)) => Err(Problem::unreadable(&panicked)),
        Err(_late) => Err(Problem::unreadable(&"the database has not answered")),
    }
}

impl Subscriber {
    /// Returns the next events, or a heartbeat. The stream ends if the source cannot be read. The
    /// client then reconnects, and learns the reason.
    async fn next_piece(&mut self) -> Option<Bytes> {
        let heartbeat = in_time(self.served.limits.heartbeat_interval);
        loop {
            if let Some(piece) = self.coming.next_piece() {
                return Some(piece);
            }
            if self.sent > self.told && Instant::now() >= heartbeat {
                return self.progress();
            }
            let topic = &self.wanted.topic;
            let waiting = self.served.something_after(topic, self.sent, heartbeat);
            match waiting.await {
                Some(seen) => self.read_on(Some(seen)).await.ok()?,
                None => return self.heartbeat().await,
            }
        }
    }

    /// Returns an event without data, while events are searched for among many of other types. It
    /// keeps the connection open, and the client continues there if it connects again.
    fn progress(&mut self) -> Option<Bytes> {
        if self.served.closing.is_closed() {
            return None;
        }
        self.deadline = in_time(self.served.limits.transfer_timeout);
        self.told = self.sent;
        Some(Bytes::from(format!("id: {}\n\n", self.sent)))
    }

    async fn heartbeat(&mut self) -> Option<Bytes> {
        if self.served.closing.is_closed() {
            return None;
        }
        self.deadline = in_time(self.served.limits.transfer_timeout);
        if !self.wanted.topic.is_readable_up_to(self.sent) {
            self.read_on(None).await.ok()?;
        }
        let next = self.coming.next_piece();
        Some(next.unwrap_or(Bytes::from_static(HEARTBEAT)))
    }

    /// Reads the next events, up to the given head; if there is none, reads the head first.
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
