//! Reading a request's body whole.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::answer::Refusal;

/// How much of a body over the limit is still read and thrown away, so that its sender, which may
/// read only when it has written all, sees the answer.
const DISCARDED: usize = 1024 * 1024;

/// Reads the body: however many pieces it comes in, with a length or chunked. One piece is not copied.
///
/// # Errors
///
/// 413 over `limit` bytes, 408 when it takes longer than `time`, 400 when it breaks off.
pub(super) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or_default();
    if announced > limit && headers.contains_key(EXPECT) {
        return Err(too_large(announced, limit)); // before it says to go on
    }
    let reading = collect(body, announced.min(limit), limit);
    tokio::time::timeout(time, reading).await.unwrap_or_else(|_| Err(Refusal::too_slow()))
}

async fn collect<B>(body: B, expected: usize, limit: usize) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::bad(format!("the body broke off: {error}")))?;
        let Ok(piece) = frame.into_data() else { continue };
        length = length.saturating_add(piece.len());
        if length > limit {
            if length > limit.saturating_add(DISCARDED) {
                break;
            }
        } else if first.is_empty() {
            first = piece;
        } else {
            if all.is_empty() {
                all.reserve(expected.max(length));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
    if length > limit {
        return Err(too_large(length, limit));
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(length: usize, limit: usize) -> Refusal {
    Refusal::too_large(format!(
        "the body has {length} bytes or more, the limit is {limit} (max_body_bytes): \
         split the request or raise the limit"
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use http_body_util::Full;

    use super::*;

    /// A body in pieces; after them it ends, or stays open.
    struct Pieces(Vec<&'static [u8]>, bool);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.0.is_empty() {
                return if self.1 { Poll::Pending } else { Poll::Ready(None) };
            }
            let piece = self.0.remove(0);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
        }
    }

    async fn read_body<B>(body: B, limit: usize) -> Result<Bytes, u16>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        let time = Duration::from_millis(20);
        let read = read(&HeaderMap::new(), body, limit, time).await;
        read.map_err(|refusal| refusal.status().as_u16())
    }

    #[tokio::test]
    async fn fr_017_a_body_in_pieces_is_read_whole() {
        let pieces = Pieces(vec![b"ab", b"", b"c", b"de"], false);
        assert_eq!(read_body(pieces, 5).await.unwrap(), "abcde");
        assert_eq!(read_body(Pieces(vec![], false), 5).await.unwrap(), "");
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let body = Bytes::from_static(b"whole");
        let read = read_body(Full::new(body.clone()), 5).await.unwrap();
        assert_eq!(read.as_ptr(), body.as_ptr());
    }

    #[tokio::test]
    async fn the_limit_passes_and_one_byte_more_does_not() {
        assert!(read_body(Pieces(vec![b"12", b"34"], false), 4).await.is_ok());
        assert_eq!(read_body(Pieces(vec![b"12", b"345"], false), 4).await, Err(413));
    }

    #[tokio::test]
    async fn a_sender_without_end_is_cut_off() {
        static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
        let endless = Pieces(vec![&PIECE; 64], true);
        assert_eq!(read_body(endless, 4).await, Err(413));
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_408() {
        assert_eq!(read_body(Pieces(vec![b"12"], true), 4).await, Err(408));
    }

    #[tokio::test]
    async fn who_asks_before_sending_too_much_is_refused_before_it_sends() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, "5".parse().unwrap());
        headers.insert(EXPECT, "100-continue".parse().unwrap());
        let never_polled = Pieces(vec![], true);
        let refused = read(&headers, never_polled, 4, Duration::from_secs(3_600)).await;
        assert_eq!(refused.unwrap_err().status(), 413);
    }
}
