//! Real TLS, by rustls, over TCP on loopback; and a server by hand for what rustls would never do.

use critical_section as _; // its implementation for the host is linked in
use std::boxed::Box;
use std::cell::RefCell;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use embassy_futures::yield_now;
use p256::ecdsa::signature::digest::Digest as _;
use tidings_core::pusher::client::{Client, ClientConfig};
use tidings_core::pusher::{Advice, encode_channel_event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::{cipher_suite, default_provider, sign};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::*;
use crate::session::tests::{Notes, Server, TestBox, Zeros};
use crate::{Buffers, End, LocalSigner, Session};

mod by_hand;

type Whole = RecordBuffers<16_640, 1024>;

/// A half of a TCP connection that hands out a few bytes at a time, and each time lets others go first.
pub(super) struct Half<T>(pub(super) T, pub(super) usize);

impl<T> ErrorType for Half<T> {
    type Error = ErrorKind;
}

impl Read for Half<OwnedReadHalf> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let room = out.len().min(self.1);
        yield_now().await;
        self.0.read(&mut out[..room]).await.map_err(|_| ErrorKind::ConnectionReset)
    }
}

impl Write for Half<OwnedWriteHalf> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).await.map_err(|_| ErrorKind::BrokenPipe)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Not one to use elsewhere.
#[derive(Debug)]
pub(super) struct Counter(pub(super) u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(61).wrapping_add(7);
            *byte = self.0;
        }
    }
}

/// A certificate, its key, and its pin.
struct Identity {
    certificate: CertificateDer<'static>,
    key: rcgen::KeyPair,
    pin: Pin,
}

impl Identity {
    fn new(kind: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let names = [String::from("localhost")];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let info = rcgen::PublicKeyData::subject_public_key_info(&key);
        let pin = Pin::new(sha2::Sha256::digest(info).into());
        Self { certificate: certificate.der().clone(), key, pin }
    }

    fn p256() -> Self {
        Self::new(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// Shows this certificate, and signs with `key`.
    fn signed_by(&self, key: &rcgen::KeyPair) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = sign::any_supported_type(&key).unwrap();
        let shown = Shown(Arc::new(CertifiedKey::new([self.certificate.clone()].into(), key)));
        config(&[&version::TLS13, &version::TLS12], None, Arc::new(shown))
    }

    fn config(&self) -> ServerConfig {
        self.signed_by(&self.key)
    }
}

fn config(
    versions: &[&'static SupportedProtocolVersion],
    suite: Option<tokio_rustls::rustls::SupportedCipherSuite>,
    shown: Arc<dyn ResolvesServerCert>,
) -> ServerConfig {
    let mut provider = default_provider();
    if let Some(suite) = suite {
        provider.cipher_suites = [suite].into();
    }
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(shown)
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert_eq!(hello.server_name(), Some("localhost"));
        Some(Arc::clone(&self.0))
    }
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;
type Ends<T> = Wire<Half<T>, Half<OwnedWriteHalf>>;

/// Connects to a peer that does `serve` with the connection.
pub(super) async fn connect<F: Future<Output = ()> + 'static>(
    piece: usize,
    serve: impl FnOnce(TcpStream) -> F + 'static,
) -> Ends<OwnedReadHalf> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move { serve(listener.accept().await.unwrap().0).await });
    let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
    Wire::new(Half(reader, piece), Half(writer, usize::MAX))
}

/// The same with a rustls server, which does `serve` when the handshake is through.
async fn connect_tls<F: Future<Output = ()> + 'static>(
    piece: usize,
    config: ServerConfig,
    serve: impl FnOnce(TlsStream) -> F + 'static,
) -> Ends<OwnedReadHalf> {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    connect(piece, async move |stream| {
        if let Ok(stream) = acceptor.accept(stream).await {
            serve(stream).await;
        }
    })
    .await
}

pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(test))
}

/// How a handshake with this server ends.
fn handshake(pins: &[Pin], config: ServerConfig) -> Result<(), Failure> {
    run(async {
        let wire = connect_tls(usize::MAX, config, async |mut stream| {
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let mut buffers = Box::new(Whole::new());
        let mut tls = Tls { pins, random: Counter(0) };
        tls.secure(&wire, "localhost", &mut buffers).await.map(|_| ())
    })
}

async fn echo(mut stream: TlsStream) {
    let mut bytes = [0; 5000];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        stream.write_all(&bytes[..count]).await.unwrap();
    }
}

#[test]
fn a_pinned_server_is_understood_in_both_directions_however_its_bytes_arrive() {
    for piece in [1, 7, 4096] {
        let server = Identity::p256();
        let (pins, config) = ([server.pin], server.config());
        run(async move {
            let wire = connect_tls(piece, config, echo).await;
            let mut buffers = Box::new(Whole::new());
            let mut tls = Tls { pins: &pins, random: Counter(3) };
            let mut secured = tls.secure(&wire, "localhost", &mut buffers).await.unwrap();
            let (mut reader, mut writer) = secured.split();
            let said: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
            for part in said.chunks(3000) {
                writer.write_all(part).await.unwrap();
                writer.flush().await.unwrap();
                let mut heard = [0; 3000];
                reader.read_exact(&mut heard[..part.len()]).await.unwrap();
                assert_eq!(heard[..part.len()], *part);
            }
            assert_eq!(secured.failure(), None);
        });
    }
}

#[test]
fn a_server_with_another_key_is_refused_and_its_pin_is_shown() {
    let (pinned, server) = (Identity::p256(), Identity::p256());
    let failure = handshake(&[pinned.pin], server.config()).unwrap_err();
    assert_eq!(failure, Failure::WrongKey(server.pin));
    assert!(failure.to_string().ends_with(&server.pin.to_string()), "{failure}");
    // What was shown is what must be pinned.
    assert_eq!(handshake(&[server.pin], server.config()), Ok(()));
    assert_eq!(handshake(&[], server.config()), Err(Failure::WrongKey(server.pin)));
}

#[test]
fn a_key_is_replaced_by_another_pinned_one() {
    let (old, new) = (Identity::p256(), Identity::p256());
    let pins = [old.pin, new.pin];
    assert_eq!(handshake(&pins, old.config()), Ok(()));
    assert_eq!(handshake(&pins, new.config()), Ok(()));
}

#[test]
fn a_renewed_certificate_of_the_same_key_needs_no_new_pin() {
    let server = Identity::p256();
    let names = [String::from("elsewhere.example")];
    let renewed = rcgen::CertificateParams::new(names).unwrap().self_signed(&server.key).unwrap();
    let renewed = Identity { certificate: renewed.der().clone(), ..server };
    assert_eq!(handshake(&[renewed.pin], renewed.config()), Ok(()));
}

#[test]
fn the_pinned_certificate_without_its_key_is_worth_nothing() {
    let (server, thief) = (Identity::p256(), Identity::p256());
    let forged = server.signed_by(&thief.key);
    assert_eq!(handshake(&[server.pin], forged), Err(Failure::ForgedProof));
    let thief = Identity::new(&rcgen::PKCS_ED25519);
    let forged = server.signed_by(&thief.key);
    assert_eq!(handshake(&[server.pin], forged), Err(Failure::ForgedProof));
}

#[test]
fn ed25519_is_checked_and_other_kinds_are_refused_by_name() {
    let server = Identity::new(&rcgen::PKCS_ED25519);
    assert_eq!(handshake(&[server.pin], server.config()), Ok(()));
    let thief = Identity::new(&rcgen::PKCS_ED25519);
    let forged = server.signed_by(&thief.key);
    assert_eq!(handshake(&[server.pin], forged), Err(Failure::ForgedProof));
    let server = Identity::new(&rcgen::PKCS_ECDSA_P384_SHA384);
    let failure = handshake(&[server.pin], server.config()).unwrap_err();
    assert_eq!(failure, Failure::UnknownKind(server.pin));
    assert!(failure.to_string().contains("P-256"), "{failure}");
}

#[test]
fn a_server_without_what_the_device_has_is_told_what_is_missing() {
    let server = Identity::p256();
    let shown = || {
        let key = PrivateKeyDer::Pkcs8(server.key.serialize_der().into());
        let key = sign::any_supported_type(&key).unwrap();
        Arc::new(Shown(Arc::new(CertifiedKey::new([server.certificate.clone()].into(), key))))
    };
    let old = config(&[&version::TLS12], None, shown());
    let failure = handshake(&[server.pin], old).unwrap_err();
    assert_eq!(failure, Failure::Alert(70));
    assert!(failure.to_string().contains("TLS 1.3"), "{failure}");
    let other = Some(cipher_suite::TLS13_CHACHA20_POLY1305_SHA256);
    let other = config(&[&version::TLS13], other, shown());
    let failure = handshake(&[server.pin], other).unwrap_err();
    assert_eq!(failure, Failure::Alert(40));
    assert!(failure.to_string().contains("AES_128_GCM"), "{failure}");
}

#[test]
fn what_is_no_tls_is_named() {
    let end = run(async {
        let wire = connect(usize::MAX, async |mut stream| {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let mut tls = Tls { pins: &[], random: Counter(0) };
        tls.secure(&wire, "localhost", &mut Box::new(Whole::new())).await.map(|_| ())
    });
    assert_eq!(end, Err(Failure::NotTls));
    let end = run(async {
        let wire = connect(usize::MAX, async |stream| drop(stream)).await;
        let mut tls = Tls { pins: &[], random: Counter(0) };
        tls.secure(&wire, "localhost", &mut Box::new(Whole::new())).await.map(|_| ())
    });
    assert!(matches!(end, Err(Failure::Transport(_))), "{end:?}");
}

/// Has the server send 10,000 bytes to a device with memory for `READ`; what the device has in the end.
fn small_memory<const READ: usize>(limit: Option<usize>) -> (usize, Option<Failure>) {
    let server = Identity::p256();
    let mut config = server.config();
    config.max_fragment_size = limit;
    run(async move {
        let wire = connect_tls(usize::MAX, config, async |mut stream| {
            stream.write_all(&[7; 10_000]).await.unwrap();
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let mut buffers = Box::new(RecordBuffers::<READ, 512>::new());
        let mut tls = Tls { pins: &[server.pin], random: Counter(3) };
        let mut secured = tls.secure(&wire, "localhost", &mut buffers).await.unwrap();
        let (mut reader, _) = secured.split();
        let mut heard = 0;
        while heard < 10_000 {
            match reader.read(&mut [0; 4000]).await {
                Ok(count) => heard += count,
                Err(_) => break,
            }
        }
        (heard, secured.failure())
    })
}

#[test]
fn fr_126_memory_for_small_records_does_when_the_server_sends_no_others() {
    assert_eq!(small_memory::<2065>(Some(2048)), (10_000, None));
    assert_eq!(small_memory::<2065>(None), (0, Some(Failure::RecordTooLong(10_017))));
}

/// A server of channels that answers each of 30 events; `triggered` shows those that came.
async fn channels(mut stream: TlsStream, triggered: Rc<RefCell<Vec<String>>>) {
    let peer = Server::new(usize::MAX, 30);
    let mut bytes = [0; 1000];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        let out: Vec<u8> = {
            let mut peer = peer.borrow_mut();
            let before = peer.triggered.len();
            peer.unread.extend_from_slice(&bytes[..count]);
            peer.work();
            for n in before..peer.triggered.len().min(29) {
                let data = format!("{n}");
                peer.write(|tx| encode_channel_event(tx, "private-a", "heard", &*data, None));
            }
            peer.to_client.drain(..).collect()
        };
        triggered.borrow_mut().clone_from(&peer.borrow().triggered);
        let _ = stream.write_all(&out).await;
    }
}

/// Runs a session over a wire that is to be secured; how it ends and what was told.
async fn session(wire: &Ends<OwnedReadHalf>, pins: &[Pin], outbox: &TestBox) -> (End, Vec<String>) {
    let mut buffers = Box::new(Whole::new());
    let mut tls = Tls { pins, random: Counter(3) };
    let mut secured = tls.secure(wire, "localhost", &mut buffers).await.unwrap();
    let (mut reader, mut writer) = secured.split();
    let config = ClientConfig::new("localhost", 6001, "key", 200);
    let mut client = Client::new(Zeros, heapless::Vec::<_, 2>::new());
    client.subscribe("private-a").unwrap();
    client.subscribe("presence-b").unwrap();
    let mut session = Session { client: &mut client, config: &config };
    let mut buffers = Buffers::<512, 512>::new();
    let mut signer = LocalSigner::new("key", b"secret", r#"{"user_id":"7"}"#);
    let mut notes = Notes::default();
    let run = session.run(&mut reader, &mut writer, &mut buffers, outbox, &mut signer, &mut notes);
    (run.await, notes.0)
}

#[test]
fn a_session_over_tls_loses_nothing_while_records_arrive_in_halves() {
    let server = Identity::p256();
    let (pins, config) = ([server.pin], server.config());
    let triggered = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&triggered);
    let (end, notes) = run(async move {
        let wire = connect_tls(1, config, async |stream| channels(stream, seen).await).await;
        let outbox = TestBox::new();
        // Events come at every point of a record's arrival.
        let events = async {
            for n in 0..30 {
                while outbox.trigger("private-a", "client-n", &n).is_err() {
                    yield_now().await;
                }
                yield_now().await;
            }
            core::future::pending::<()>().await;
        };
        tokio::select! {
            end = session(&wire, &pins, &outbox) => end,
            () = events => unreachable!(),
        }
    });
    assert_eq!(end, End::Closed(Advice::ReconnectNow));
    assert_eq!(notes.iter().filter(|note| note.ends_with("subscribed")).count(), 2);
    let heard: Vec<&String> = notes.iter().filter(|note| note.contains(" heard ")).collect();
    // The last ones may come with the server's farewell.
    assert!(heard.len() > 20, "{}", heard.len());
    for (n, note) in heard.iter().enumerate() {
        assert_eq!(**note, format!("private-a heard {n}"));
    }
    let triggered = triggered.borrow();
    assert_eq!(triggered.len(), 30);
    for (n, text) in triggered.iter().enumerate() {
        assert_eq!(*text, format!("private-a client-n Json(Raw {{ text: \"{n}\" }})"));
    }
}
