//! The bus as a subject of NATS.

use super::bus::{CONNECT, Connection, Ends, Incoming};
use super::url::BackplaneUrl;
use async_nats::{Client, ConnectOptions, Event, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

/// Messages that may wait to be read; beyond, the server of NATS would lose some.
const CAPACITY: usize = 65_536;

pub(super) async fn connect(url: &BackplaneUrl, topic: &str) -> Result<Connection, String> {
    let (events, happened) = mpsc::unbounded_channel();
    let mut options = ConnectOptions::new()
        .connection_timeout(CONNECT)
        .subscription_capacity(CAPACITY)
        .require_tls(url.tls)
        .ignore_discovered_servers()
        .event_callback(move |event| {
            let _ = events.send(event); // nobody listens any more
            async {}
        });
    options = match url.user_and_password() {
        Some((token, password)) if password.is_empty() => options.token(token),
        Some((user, password)) => options.user_and_password(user, password),
        None => options,
    };
    let servers: Vec<String> = url.hosts.iter().map(|host| format!("nats://{host}")).collect();
    let client = Box::pin(options.connect(servers)).await.map_err(|error| error.to_string())?;
    let subject = Subject::from(topic);
    let messages = client.subscribe(subject.clone()).await.map_err(|error| error.to_string())?;
    // Once this has come back, the subscription is in force.
    client.flush().await.map_err(|error| error.to_string())?;
    Ok(Connection::new(|ends, tasks| {
        let Ends { out, inbox } = ends;
        tasks.spawn(watch(happened, inbox.clone()));
        tasks.spawn(write(client, subject, out, inbox.clone()));
        tasks.spawn(read(messages, inbox));
    }))
}

/// Tells when the connection is lost. The client would connect anew by itself, but what was lost meanwhile must be
/// known.
async fn watch(mut happened: mpsc::UnboundedReceiver<Event>, inbox: mpsc::Sender<Incoming>) {
    while let Some(event) = happened.recv().await {
        let reason = match event {
            Event::Disconnected | Event::Closed => "NATS has closed the connection".into(),
            Event::SlowConsumer(_) => "this server has read too slowly from NATS".into(),
            Event::ServerError(error) => error.to_string(),
            _ => continue,
        };
        let _ = inbox.send(Incoming::Lost(reason)).await; // it is given up already
    }
}

async fn write(
    client: Client,
    subject: Subject,
    mut out: mpsc::UnboundedReceiver<Bytes>,
    inbox: mpsc::Sender<Incoming>,
) {
    while let Some(frame) = out.recv().await {
        if let Err(error) = client.publish(subject.clone(), frame).await {
            let _ = inbox.send(Incoming::Lost(error.to_string())).await;
            return;
        }
    }
}

async fn read(mut messages: Subscriber, inbox: mpsc::Sender<Incoming>) {
    while let Some(message) = messages.next().await {
        if inbox.send(Incoming::Frame(message.payload)).await.is_err() {
            return;
        }
    }
}
