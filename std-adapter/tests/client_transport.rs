//! The client's ways to a server, and those who sign for it.

#![cfg(all(feature = "client", feature = "publisher", feature = "server"))]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::{address, start};
use tidings::client::{Authorizer, Client, ClientError, Endpoint, Event, State, Subscription};
use tidings::core::auth::MasterKey;
use tidings::publisher::{self, Publisher};
use tidings::{ServerHandle, Tls};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Long enough for any answer on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(30);

const CA: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/cert.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

async fn next(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time").expect("an event")
}

async fn trouble(client: &Client) -> ClientError {
    let mut states = client.states();
    let waiting = async {
        loop {
            if let Some(State::Waiting { error, .. }) = states.next().await {
                return error;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time")
}

/// TLS in front of a server. Returns its port.
async fn tls_before(server: SocketAddr) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut onward = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn tls_with_a_private_authority_is_trusted_by_its_root() {
    let server = start();
    let port = tls_before(address(&server)).await;
    for host in ["localhost", "127.0.0.1"] {
        let tls = Tls::with_roots(CA).unwrap();
        let client = Client::builder("key").host(host, port).tls(tls.clone()).start().unwrap();
        let mut all = client.subscribe("all").unwrap();
        assert_eq!(next(&mut all).await, Event::Subscribed, "{host}");

        let publisher =
            Publisher::builder("id", "key", "secret").host(host, port).tls(tls).build().unwrap();
        publisher.trigger(&publisher::Event::new("all", "hello", "1")).await.unwrap();
        let Event::Message(message) = next(&mut all).await else { panic!("a message") };
        assert_eq!(&*message.event, "hello");
    }
}

#[tokio::test]
async fn fr_125_tls_with_a_stranger_is_refused_and_the_error_says_what_to_do() {
    let server = start();
    let port = tls_before(address(&server)).await;
    // Another authority: the server's own certificate is none.
    let tls = Tls::with_roots(CERTIFICATE).unwrap();
    let client = Client::builder("key").host("localhost", port).tls(tls).start().unwrap();
    let error = trouble(&client).await;
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("trust that authority's root"), "{error}");

    let plain = Client::builder("key").host("127.0.0.1", address(&server).port());
    let client = plain.tls(Tls::with_roots(CA).unwrap()).start().unwrap();
    let error = trouble(&client).await;
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
}

/// A proxy that answers `answer` to whoever gives the password, and counts the ways that it made.
async fn proxy(answer: &'static str) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).await.unwrap() == 0 {
                        return;
                    }
                }
                let server = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
                // ann:pass
                if !head.contains("Proxy-Authorization: Basic YW5uOnBhc3M=\r\n") {
                    let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                    return stream.write_all(refusal).await.unwrap();
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answer.contains(" 200 ") {
                    count.fetch_add(1, Ordering::Relaxed);
                    let mut onward = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
                }
            });
        }
    });
    (port, made)
}

#[tokio::test]
async fn a_proxy_makes_the_way_with_and_without_tls() {
    let server = start();
    let (proxy, made) = proxy("HTTP/1.1 200 Connection established\r\n\r\n").await;
    let url = format!("http://ann:pass@127.0.0.1:{proxy}");
    let plain = Client::builder("key").host("127.0.0.1", address(&server).port());
    let secure = Client::builder("key")
        .host("localhost", tls_before(address(&server)).await)
        .tls(Tls::with_roots(CA).unwrap());
    for builder in [plain, secure] {
        let client = builder.proxy(&url).unwrap().start().unwrap();
        let mut all = client.subscribe("all").unwrap();
        assert_eq!(next(&mut all).await, Event::Subscribed);
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let (proxy, _) = proxy("HTTP/1.1 503 Away\r\n\r\n").await;
    for (user, part) in [("ann:pass@", "answered 503"), ("", "user and password")] {
        let client = Client::builder("key").host("127.0.0.1", 1);
        let url = format!("http://{user}127.0.0.1:{proxy}");
        let client = client.proxy(&url).unwrap().start().unwrap();
        let error = trouble(&client).await.to_string();
        assert!(error.contains(part) && error.contains(&format!("127.0.0.1:{proxy}")), "{error}");
    }
}

/// An endpoint that gives these answers, one after the other, the last for ever. Returns its address.
async fn endpoint(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let head = head.to_lowercase();
                    assert!(head.contains("x-who: ann\r\n"), "{head}");
                    let (_, len) = head.split_once("content-length: ").unwrap();
                    let len: usize = len.split("\r\n").next().unwrap().parse().unwrap();
                    let mut form = vec![0; len];
                    stream.read_exact(&mut form).await.unwrap();
                    let answer = answer(std::str::from_utf8(&form).unwrap());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    format!("http://127.0.0.1:{port}/auth")
}

fn http(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn publisher(server: &ServerHandle) -> publisher::PublisherBuilder {
    let port = address(server).port();
    Publisher::builder("id", "key", "secret").host("127.0.0.1", port)
}

/// What the endpoint of an application does.
fn sign(publisher: &Publisher, form: &str) -> String {
    let field = |name: &str| {
        let value = form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
        Some(percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
    };
    let socket_id = publisher::socket_id(&field("socket_id").unwrap()).unwrap();
    let channel = field("channel_name").unwrap();
    let data = channel.starts_with("presence-").then_some(r#"{"user_id":"ann"}"#);
    let auth = publisher.authorize_channel(socket_id, &channel, data).unwrap();
    http(200, &serde_json::to_string(&auth).unwrap())
}

#[tokio::test]
async fn an_endpoint_signs_and_refuses_as_for_pages() {
    let server = start();
    let signing = publisher(&server).build().unwrap();
    let failures = AtomicU32::new(0);
    let url = endpoint(move |form| {
        if form.contains("private%2Dno") {
            http(403, "not for you")
        } else if form.contains("private%2Dlater") && failures.fetch_add(1, Ordering::Relaxed) == 0
        {
            http(502, "away")
        } else {
            sign(&signing, form)
        }
    })
    .await;
    let authorizer = Endpoint::new(url).header("X-Who", "ann").build().unwrap();
    let port = address(&server).port();
    let client = Client::builder("key").host("127.0.0.1", port).authorizer(authorizer);
    let client = client.start().unwrap();
    let mut refused = client.subscribe("private-no").unwrap();
    let mut later = client.subscribe("private-later").unwrap();
    let mut room = client.subscribe("presence-room").unwrap();
    assert_eq!(next(&mut room).await, Event::Subscribed);
    assert_eq!(room.me().as_deref(), Some("ann"));
    let Event::Rejected(rejection) = next(&mut refused).await else { panic!("it is refused") };
    assert_eq!((rejection.status, rejection.again), (Some(403), false));
    assert!(rejection.message.contains("not for you"), "{rejection}");
    let Event::Rejected(rejection) = next(&mut later).await else { panic!("it failed") };
    assert!(rejection.again && rejection.message.contains("502"), "{rejection}");
    assert_eq!(next(&mut later).await, Event::Subscribed);
}

#[tokio::test]
async fn sealed_payloads_are_opened_and_those_of_others_are_not_passed_on() {
    let server = start();
    let master = MasterKey::new([7; 32]);
    let publisher = publisher(&server).encryption_master_key(master.clone()).build().unwrap();
    let port = address(&server).port();
    let authorizer = Authorizer::secret("key", "secret").encryption_master_key(master);
    let client = Client::builder("key").host("127.0.0.1", port).authorizer(authorizer);
    let client = client.start().unwrap();
    let mut diary = client.subscribe("private-encrypted-diary").unwrap();
    assert_eq!(next(&mut diary).await, Event::Subscribed);
    let event = publisher::Event::new("private-encrypted-diary", "page", r#"{"text":"ä"}"#);
    publisher.trigger(&event).await.unwrap();
    let Event::Message(message) = next(&mut diary).await else { panic!("a message") };
    assert_eq!(message.data.as_deref(), Some(r#"{"text":"ä"}"#));

    let plain = tidings::Event::new("private-encrypted-diary", "plain", "1");
    server.publish("id", plain).unwrap();
    assert_eq!(next(&mut diary).await, Event::Sealed { event: "plain".into() });
}

#[tokio::test]
async fn options_that_make_no_request_are_refused() {
    for builder in [
        Client::builder("a key"),
        Client::builder(""),
        Client::builder("key").host("", 80),
        Client::builder("key").host("h", 0),
        Client::builder("key").header("Origin", "a\r\nb"),
    ] {
        builder.start().unwrap_err();
    }
}

#[tokio::test]
async fn a_question_for_a_channel_that_was_given_up_is_dropped() {
    struct Told(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().expect("once").send(());
        }
    }
    let server = start();
    let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel();
    let authorizer = Authorizer::new(move |_| {
        let (told, dropped) = tokio::sync::oneshot::channel();
        asked.send(dropped).unwrap();
        async move {
            let _told = Told(Some(told));
            std::future::pending().await
        }
    });
    let address = address(&server);
    let builder = Client::builder("key").host(address.ip().to_string(), address.port());
    let client = builder.authorizer(authorizer).start().unwrap();
    let subscription = client.subscribe("private-a").unwrap();
    let dropped = tokio::time::timeout(PATIENCE, asks.recv()).await.unwrap().unwrap();
    drop(subscription);
    tokio::time::timeout(PATIENCE, dropped).await.expect("it is dropped").unwrap();
    let again = client.subscribe("private-a").unwrap();
    tokio::time::timeout(PATIENCE, asks.recv()).await.expect("it is asked for anew").unwrap();
    drop(again);
}
