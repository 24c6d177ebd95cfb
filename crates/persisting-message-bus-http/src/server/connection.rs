use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
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
    let length = answer.headers().get(CONTENT_LENGTH);
    let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
    answer.map(|body| {
        let room = Arc::new(Semaphore::new(PIECE));
        let pieces = Pieces {
            body: body.into_data_stream(),
            left,
            last: None,
        };
        let pieces = stream::try_unfold(pieces, move |mut pieces| {
            let room = Arc::clone(&room);
            async move {
                let piece = pieces.next().await?;
                let size = match &piece {
                    Some((piece, false)) => piece.len().min(PIECE),
                    // At the end, the client must have taken all pieces.
                    Some((_, true)) | None => PIECE,
                };
                let room = timeout(longest, room.acquire_many_owned(size as u32)).await;
                let room = room.map_err(|_| late())?.map_err(io::Error::other)?;
                Ok::<_, io::Error>(piece.map(|(piece, _)| (holding(piece, room), pieces)))
            }
        });
        Body::from_stream(pieces)
    })
}

/// The pieces of an answer.
///
/// The connection does not ask for the end of an answer whose length it knows, once it has all of its
/// bytes. So the last byte is a piece of its own, which comes when the client has taken the others.
struct Pieces {
    body: BodyDataStream,
    /// The number of bytes that are left, if the length is known.
    left: Option<usize>,
    last: Option<Bytes>,
}

impl Pieces {
    /// Returns the next piece, and whether it is the last byte.
    async fn next(&mut self) -> io::Result<Option<(Bytes, bool)>> {
        if let Some(last) = self.last.take() {
            return Ok(Some((last, true)));
        }
        let piece = self.body.next().await.transpose();
        let Some(mut piece) = piece.map_err(io::Error::other)? else {
            return Ok(None);
        };
        self.left = self.left.map(|left| left.saturating_sub(piece.len()));
        if self.left == Some(0) && piece.len() > 1 {
            let last = piece.split_off(piece.len() - 1);
            // A part of the piece would keep the memory of all of it.
            self.last = Some(Bytes::copy_from_slice(&last));
        }
        Ok(Some((piece, false)))
    }
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

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use axum::http::Error;

    use super::*;

    /// Paces an answer of this text, which comes in pieces of this size.
    async fn paced_text(
        text: &[u8],
        size: usize,
        longest: Duration,
    ) -> Result<BodyDataStream, Error> {
        let pieces = text.chunks(size).map(Bytes::copy_from_slice);
        let pieces: Vec<io::Result<Bytes>> = pieces.map(Ok).collect();
        let answer = Response::builder()
            .header(CONTENT_LENGTH, text.len())
            .body(Body::from_stream(stream::iter(pieces)))?;
        Ok(paced(answer, longest).await.into_body().into_data_stream())
    }

    fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Box<dyn StdError>> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Ok(runtime.enable_all().build()?.block_on(future)?)
    }

    /// A connection that has all bytes of an answer does not ask for more.
    #[test]
    fn the_last_byte_waits_until_the_client_has_taken_the_others() -> Result<(), Box<dyn StdError>>
    {
        block_on(async {
            let text = vec![0; PIECE + 10];
            let mut pieces = paced_text(&text, PIECE, Duration::from_millis(50)).await?;
            drop(pieces.next().await);
            let held = pieces.next().await;
            assert!(matches!(&held, Some(Ok(piece)) if piece.len() == 9));
            assert!(matches!(pieces.next().await, Some(Err(_late))));
            Ok(())
        })
    }

    #[test]
    fn all_bytes_are_handed_over() -> Result<(), Box<dyn StdError>> {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(PIECE + 10).collect();
        let taken = block_on(async {
            let mut pieces = paced_text(&text, 1_000, Duration::from_secs(60)).await?;
            let mut taken = Vec::new();
            while let Some(Ok(piece)) = pieces.next().await {
                taken.extend_from_slice(&piece);
            }
            Ok(taken)
        })?;
        assert_eq!(taken, text);
        Ok(())
    }
}
