//! Certificates made on the spot, and clients that speak TLS through rustls' client side.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// Long enough for any answer on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority whose certificates lie in a folder of their own.
pub struct Authority {
    pub folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The files of a certificate.
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { folder: TempDir::new().unwrap(), issuer }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file with the authority's own certificate.
    pub fn root(&self) -> PathBuf {
        self.write("root.pem", &pem("CERTIFICATE", self.issuer.der()))
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn sign(&self, names: &[&str]) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }

    /// Writes a certificate for these names, and its key, over what was there under `file`.
    pub fn certify(&self, file: &str, names: &[&str]) -> Pair {
        let (cert, key) = self.sign(names);
        Pair {
            cert: self.write(&format!("{file}.pem"), &pem("CERTIFICATE", &cert)),
            key: self.write(&format!("{file}.key"), &pem("PRIVATE KEY", &key.serialize_der())),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    /// A client's side that trusts the authority.
    pub fn client(&self) -> ClientConfig {
        provided().with_root_certificates(self.roots()).with_no_client_auth()
    }

    /// The same with a certificate that `other` has signed for the client.
    pub fn client_certified_by(&self, other: &Self) -> ClientConfig {
        let (cert, key) = other.sign(&["client"]);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provided = provided().with_root_certificates(self.roots());
        provided.with_client_auth_cert(vec![cert], key).unwrap()
    }
}

fn provided() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

pub type Secured = StreamOwned<ClientConnection, Wire>;

/// A socket that can send its bytes one at a time.
pub struct Wire {
    pub tcp: TcpStream,
    pub bytewise: bool,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = if self.bytewise { buf.len().min(1) } else { buf.len() };
        self.tcp.read(&mut buf[..most])
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let most = if self.bytewise { buf.len().min(1) } else { buf.len() };
        self.tcp.write(&buf[..most])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Connects, and makes the handshake with the first read or write.
pub fn connect(address: SocketAddr, name: &str, config: ClientConfig) -> Secured {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, Wire { tcp, bytewise: false })
}

/// The certificate that the server shows to who asks for `name`.
pub fn shown(address: SocketAddr, name: &str, config: ClientConfig) -> CertificateDer<'static> {
    let mut stream = connect(address, name, config);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).expect("a handshake");
    }
    stream.conn.peer_certificates().unwrap()[0].clone()
}

/// The certificate in a file.
pub fn certificate(path: &Path) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A WebSocket over TLS.
pub struct Client {
    pub ws: WebSocket<Secured>,
}

impl Client {
    /// Makes the opening handshake and takes the first event.
    pub fn over(stream: Secured) -> Self {
        let (ws, _) = tungstenite::client("ws://localhost/app/key?protocol=7", stream).unwrap();
        let mut client = Self { ws };
        assert_eq!(client.event()["event"], "pusher:connection_established");
        client
    }

    pub fn send(&mut self, message: Value) {
        self.ws.send(Message::text(message.to_string())).unwrap();
    }

    pub fn event(&mut self) -> Value {
        loop {
            match self.ws.read().expect("an event") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }

    pub fn subscribe(&mut self, channel: &str) {
        self.send(json!({"event": "pusher:subscribe", "data": {"channel": channel}}));
        assert_eq!(self.event()["event"], "pusher_internal:subscription_succeeded");
    }

    /// Asks for an answer, so that what was sent before is known to have arrived.
    pub fn ping(&mut self) {
        self.send(json!({"event": "pusher:ping", "data": {}}));
        assert_eq!(self.event()["event"], "pusher:pong");
    }
}
