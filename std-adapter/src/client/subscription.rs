//! The application's end of one channel.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use serde::ser::Error as _;
use tidings_core::error::SendError;
use tidings_core::json::{Limits, Raw};
use tidings_core::pusher::TriggerData;
use tidings_core::pusher::client::ChannelId;

use super::Handle;
use super::error::{NotReady, TriggerError};
use super::event::{Event, Member, State};
use super::mail::{Mail, Standing};
use super::shared::{Inner, OUT_MOST, full};

/// A channel that the client is subscribed to, and its events as a stream.
///
/// It is put in force on every connection; dropping it ends it. Events that are not read wait within the bounds of
/// [`ClientBuilder::queue`](super::ClientBuilder::queue).
///
/// # Cancel safety
/// Every future of it can be dropped at any time: an event is either returned or still there, and an event
/// to trigger is either sent or not.
#[derive(Debug)]
pub struct Subscription {
    pub(super) handle: Arc<Handle>,
    pub(super) channel: ChannelId,
    pub(super) mail: Arc<Mail>,
}

impl Subscription {
    /// The channel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.mail.name
    }

    /// The next event; `None` after the client has stopped and all events were read.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.mail.poll(context)).await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.mail.take()
    }

    /// Waits until the subscription is in force; at once when it is. It reads no event.
    ///
    /// # Errors
    /// [`NotReady::Rejected`] when the subscription was refused on the present connection, [`NotReady::Stopped`] when the
    /// client has stopped.
    pub async fn ready(&self) -> Result<(), NotReady> {
        let mut standing = self.mail.standing.subscribe();
        let settled = standing.wait_for(|standing| *standing != Standing::Waiting).await;
        match settled.as_deref() {
            Ok(Standing::Subscribed) => Ok(()),
            Ok(Standing::Rejected(rejection)) => Err(NotReady::Rejected(rejection.clone())),
            _ => Err(NotReady::Stopped(match &*self.handle.0.state.borrow() {
                State::Stopped { error } => error.clone(),
                _ => None,
            })),
        }
    }

    /// Whether the subscription is in force.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.mail.standing.borrow() == Standing::Subscribed
    }

    /// Who is on the presence channel, by id, as far as the server has told. It is kept up to date whether or not events
    /// are read, and stays as it was while there is no connection.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.mail.members()
    }

    /// Who the client is on the presence channel: the user id that was signed.
    #[must_use]
    pub fn me(&self) -> Option<Box<str>> {
        self.mail.me()
    }

    /// Asks for the subscription again after it was refused on the present connection.
    pub fn retry(&self) {
        let mut inner = self.handle.0.lock();
        if inner.machine.retry(self.channel).is_ok() {
            self.mail.standing.send_if_modified(|standing| {
                let rejected = matches!(standing, Standing::Rejected(_));
                if rejected {
                    *standing = Standing::Waiting;
                }
                rejected
            });
        }
        drop(inner);
        self.handle.0.wake.notify_one();
    }

    /// Sends an event to the other subscribers of a private or presence channel; its name begins with `client-`. It waits
    /// only while the server does not take what was sent before.
    ///
    /// It returns when the event is on its way. Whether it arrives nobody tells: the server may refuse it with a
    /// [`Notice::Error`](super::Notice::Error).
    ///
    /// # Errors
    /// [`TriggerError`]; nothing was sent.
    pub async fn trigger<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<(), TriggerError> {
        let text = serde_json::to_string(data).map_err(TriggerError::Json)?;
        let data = Raw::parse_str(&text, Limits::new());
        let data = data.map_err(|error| TriggerError::Json(serde_json::Error::custom(error)))?;
        let shared = &self.handle.0;
        loop {
            let mut room = pin!(shared.room.notified());
            room.as_mut().enable();
            match self.try_trigger(event, data) {
                Ok(()) => break,
                Err(SendError::Usage(error)) => return Err(TriggerError::NotSent(error)),
                Err(error) => match full(&error) {
                    Some(size) if size > OUT_MOST => {
                        return Err(TriggerError::TooLarge { size, max: OUT_MOST });
                    }
                    _ => room.await,
                },
            }
        }
        shared.wake.notify_one();
        Ok(())
    }

    fn try_trigger(&self, event: &str, data: Raw<'_>) -> Result<(), SendError> {
        let mut guard = self.handle.0.lock();
        let Inner { machine, out, .. } = &mut *guard;
        let data = Some(TriggerData::Json(data));
        out.write(|tx| machine.trigger(self.channel, event, data, tx), full)
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.mail.poll(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.handle.0.unsubscribe(self.channel);
    }
}
