//! One thing that has happened, as a webhook or the feed tells it.

use super::config::WebhookEvent;
use crate::server::backplane::Teller;
use crate::server::http::put_escaped;
use crate::server::hub::Notice;
use tidings_core::pusher::SocketId;

/// A fact about an app. It owns what it tells, so that it can wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) app: u32,
    pub(crate) kind: WebhookEvent,
    /// The channel that it is about; empty when it is about a connection.
    pub(crate) channel: Box<str>,
    pub(super) user_id: Option<Box<str>>,
    socket_id: Option<SocketId>,
    client_event: Option<Box<ClientEvent>>,
    subscription_count: Option<u32>,
    /// Who tells webhooks of it.
    pub(super) teller: Teller,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ClientEvent {
    event: Box<str>,
    /// The inside of a JSON string literal.
    data: Box<str>,
}

/// What a notice is about: its app, its kind and its channel. Costs nothing.
pub(super) fn subject<'n>(notice: &Notice<'n>) -> (u32, WebhookEvent, Option<&'n [u8]>) {
    match *notice {
        Notice::Occupied { app, channel } => (app, WebhookEvent::ChannelOccupied, Some(channel)),
        Notice::Vacated { app, channel } => (app, WebhookEvent::ChannelVacated, Some(channel)),
        Notice::CacheMiss { app, channel } => (app, WebhookEvent::CacheMiss, Some(channel)),
        Notice::SubscriptionCount { app, channel, .. } => {
            (app, WebhookEvent::SubscriptionCount, Some(channel))
        }
        Notice::MemberAdded { app, channel, .. } => (app, WebhookEvent::MemberAdded, Some(channel)),
        Notice::MemberRemoved { app, channel, .. } => {
            (app, WebhookEvent::MemberRemoved, Some(channel))
        }
        Notice::Connected { app, .. } => (app, WebhookEvent::Connected, None),
        Notice::Disconnected { app, .. } => (app, WebhookEvent::Disconnected, None),
        Notice::ClientEvent { app, channel, .. } => (app, WebhookEvent::ClientEvent, Some(channel)),
    }
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

impl Fact {
    pub(super) fn of(notice: &Notice<'_>, teller: Teller) -> Self {
        let (app, kind, channel) = subject(notice);
        let mut fact = Self {
            app,
            kind,
            channel: channel.map(text).unwrap_or_default(),
            user_id: None,
            socket_id: None,
            client_event: None,
            subscription_count: None,
            teller,
        };
        match *notice {
            Notice::Occupied { .. } | Notice::Vacated { .. } | Notice::CacheMiss { .. } => {}
            Notice::SubscriptionCount { count, .. } => fact.subscription_count = Some(count),
            Notice::MemberAdded { user_id, .. } | Notice::MemberRemoved { user_id, .. } => {
                fact.user_id = Some(user_id.into());
            }
            Notice::Connected { socket_id, .. } | Notice::Disconnected { socket_id, .. } => {
                fact.socket_id = Some(socket_id);
            }
            Notice::ClientEvent { event, data, socket_id, user_id, .. } => {
                fact.user_id = user_id.map(Into::into);
                fact.socket_id = Some(socket_id);
                let client_event = ClientEvent { event: event.into(), data: text(data) };
                fact.client_event = Some(Box::new(client_event));
            }
        }
        fact
    }

    /// Bytes that it holds, roughly.
    pub(super) fn weight(&self) -> usize {
        let user_id = self.user_id.as_ref().map_or(0, |id| id.len());
        let client_event = self.client_event.as_ref().map_or(0, |e| e.event.len() + e.data.len());
        size_of::<Self>() + self.channel.len() + user_id + client_event
    }

    /// The JSON object that stands for it in a webhook's `events`.
    pub(crate) fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.weight());
        out.extend_from_slice(b"{\"name\":\"");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.push(b'"');
        if !self.channel.is_empty() {
            put(&mut out, "channel", &self.channel);
        }
        if let Some(client_event) = &self.client_event {
            put(&mut out, "event", &client_event.event);
            out.extend_from_slice(b",\"data\":\"");
            out.extend_from_slice(client_event.data.as_bytes());
            out.push(b'"');
        }
        if let Some(socket_id) = self.socket_id {
            put(&mut out, "socket_id", &socket_id.as_text());
        }
        if let Some(count) = self.subscription_count {
            out.extend_from_slice(format!(",\"subscription_count\":{count}").as_bytes());
        }
        if let Some(user_id) = &self.user_id {
            put(&mut out, "user_id", user_id);
        }
        out.push(b'}');
        out
    }
}

fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    put_escaped(out, value);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(notice: &Notice<'_>) -> String {
        String::from_utf8(Fact::of(notice, Teller::Here).json()).unwrap()
    }

    #[test]
    fn facts_have_the_fields_of_pusher_and_no_other() {
        let (app, channel, user_id) = (0, b"presence-x".as_slice(), "a\"b");
        let socket_id = SocketId::new(12, 34);
        let occupied = Notice::Occupied { app, channel };
        assert_eq!(json(&occupied), r#"{"name":"channel_occupied","channel":"presence-x"}"#);
        let added = Notice::MemberAdded { app, channel, user_id };
        assert_eq!(
            json(&added),
            r#"{"name":"member_added","channel":"presence-x","user_id":"a\"b"}"#
        );
        let count = Notice::SubscriptionCount { app, channel: b"a", count: 7 };
        assert_eq!(
            json(&count),
            r#"{"name":"subscription_count","channel":"a","subscription_count":7}"#
        );
        let connected = Notice::Connected { app, socket_id };
        assert_eq!(json(&connected), r#"{"name":"connected","socket_id":"12.34"}"#);
    }

    #[test]
    fn fr_103_data_of_a_client_event_is_a_string_and_its_user_is_told() {
        let event = Notice::ClientEvent {
            app: 0,
            channel: b"presence-x",
            event: "client-y",
            data: br#"{\"m\":1}"#,
            socket_id: SocketId::new(1, 2),
            user_id: Some("10"),
        };
        assert_eq!(
            json(&event),
            r#"{"name":"client_event","channel":"presence-x","event":"client-y","data":"{\"m\":1}","socket_id":"1.2","user_id":"10"}"#
        );
    }
}
