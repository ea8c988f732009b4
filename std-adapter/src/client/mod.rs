//! A client of Pusher Channels, tidings and every server that speaks their protocol.
//!
//! ```no_run
//! use tidings::client::{Authorizer, Client, Event};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("app-key")
//!     .host("127.0.0.1", 6001)
//!     .authorizer(Authorizer::secret("app-key", "app-secret"))
//!     .start()?;
//! let mut orders = client.subscribe("private-orders")?;
//! while let Some(event) = orders.next().await {
//!     match event {
//!         Event::Message(message) => println!("{}: {:?}", message.event, message.data),
//!         Event::Missed { count } => println!("{count} events were dropped, since nobody read them"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The client connects by itself, keeps the connection, and makes a new one whenever it ends, for ever: only a server that
//! sends it away for good (an unknown key, a disabled app) or the application ends that. On each connection it asks for
//! new signatures and subscribes again. An event published while there is no connection is missed, unless
//! the server keeps the channel's history and the subscription [resumes](Client::subscribe_from); a cache channel has its
//! last one.

mod authorize;
mod config;
mod connect;
mod dispatch;
mod driver;
mod endpoint;
mod error;
mod event;
mod mail;
mod session;
mod shared;
mod subscription;
mod table;

use std::sync::Arc;

use tidings_core::pusher::SocketId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

pub use authorize::{AuthRequest, Authorization, AuthorizeError, Authorizer, Identity, Subject};
pub use config::ClientBuilder;
pub use endpoint::Endpoint;
pub use error::{ClientError, ConfigError, NotReady, SubscribeError, TriggerError};
pub use event::{Event, Member, Message, Notice, Rejection, State};
use shared::Shared;
pub use subscription::Subscription;
use table::{Machine, Names, Random};
pub use tidings_core::pusher::Serial;
pub use tidings_core::pusher::client::Position;

/// A connection to a server that is kept up, and its channels. Clones are handles to the same one.
///
/// It ends with [`close`](Self::close), or when the last handle and the last [`Subscription`] are gone.
///
/// # Cancel safety
/// Every future of it can be dropped at any time.
#[derive(Debug, Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// Ends the client with the last of its users.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Client {
    /// A client of the app with this key.
    pub fn builder(key: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(key.into())
    }

    fn spawn(options: ClientBuilder) -> Self {
        let machine = Machine::new(Random, Names::default());
        let shared = Arc::new(Shared::new(machine, options.bounds));
        tokio::spawn(driver::run(Arc::clone(&shared), options));
        Self { handle: Arc::new(Handle(shared)) }
    }

    /// Subscribes to a channel: now, or as soon as there is a connection, and again on every later one.
    ///
    /// # Errors
    /// [`SubscribeError`] when the name is not that of a channel, or subscribed to already. What the server says
    /// comes as an event.
    pub fn subscribe(&self, channel: &str) -> Result<Subscription, SubscribeError> {
        self.enter(channel, None)
    }

    /// As [`subscribe`](Self::subscribe), and asks the server for the messages since `from`, now and after every
    /// interruption: a tidings server that keeps this channel's history sends them. The answer is [`Event::Resumed`].
    ///
    /// [`Position::Latest`] to begin with; [`Position::After`] the [`Message::serial`] that was acted on last, for a program
    /// that was restarted.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_from(
        &self,
        channel: &str,
        from: Position,
    ) -> Result<Subscription, SubscribeError> {
        self.enter(channel, Some(from))
    }

    fn enter(&self, name: &str, from: Option<Position>) -> Result<Subscription, SubscribeError> {
        let (channel, mail) = self.handle.0.subscribe(name, from)?;
        Ok(Subscription { handle: Arc::clone(&self.handle), channel, mail })
    }

    /// Signs the user in, on this connection and on every later one, with what the authoriser answers for
    /// [`Subject::User`]. The user's own channel, `#server-to-user-ID`, can be subscribed to at any time, and is in force
    /// from the sign-in on.
    pub fn sign_in(&self) {
        self.handle.0.lock().machine.sign_in();
        self.handle.0.wake.notify_one();
    }

    /// How the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.0.state.borrow().clone()
    }

    /// Waits until the connection is established and returns its id; at once when it is.
    ///
    /// # Errors
    /// The reason, when the client has stopped; `None` when it was closed. A server that cannot be reached is
    /// no reason: it is tried again. [`state`](Self::state) tells why it waits.
    pub async fn connected(&self) -> Result<SocketId, Option<ClientError>> {
        let mut states = self.handle.0.state.subscribe();
        loop {
            match &*states.borrow_and_update() {
                State::Online { socket_id } => return Ok(*socket_id),
                State::Stopped { error } => return Err(error.clone()),
                State::Connecting | State::Waiting { .. } => {}
            }
            if states.changed().await.is_err() {
                return Err(None);
            }
        }
    }

    /// The changes of [`state`](Self::state), beginning with the present one. Of changes in quick succession only the
    /// last may be seen.
    #[must_use]
    pub fn states(&self) -> States {
        let mut states = self.handle.0.state.subscribe();
        states.mark_changed();
        States(states)
    }

    /// What happens on the connection and concerns no single channel, from now on.
    #[must_use]
    pub fn notices(&self) -> Notices {
        Notices(self.handle.0.notices.subscribe())
    }

    /// Ends the connection in good order and waits until it has ended; subscriptions end with it.
    pub async fn close(&self) {
        self.handle.0.close();
        let mut states = self.handle.0.state.subscribe();
        let _ = states.wait_for(|state| matches!(state, State::Stopped { .. })).await;
    }
}

/// How the connection stands, over time. See [`Client::states`].
#[derive(Debug)]
pub struct States(tokio::sync::watch::Receiver<State>);

impl States {
    /// The next state; `None` after [`State::Stopped`].
    pub async fn next(&mut self) -> Option<State> {
        if matches!(self.0.has_changed(), Ok(false))
            && matches!(&*self.0.borrow(), State::Stopped { .. })
        {
            return None;
        }
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

/// What happens on the connection. See [`Client::notices`].
#[derive(Debug)]
pub struct Notices(broadcast::Receiver<Notice>);

impl Notices {
    /// The next notice; `None` when the client is gone. Up to 64 wait; then the oldest make way, which
    /// [`Notice::Missed`] tells.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(RecvError::Lagged(count)) => Some(Notice::Missed { count }),
            Err(RecvError::Closed) => None,
        }
    }
}
