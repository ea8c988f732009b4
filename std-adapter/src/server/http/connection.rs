//! HTTP on a stream of a shard, by hyper.

use super::{handle, plain, upgrade};
use crate::config::ServerConfig;
use crate::server::listener::Slot;
use crate::server::metrics::Made;
use crate::server::shard::Shard;
use crate::server::socket::Stream;
use bytes::{Buf as _, Bytes};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with the bytes that have been read from it already.
#[derive(Debug)]
pub(crate) struct Rewound {
    pub(crate) read: Bytes,
    pub(crate) stream: Stream,
    /// Its place among the connections of its address.
    pub(crate) slot: Option<Box<Slot>>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.read.is_empty() {
            let n = self.read.len().min(buf.remaining());
            buf.put_slice(&self.read[..n]);
            self.read.advance(n);
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => {
                let n = ready!(stream.poll_read(cx, buf.initialize_unfilled()))?;
                buf.advance(n);
                Poll::Ready(Ok(()))
            }
        }
    }
}

macro_rules! forward {
    ($self:ident, $stream:ident => $do:expr, $tls:ident => $do_tls:expr) => {
        match &mut $self.stream {
            Stream::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $do
            }
            Stream::Unix(stream) => {
                let $stream = Pin::new(stream);
                $do
            }
            Stream::Tls($tls) => $do_tls,
        }
    };
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let slices = [io::IoSlice::new(buf)];
        forward!(self, stream => stream.poll_write(cx, buf), tls => tls.poll_write(cx, &slices))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write_vectored(cx, bufs), tls => tls.poll_write(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_flush(cx), tls => tls.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_shutdown(cx), tls => tls.poll_shutdown(cx))
    }
}

/// Serves requests on a stream until it ends or the server drains; `read` came first.
pub(crate) async fn serve(
    shard: Rc<Shard>,
    stream: Stream,
    read: Vec<u8>,
    slot: Option<Box<Slot>>,
) {
    match plain::serve(&shard, &stream, read).await {
        plain::Ended::Closed => stream.say_goodbye(),
        plain::Ended::Foreign(read) => {
            Box::pin(by_hyper(shard, Rewound { read: read.into(), stream, slot })).await;
        }
    }
}

async fn by_hyper(shard: Rc<Shard>, stream: Rewound) {
    let hub = shard.hub.clone();
    let counted = Rc::clone(&shard);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let (hub, counted) = (hub.clone(), Rc::clone(&counted));
        async move {
            Ok::<_, Infallible>(match upgrade::requested(&hub, &mut request) {
                Some(response) => response.map(Into::into),
                None => {
                    let note = |made: &Made| counted.requests.borrow_mut().note(made);
                    handle(&hub, request, note).await
                }
            })
        }
    });
    let io = TokioIo::new(stream);
    let connection = builder(&shard.hub.config()).serve_connection(io, service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shard.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection ended");
    }
}

/// What makes a connection, with the bounds that hold now.
fn builder(config: &ServerConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.keep_alive_timeout)
        .max_headers(usize::try_from(config.max_headers).unwrap_or(usize::MAX))
        .max_buf_size(usize::try_from(config.max_head_bytes).unwrap_or(usize::MAX).max(8192));
    builder
}
