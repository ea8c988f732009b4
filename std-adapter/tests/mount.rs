//! The server inside another HTTP server.

mod support;
mod support_http;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use support::app;
use support_http::Request;
use tidings::{Event, Server};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const UPGRADE: &[u8] = b"GET /app/key?protocol=7 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// `{"event":"pusher:subscribe","data":{"channel":"a"}}`, masked with zeros.
const SUBSCRIBE: &[u8] =
    b"\x81\xb3\0\0\0\0{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}";

async fn read_until(stream: &mut (impl AsyncRead + Unpin), text: &str) -> String {
    let mut read = Vec::new();
    loop {
        let n = stream.read_buf(&mut read).await.unwrap();
        let so_far = String::from_utf8_lossy(&read);
        if so_far.contains(text) {
            return so_far.into_owned();
        }
        assert!(n > 0, "ended after {so_far}");
    }
}

async fn upgrade_subscribe_receive(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    server: &tidings::ServerHandle,
) {
    stream.write_all(UPGRADE).await.unwrap();
    let answer = read_until(&mut stream, "activity_timeout").await;
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    stream.write_all(SUBSCRIBE).await.unwrap();
    read_until(&mut stream, "subscription_succeeded").await;
    server.publish("id", Event::new("a", "hello", "1")).unwrap();
    read_until(&mut stream, "hello").await;
}

#[tokio::test]
async fn an_axum_router_serves_its_own_routes_and_ours() {
    let server = Server::builder().app(app()).start().unwrap();
    let router = Router::new()
        .route("/hello", get(|| async { "from axum" }))
        .fallback_service(server.service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "from axum").await;
    stream.write_all(b"GET /apps/id/channels HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "401").await;
    // The same kept-alive connection becomes a WebSocket.
    upgrade_subscribe_receive(stream, &server).await;
    upgrade_subscribe_receive(TcpStream::connect(address).await.unwrap(), &server).await;
}

#[tokio::test]
async fn a_stream_of_another_kind_is_carried_over() {
    let server = Server::builder().app(app()).start().unwrap();
    let (ours, theirs) = tokio::io::duplex(4096);
    let service = TowerToHyperService::new(server.service());
    tokio::spawn(async move {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(theirs), service)
            .with_upgrades()
            .await
    });
    upgrade_subscribe_receive(ours, &server).await;
}

#[tokio::test]
async fn a_kept_alive_connection_of_our_own_listener_may_become_a_socket() {
    let server = Server::builder().app(app()).listen("127.0.0.1:0").start().unwrap();
    let mut stream = TcpStream::connect(server.addresses()[0]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "OK").await;
    upgrade_subscribe_receive(stream, &server).await;
}

#[tokio::test]
async fn a_feed_streams_through_axum_until_the_server_ends() {
    let server = Server::builder().app(app()).start().unwrap();
    let router = Router::new().fallback_service(server.service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut feed = TcpStream::connect(address).await.unwrap();
    feed.write_all(&Request::get("/apps/id/feed").bytes()).await.unwrap();
    let head = read_until(&mut feed, "event: ready").await;
    assert!(head.contains("text/event-stream"), "{head}");
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(UPGRADE).await.unwrap();
    read_until(&mut socket, "activity_timeout").await;
    socket.write_all(SUBSCRIBE).await.unwrap();
    read_until(&mut feed, "channel_occupied").await;
    server.shutdown().await;
    let end = read_until(&mut feed, "\r\n0\r\n\r\n").await;
    assert!(end.contains("channel_vacated"), "{end}");
}
