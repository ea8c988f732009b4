//! From the machine's events to the subscriptions, and from the authoriser's answers to the machine.

use std::sync::Arc;

use tidings_core::auth::{PresenceData, SharedSecret};
use tidings_core::error::{SendError, TxFull};
use tidings_core::json::{EscapedJson, Raw};
use tidings_core::pusher::client::{ChannelEvent, ChannelId, ClientEvent};
use tidings_core::pusher::{
    Advice, ErrorCode, Presence, Serial, SocketId, UserIds, open_encrypted,
};
use tidings_core::time::Instant;
use tokio::sync::broadcast;

use super::authorize::{Authorization, AuthorizeError};
use super::event::{Event, Member, Message, Notice, Rejection};
use super::mail::{Mail, Standing};
use super::shared::{Ask, Ended, Inner, OUT_MOST, Pumped, Shared, full};

impl Inner {
    /// Tells the server about channels that were given up, as far as there is room.
    pub(super) fn leave(&mut self) {
        let Self { machine, out, leaving, .. } = self;
        while let Some(&channel) = leaving.last() {
            let left = out.write(|tx| machine.unsubscribe(channel, tx), full);
            if left.as_ref().err().and_then(full).is_some() {
                return;
            }
            leaving.pop();
        }
    }

    fn mail(&self, channel: ChannelId) -> Option<&Arc<Mail>> {
        let (known, mail) = self.routes.get(channel.index())?.as_ref()?;
        (*known == channel).then_some(mail)
    }

    /// Passes one event on.
    pub(super) fn handle(
        &mut self,
        event: ClientEvent<'_>,
        notices: &broadcast::Sender<Notice>,
        pumped: &mut Pumped,
    ) {
        let notice = match event {
            ClientEvent::Authorize { channel, socket_id } => {
                if let Some(mail) = self.mail(channel) {
                    let channel = Some((channel, Arc::clone(&mail.name)));
                    let standing = Some(mail.standing.subscribe());
                    pumped.asks.push(Ask { socket_id, channel, standing });
                }
                return;
            }
            ClientEvent::AuthorizeUser { socket_id } => {
                return pumped.asks.push(Ask { socket_id, channel: None, standing: None });
            }
            ClientEvent::Channel { channel, event } => {
                if let Some(mail) = self.mail(channel) {
                    deliver(mail, event);
                }
                return;
            }
            ClientEvent::Closed { closed, advice } => {
                let (code, message) = match (closed.code.map(ErrorCode::new), self.error.take()) {
                    (Some(code), Some((_, message))) if code.as_u16() >= 4000 => {
                        (Some(code), message)
                    }
                    (_, Some((code, message))) => (Some(code), message),
                    (code, None) => (code, "".into()),
                };
                pumped.ended = Some(Ended::Closed { code, message, advice });
                return;
            }
            ClientEvent::Connected { socket_id } => {
                pumped.connected = Some(socket_id);
                return;
            }
            ClientEvent::Refused { error } => {
                pumped.ended = Some(Ended::Refused(error));
                return;
            }
            ClientEvent::Error { code, message } => {
                if let Some(code) = code
                    && code.closes()
                {
                    self.error = Some((code, message.into()));
                }
                Notice::Error { code, message: message.into() }
            }
            ClientEvent::SignedIn { user_data } => Notice::SignedIn { user_data: user_data.into() },
            ClientEvent::Skipped { size } => Notice::Skipped { size },
            ClientEvent::Unreadable { error } => {
                Notice::Unreadable { reason: error.to_string().into() }
            }
            ClientEvent::Unrouted { event, data } => {
                let (event, data) = (event.into(), data.map(Into::into));
                Notice::Unrouted(Message { event, data, user_id: None, serial: None })
            }
            ClientEvent::Watchlist(list) => {
                Notice::Watchlist { online: ids(list.online()), offline: ids(list.offline()) }
            }
            _ => return,
        };
        // Without a listener nobody misses it.
        let _ = notices.send(notice);
    }
}

impl Shared {
    /// Passes the authoriser's answer on. One that comes too late is thrown away.
    pub(super) fn answer(&self, ask: &Ask, answer: Result<Authorization, AuthorizeError>) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let written = match (&ask.channel, answer) {
            (Some((channel, _)), Ok(signed)) => inner.authorize(*channel, ask.socket_id, &signed),
            (None, Ok(signed)) => inner.authorize_user(ask.socket_id, &signed),
            (_, Err(error)) => Err(error),
        };
        if let Err(error) = written {
            let rejection = rejection(&error, false);
            match &ask.channel {
                Some((channel, _)) => inner.reject(*channel, ask.socket_id, rejection),
                None => drop(self.notices.send(Notice::SignInRefused(rejection))),
            }
        }
        drop(guard);
        self.wake.notify_one();
    }

    /// Tells that the authoriser had no answer and will be asked again; false when nobody wants to know.
    pub(super) fn delayed(&self, ask: &Ask, error: &AuthorizeError) -> bool {
        let rejection = rejection(error, true);
        let Some((channel, _)) = &ask.channel else {
            let _ = self.notices.send(Notice::SignInRefused(rejection));
            return true;
        };
        let inner = self.lock();
        let mail = inner.mail(*channel);
        if let Some(mail) = mail {
            mail.push(Event::Rejected(rejection));
        }
        mail.is_some()
    }

    /// Writes a ping or tells that time is up.
    pub(super) fn handle_timeout(
        &self,
        config: &tidings_core::pusher::client::ClientConfig<'_>,
        now: Instant,
    ) -> Result<tidings_core::pusher::client::Timeout, TxFull> {
        let mut guard = self.lock();
        let Inner { machine, out, .. } = &mut *guard;
        out.write(|tx| machine.handle_timeout(config, now, tx), |full| Some(full.at_least))
    }
}

impl Inner {
    /// Notes that the transport has ended, and tells what to do about it.
    pub(super) fn eof(&mut self, now: Instant) -> (Advice, Option<ErrorCode>, Arc<str>) {
        let advice = match self.machine.handle_eof(now) {
            Some(ClientEvent::Closed { advice, .. }) => advice,
            _ => Advice::BackOff,
        };
        let (code, message) = self.error.take().unzip();
        (advice, code, message.unwrap_or_else(|| "".into()))
    }

    fn authorize(
        &mut self,
        channel: ChannelId,
        socket_id: SocketId,
        signed: &Authorization,
    ) -> Result<(), AuthorizeError> {
        let data = signed.data.as_deref();
        if let Some(mail) = self.mail(channel) {
            let me = data.and_then(|data| PresenceData::parse(data).ok());
            mail.set_me(me.map(|me| unescaped(me.user_id)));
            let secret = signed.shared_secret.as_deref();
            mail.set_secret(secret.and_then(|text| SharedSecret::from_base64(text).ok()));
        }
        let Self { machine, out, .. } = self;
        written(out.write(|tx| machine.authorize(channel, socket_id, &signed.auth, data, tx), full))
    }

    fn authorize_user(
        &mut self,
        socket_id: SocketId,
        signed: &Authorization,
    ) -> Result<(), AuthorizeError> {
        let data = signed.data.as_deref().unwrap_or_default();
        let Self { machine, out, .. } = self;
        written(out.write(|tx| machine.authorize_user(socket_id, &signed.auth, data, tx), full))
    }

    fn reject(&mut self, channel: ChannelId, socket_id: SocketId, rejection: Rejection) {
        // An answer for an earlier connection says nothing about this one.
        if self.machine.refuse(channel, socket_id).is_ok()
            && let Some(mail) = self.mail(channel)
        {
            mail.standing.send_replace(Standing::Rejected(rejection.clone()));
            mail.push(Event::Rejected(rejection));
        }
    }
}

/// A stale answer is no error. One that does not fit into an output that can take many events is useless, since no
/// server takes a signature of that size.
fn written(result: Result<(), SendError>) -> Result<(), AuthorizeError> {
    match result {
        Err(error) if full(&error).is_some() => Err(AuthorizeError::failed(format!(
            "the signature and its data do not fit in the {OUT_MOST} bytes of output"
        ))),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn rejection(error: &AuthorizeError, again: bool) -> Rejection {
    let (message, status) = match error {
        AuthorizeError::Failed(message) => (message, None),
        AuthorizeError::Refused { message, status } => (message, *status),
    };
    Rejection { message: message.clone(), kind: "".into(), status, again }
}

/// Puts what happened on a channel where the application reads it.
fn deliver(mail: &Mail, event: ChannelEvent<'_>) {
    mail.push(match event {
        ChannelEvent::CacheMiss => Event::CacheMiss,
        ChannelEvent::Count(count) => Event::Count(count),
        ChannelEvent::MemberAdded { user_id, user_info } => {
            let member = Member { user_id: user_id.into(), user_info: info(user_info) };
            mail.add_member(&member);
            Event::MemberAdded(member)
        }
        ChannelEvent::MemberRemoved { user_id } => {
            mail.remove_member(user_id);
            Event::MemberRemoved { user_id: user_id.into() }
        }
        ChannelEvent::Message { event, data, serial, .. } if mail.encrypted => {
            opened(mail, event, data, serial)
        }
        ChannelEvent::Message { event, data, user_id, serial } => Event::Message(Message {
            event: event.into(),
            data: data.map(Into::into),
            user_id: user_id.map(Into::into),
            serial,
        }),
        ChannelEvent::Rejected { kind, error, status } => {
            let message = if error.is_empty() { "the server refused it" } else { error };
            let (message, kind) = (message.into(), kind.into());
            let rejection = Rejection { message, kind, status, again: false };
            mail.standing.send_replace(Standing::Rejected(rejection.clone()));
            Event::Rejected(rejection)
        }
        ChannelEvent::Resumed { complete, events } => Event::Resumed { complete, events },
        ChannelEvent::Subscribed { presence } => {
            mail.set_members(presence.into_iter().flat_map(Presence::members).map(
                |(id, value)| Member { user_id: unescaped(id), user_info: info(Some(value)) },
            ));
            mail.standing.send_replace(Standing::Subscribed);
            Event::Subscribed
        }
        _ => return,
    });
}

/// The event on an encrypted channel, if it can be opened.
fn opened(mail: &Mail, event: &str, data: Option<&str>, serial: Option<Serial>) -> Event {
    let plain = mail.secret().zip(data).and_then(|(secret, data)| {
        let mut data = data.as_bytes().to_vec();
        let place = open_encrypted(&secret, &mut data).ok()?;
        Some(std::str::from_utf8(data.get(place)?).ok()?.into())
    });
    match plain {
        Some(plain) => Event::Message(Message {
            event: event.into(),
            data: Some(plain),
            user_id: None,
            serial,
        }),
        None => Event::Sealed { event: event.into() },
    }
}

fn info(value: Option<Raw<'_>>) -> Option<Box<str>> {
    value.filter(|value| !value.is_null()).map(|value| value.text().into())
}

fn unescaped(text: EscapedJson<'_>) -> Box<str> {
    text.chars().collect()
}

fn ids(ids: UserIds<'_>) -> Vec<Box<str>> {
    ids.map(unescaped).collect()
}
