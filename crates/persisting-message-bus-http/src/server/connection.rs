use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::budgeted::late;

/// The maximum number of bytes in a connection before it is handed more. Smaller answers are not
/// paced, because the connection has buffers of that size.
pub(super) const PIECE: usize = 64 * 1024;

/// Hands an answer to its connection only as fast as the client takes it. If the client takes
/// nothing for too long, the connection is closed, and the bytes in it are dropped.
///
/// A layer between this one and the connection must not collect the pieces.
pub(super) async fn paced(answer: Response, longest: Duration) -> Response {
    let most = answer.body().size_hint().upper();
    if most.is_some_and(|most| most <= PIECE as u64) {
        return answer;
    }
    answer.map(|body| {
        let room = Arc::new(Semaphore::new(PIECE));
        let pieces = stream::try_unfold(body.into_data_stream(), move |mut pieces| {
            let room = Arc::clone(&room);
            async move {
                let piece = pieces.next().await.transpose().map_err(io::Error::other)?;
                // At the end, the client must have taken all pieces.
                let size = piece.as_ref().map_or(PIECE, |piece| piece.len().min(PIECE));
                let room = timeout(longest, room.acquire_many_owned(size as u32)).await;
                let room = room.map_err(|_| late())?.map_err(io::Error::other)?;
                Ok::<_, io::Error>(piece.map(|piece| (holding(piece, room), pieces)))
            }
        });
        Body::from_stream(pieces)
    })
}

/// Returns bytes that hold their share of the room until they are written, or dropped with their
/// connection.
pub(super) fn holding<R: Send + 'static>(bytes: Bytes, room: R) -> Bytes {
    Bytes::from_owner(Holding { bytes, _room: room })
}

struct Holding<R> {
    bytes: Bytes,
    _room: R,
}

impl<R> AsRef<[u8]> for Holding<R> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
