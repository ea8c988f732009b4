//! Presence and occupancy against a model: whatever sockets on two shards do, and however the mail between the
//! shards interleaves, nobody is left behind, nobody counts twice, and what is told adds up.
//!
//! The shards are the real ones, without their threads: the test delivers their mail piece by piece. Each socket is
//! one end of a pair, and what arrives at the other end is read as a client reads it.

use super::*;
use crate::app::{App, Apps};
use crate::config::ServerConfig;
use crate::server::events::ServerEvent as Told;
use crate::server::hub::AppRef;
use crate::server::metrics::Measured;
use crate::server::socket::{Detached, Stream, handle};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tidings_core::auth::{sign_channel, sign_user};
use tidings_core::channel::ChannelName;
use tidings_core::pusher::SocketId;
use tidings_core::pusher::server::{ServerConn, ServerEvent};
use tokio::sync::broadcast;

const CHANNELS: [&str; 4] = ["presence-a", "presence-b", "cache-c", "private-d"];
const USERS: [&str; 3] = ["u", "v", "w"];

#[derive(Debug, Clone)]
enum Step {
    /// A client of a user connects to a shard. Its user may have other connections, dead ones included.
    Connect {
        shard: usize,
        user: usize,
    },
    /// The n-th living connection subscribes to a channel, which it may have done before.
    Subscribe {
        conn: usize,
        channel: usize,
    },
    Unsubscribe {
        conn: usize,
        channel: usize,
    },
    SignIn {
        conn: usize,
    },
    /// A connection ends without a word.
    Drop {
        conn: usize,
    },
    /// The application ends the connections of a user.
    Terminate {
        user: usize,
    },
    /// A shard takes some of the mail that waits for it.
    Deliver {
        shard: usize,
        count: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (conn, channel, shard, user) = (0..8usize, 0..CHANNELS.len(), 0..2usize, 0..USERS.len());
    let pair = (conn.clone(), channel);
    let step = prop_oneof![
        3 => (shard.clone(), user.clone()).prop_map(|(shard, user)| Step::Connect { shard, user }),
        6 => pair.clone().prop_map(|(conn, channel)| Step::Subscribe { conn, channel }),
        4 => pair.prop_map(|(conn, channel)| Step::Unsubscribe { conn, channel }),
        1 => conn.clone().prop_map(|conn| Step::SignIn { conn }),
        2 => conn.prop_map(|conn| Step::Drop { conn }),
        1 => user.prop_map(|user| Step::Terminate { user }),
        6 => (shard, 1..4usize).prop_map(|(shard, count)| Step::Deliver { shard, count }),
    ];
    prop::collection::vec(step, 1..50)
}

/// A client, and what the model knows of it.
struct Client {
    conn: Rc<Conn>,
    shard: usize,
    user: &'static str,
    peer: UnixStream,
    bytes: Vec<u8>,
    /// The channels that it should be in once all mail is delivered.
    channels: BTreeSet<&'static str>,
    signed_in: bool,
    /// Members of each presence channel as the client sees them.
    views: BTreeMap<String, BTreeSet<String>>,
}

impl Client {
    /// Reads what has arrived and keeps the member lists up to date, as pusher-js does.
    fn read(&mut self) {
        let mut chunk = [0; 4096];
        while let Ok(n) = self.peer.read(&mut chunk)
            && n > 0
        {
            self.bytes.extend_from_slice(&chunk[..n]);
        }
        while let Some(payload) = next_frame(&mut self.bytes) {
            let Ok(event) = serde_json::from_slice::<Value>(&payload) else { continue };
            let data = event["data"].as_str().and_then(|data| serde_json::from_str(data).ok());
            let (channel, data) = (event["channel"].as_str(), data.unwrap_or(Value::Null));
            let user = data["user_id"].as_str().map(str::to_owned);
            match (event["event"].as_str(), channel) {
                (Some("pusher_internal:subscription_succeeded"), Some(channel)) => {
                    let ids = data["presence"]["ids"].as_array().cloned().unwrap_or_default();
                    let count = ids.len();
                    let ids: BTreeSet<String> =
                        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
                    assert_eq!(ids.len(), count, "nobody is listed twice");
                    self.views.insert(channel.to_owned(), ids);
                }
                (Some("pusher_internal:member_added"), Some(channel)) => {
                    let view = self.views.get_mut(channel).expect("after the acknowledgement");
                    assert!(view.insert(user.unwrap()), "added twice");
                }
                (Some("pusher_internal:member_removed"), Some(channel)) => {
                    let view = self.views.get_mut(channel).expect("after the acknowledgement");
                    assert!(view.remove(&user.unwrap()), "removed, but was not there");
                }
                _ => {}
            }
        }
    }
}

/// Takes one frame of a server from the front of `bytes`.
fn next_frame(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (length, start) = match *bytes.get(1)? {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        length => (usize::from(length), 2),
    };
    let payload = bytes.get(start..start + length)?.to_vec();
    bytes.drain(..start + length);
    Some(payload)
}

/// What is occupied and who is a member, according to what the embedding program was told.
#[derive(Default)]
struct Facts {
    occupied: BTreeSet<String>,
    members: BTreeSet<(String, String)>,
}

impl Facts {
    fn take(&mut self, told: Told) {
        match told {
            Told::ChannelOccupied { channel, .. } => {
                assert!(self.occupied.insert(channel.into()), "occupied twice");
            }
            Told::ChannelVacated { channel, .. } => {
                let channel: String = channel.into();
                assert!(self.occupied.remove(&channel), "vacated, but was not occupied");
                assert!(self.members.iter().all(|(of, _)| *of != channel), "vacated with members");
            }
            Told::MemberAdded { channel, user_id, .. } => {
                assert!(self.members.insert((channel.into(), user_id.into())), "added twice");
            }
            Told::MemberRemoved { channel, user_id, .. } => {
                assert!(self.members.remove(&(channel.into(), user_id.into())), "was no member");
            }
            _ => {}
        }
    }
}

struct World {
    app: Arc<App>,
    shards: Vec<Rc<Shard>>,
    mail: Vec<mpsc::UnboundedReceiver<Mail>>,
    told: broadcast::Receiver<Told>,
    facts: Facts,
    clients: Vec<Client>,
    serial: u64,
}

impl World {
    fn new() -> Self {
        let mut app = App::new("id", "key", "secret");
        app.watchlists = true;
        let apps = Apps::new(vec![app]).unwrap();
        let app = apps.by_id("id").unwrap();
        let (hub, mail, _) = Hub::new(apps, ServerConfig::default(), 2, None);
        let told = hub.subscribe_to_events();
        let shards = (0..2).map(|id| Rc::new(Shard::new(id, hub.clone()))).collect();
        let (facts, clients) = (Facts::default(), Vec::new());
        Self { app, shards, mail, told, facts, clients, serial: 0 }
    }

    async fn connect(&mut self, at: usize, user: &'static str) {
        let (ours, peer) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        peer.set_nonblocking(true).unwrap();
        let stream = Stream::attach(Detached::Unix(ours)).unwrap();
        stream.writable().await.unwrap();
        self.serial += 1;
        let (shard, socket_id) = (&self.shards[at], SocketId::new(1, self.serial));
        let terms = shard.terms();
        let mut core = ServerConn::new(socket_id, &terms.protocol(), shard.now());
        core.establish(&terms.protocol(), shard.now(), &mut TxBuf::new(&mut [0; 512])).unwrap();
        let app = AppRef::new(shard.hub.apps(), &self.app);
        let mut local = shard.local.borrow_mut();
        let traffic = local.ledger.of(0);
        let conn = local
            .insert(shard.id, |at| Conn::new(stream, app, at, core, socket_id, terms, traffic));
        drop(local);
        let (channels, views) = (BTreeSet::new(), BTreeMap::new());
        let bytes = Vec::new();
        self.clients.push(Client {
            conn,
            shard: at,
            user,
            peer,
            bytes,
            channels,
            signed_in: false,
            views,
        });
    }

    fn subscribe(&mut self, at: usize, name: &'static str) {
        let client = &mut self.clients[at];
        client.channels.insert(name);
        let socket_id = client.conn.socket_id.as_text();
        let data = format!(r#"{{"user_id":"{}"}}"#, client.user);
        let data = name.starts_with("presence-").then_some(&*data);
        let signature = sign_channel(self.app.signing(), &socket_id, name, data);
        let auth = format!("key:{}", signature.as_str());
        let channel = ChannelName::parse(name, 200).unwrap();
        let auth = channel.needs_auth().then_some(&*auth);
        let event = ServerEvent::Subscribe { channel, auth, channel_data: data, resume_from: None };
        let shard = &self.shards[client.shard];
        handle(shard, &client.conn, event, shard.now());
    }

    fn unsubscribe(&mut self, at: usize, name: &'static str) {
        let client = &mut self.clients[at];
        client.channels.remove(name);
        let event = ServerEvent::Unsubscribe { channel: ChannelName::parse(name, 200).unwrap() };
        let shard = &self.shards[client.shard];
        handle(shard, &client.conn, event, shard.now());
    }

    fn sign_in(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.signed_in = true;
        let user_data = format!(r#"{{"id":"{}","watchlist":["u","v"]}}"#, client.user);
        let signature = sign_user(self.app.signing(), &client.conn.socket_id.as_text(), &user_data);
        let auth = format!("key:{}", signature.as_str());
        let event = ServerEvent::SignIn { auth: &auth, user_data: &user_data };
        let shard = &self.shards[client.shard];
        handle(shard, &client.conn, event, shard.now());
    }

    /// What the reading task of a socket does at its end.
    fn drop_client(&mut self, at: usize) {
        let client = self.clients.swap_remove(at);
        let shard = &self.shards[client.shard];
        shard.leave_all(&client.conn);
        shard.local.borrow_mut().remove(client.conn.at);
    }

    fn terminate(&mut self, user: &'static str) {
        for shard in 0..2 {
            let (reply, _) = mpsc::unbounded_channel();
            let user_id = user.into();
            self.shards[0].hub.send(shard, Mail::Terminate { app: 0, user_id, reply });
            // Each shard knows its own sockets, so its part of the work is done at once in the model too.
            self.deliver(shard.into(), usize::MAX);
        }
        let gone = |client: &Client| client.signed_in && client.user == user;
        while let Some(at) = self.clients.iter().position(gone) {
            assert!(!self.clients[at].conn.core.borrow().is_open(), "it was told to go");
            self.drop_client(at);
        }
    }

    fn deliver(&mut self, shard: usize, count: usize) {
        for _ in 0..count {
            let Ok(mail) = self.mail[shard].try_recv() else { break };
            self.shards[shard].receive(mail);
        }
        self.shards[shard].flush();
    }

    fn settle(&mut self) {
        // A shard that wakes without mail still writes what is due.
        loop {
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
            if self.mail.iter().all(mpsc::UnboundedReceiver::is_empty) {
                break;
            }
        }
    }

    fn observe(&mut self) {
        while let Ok(told) = self.told.try_recv() {
            self.facts.take(told);
        }
        self.clients.iter_mut().for_each(Client::read);
    }

    async fn perform(&mut self, step: &Step) {
        let living = self.clients.len();
        match *step {
            Step::Connect { shard, user } if living < 8 => self.connect(shard, USERS[user]).await,
            Step::Subscribe { conn, channel } if living > 0 => {
                self.subscribe(conn % living, CHANNELS[channel]);
            }
            Step::Unsubscribe { conn, channel } if living > 0 => {
                self.unsubscribe(conn % living, CHANNELS[channel]);
            }
            Step::SignIn { conn } if living > 0 => self.sign_in(conn % living),
            Step::Drop { conn } if living > 0 => self.drop_client(conn % living),
            Step::Terminate { user } => self.terminate(USERS[user]),
            Step::Deliver { shard, count } => self.deliver(shard, count),
            _ => {}
        }
        self.observe();
    }

    /// Everything is as the clients that are left want it.
    fn check(&self) {
        for name in CHANNELS {
            let within: Vec<&Client> =
                self.clients.iter().filter(|c| c.channels.contains(name)).collect();
            let users: BTreeSet<String> = within.iter().map(|c| c.user.to_owned()).collect();
            let presence = name.starts_with("presence-");
            let hub = &self.shards[0].hub;
            let key = Key { app: 0, hash: hub.hash(0, name.as_bytes()), name: name.as_bytes() };
            let home = self.shards[usize::from(hub.home_of(key.hash))].home.borrow();
            let occupancy = home.occupancy(key);
            assert_eq!(occupancy.subscriptions as usize, within.len(), "{name}");
            assert_eq!(self.facts.occupied.contains(name), !within.is_empty(), "{name}");
            let listed: BTreeSet<String> = home.users(key).into_iter().map(Into::into).collect();
            let expected = if presence { users } else { BTreeSet::new() };
            assert_eq!(occupancy.users as usize, expected.len(), "{name}");
            assert_eq!(listed, expected, "{name}");
            let told = self.facts.members.iter().filter(|(channel, _)| channel == name);
            assert_eq!(told.map(|(_, user)| user.clone()).collect::<BTreeSet<_>>(), expected);
            for client in within.iter().filter(|_| presence) {
                assert_eq!(client.views[name], expected, "{name} as {} sees it", client.user);
            }
        }
    }

    /// What is measured is what there is.
    fn check_measured(&self) {
        let mut all = Measured::default();
        self.shards.iter().for_each(|shard| all.add(&shard.measure()));
        let gauges = *all.app(0);
        let subscriptions: usize = self.clients.iter().map(|client| client.channels.len()).sum();
        let pairs =
            self.clients.iter().flat_map(|c| c.channels.iter().map(move |ch| (*ch, c.user)));
        let pairs: Vec<_> = pairs.collect();
        let presence = pairs.iter().filter(|(channel, _)| channel.starts_with("presence-"));
        let users: BTreeSet<_> = presence.clone().collect();
        let channels: BTreeSet<_> = pairs.iter().map(|(channel, _)| channel).collect();
        assert_eq!(gauges.connections as usize, self.clients.len());
        assert_eq!(gauges.subscriptions as usize, subscriptions);
        assert_eq!(gauges.channels as usize, channels.len());
        assert_eq!(gauges.presence_members as usize, presence.count());
        assert_eq!(gauges.presence_users as usize, users.len());
        assert_eq!(gauges.queue_bytes, 0);
    }

    /// Nothing is remembered of anybody.
    fn check_empty(&self) {
        assert!(self.facts.occupied.is_empty() && self.facts.members.is_empty());
        for shard in &self.shards {
            assert!(shard.home.borrow().is_empty(), "the home keeps a channel");
            assert!(shard.users.borrow().is_empty(), "the home keeps a user");
            assert!(
                shard.local.borrow().is_empty(),
                "the shard keeps a channel, a user or a socket"
            );
        }
    }
}

async fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.perform(step).await;
    }
    world.settle();
    world.observe();
    world.check();
    world.check_measured();
    while !world.clients.is_empty() {
        world.drop_client(0);
    }
    world.settle();
    world.observe();
    world.check();
    world.check_measured();
    world.check_empty();
}

#[test]
fn presence_and_occupancy_are_as_the_model_says() {
    let cases = std::env::var("TIDINGS_MODEL_CASES").ok();
    let cases = cases.map_or(100, |cases| cases.parse().expect("TIDINGS_MODEL_CASES is a number"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&steps(), |steps| {
        tokio::task::LocalSet::new().block_on(&runtime, run(&steps));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("{cases} cases");
}
