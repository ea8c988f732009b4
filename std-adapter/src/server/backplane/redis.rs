//! The bus as a channel of Redis: `PUBLISH` and `SUBSCRIBE`.

use super::bus::{CONNECT, Connection, Ends, Incoming};
use super::url::{BackplaneUrl, Kind};
use bytes::Bytes;
use futures_util::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
};
use tokio::sync::mpsc;

/// Frames that go out in one pipeline.
const MAX_PIPELINE: usize = 256;

pub(super) async fn connect(url: &BackplaneUrl, topic: &str) -> Result<Connection, String> {
    let text = |error: redis::RedisError| error.to_string();
    let mut last = "no host".to_owned();
    let clients = match url.kind {
        Kind::RedisSentinel => vec![master(url).await.map_err(text)],
        _ => url.hosts.iter().map(|host| client(url, host, 6379).map_err(text)).collect(),
    };
    for client in clients {
        match async { open(&client?, topic).await.map_err(text) }.await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open(client: &Client, topic: &str) -> redis::RedisResult<Connection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(CONNECT));
    let publisher = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut subscriber = client.get_async_pubsub().await?;
    subscriber.subscribe(topic).await?;
    let (sink, messages) = subscriber.split();
    let topic = topic.to_owned();
    Ok(Connection::new(|ends, tasks| {
        let Ends { out, inbox } = ends;
        tasks.spawn(write(publisher, topic, out, inbox.clone()));
        tasks.spawn(async move {
            let _kept = sink; // the subscription ends with it
            read(messages, inbox).await;
        });
    }))
}

/// Splits `host:port`.
fn address(host: &str, port: u16) -> (String, u16) {
    match host.rsplit_once(':') {
        Some((name, digits)) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            (name.trim_matches(['[', ']']).to_owned(), digits.parse().unwrap_or(port))
        }
        _ => (host.trim_matches(['[', ']']).to_owned(), port),
    }
}

fn connection_addr(url: &BackplaneUrl, host: &str, port: u16) -> ConnectionAddr {
    let (host, port) = address(host, port);
    if url.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn login(url: &BackplaneUrl) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default();
    if let Some((user, password)) = url.user_and_password() {
        if !user.is_empty() {
            info = info.set_username(user);
        }
        if !password.is_empty() {
            info = info.set_password(password);
        }
    }
    match url.path.parse() {
        Ok(database) if url.kind == Kind::Redis => info.set_db(database),
        _ => info,
    }
}

fn client(url: &BackplaneUrl, host: &str, port: u16) -> redis::RedisResult<Client> {
    let info = connection_addr(url, host, port).into_connection_info()?;
    Client::open(info.set_redis_settings(login(url)))
}

/// The master that the sentinels name at this moment.
async fn master(url: &BackplaneUrl) -> redis::RedisResult<Client> {
    let sentinels = url.hosts.iter().map(|host| connection_addr(url, host, 26379));
    let sentinels: redis::RedisResult<Vec<_>> =
        sentinels.map(redis::IntoConnectionInfo::into_connection_info).collect();
    let mut sentinel = redis::sentinel::Sentinel::build(sentinels?)?;
    let mut node = redis::sentinel::SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(login(url));
    if url.tls {
        node = node.set_tls_mode(redis::TlsMode::Secure);
    }
    sentinel.async_master_for(&url.path, Some(&node)).await
}

/// Publishes what goes out, as much at once as there is.
async fn write(
    mut publisher: MultiplexedConnection,
    topic: String,
    mut out: mpsc::UnboundedReceiver<Bytes>,
    inbox: mpsc::Sender<Incoming>,
) {
    let mut frames = Vec::new();
    while out.recv_many(&mut frames, MAX_PIPELINE).await > 0 {
        let mut pipeline = redis::pipe();
        for frame in frames.drain(..) {
            pipeline.cmd("PUBLISH").arg(&topic).arg(&frame[..]).ignore();
        }
        if let Err(error) = pipeline.query_async::<()>(&mut publisher).await {
            let _ = inbox.send(Incoming::Lost(error.to_string())).await;
            return;
        }
    }
}

/// Hands on what comes in.
async fn read(mut messages: PubSubStream, inbox: mpsc::Sender<Incoming>) {
    while let Some(message) = messages.next().await {
        let Ok(frame) = message.get_payload::<Vec<u8>>() else { continue };
        if inbox.send(Incoming::Frame(frame.into())).await.is_err() {
            return;
        }
    }
    let _ = inbox.send(Incoming::Lost("Redis has closed the connection".into())).await;
}
