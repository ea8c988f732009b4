//! The endpoints of an app, with the field names of Soketi: a list in a file, JSON text elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::server::{Webhook, WebhookEvent};

/// The endpoints of an app.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Webhooks(pub(crate) Vec<Webhook>);

/// One endpoint, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    #[serde(default)]
    event_types: Vec<String>,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    batching: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    channel_name_starts_with: Option<String>,
    channel_name_ends_with: Option<String>,
}

impl Written {
    fn into_webhook(self) -> Result<Webhook, String> {
        let kinds = self.event_types.iter().map(|name| name.parse::<WebhookEvent>());
        let kinds = kinds.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let mut webhook = Webhook::new(self.url);
        webhook.event_types = kinds;
        webhook.channel_name_starts_with = self.filter.channel_name_starts_with.map(Into::into);
        webhook.channel_name_ends_with = self.filter.channel_name_ends_with.map(Into::into);
        webhook.headers = self.headers.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        webhook.batching = self.batching;
        Ok(webhook)
    }
}

impl FromStr for Webhooks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written: Vec<Written> = serde_json::from_str(text)
            .map_err(|error| format!("it must be a JSON list of webhooks: {error}"))?;
        let webhooks = written.into_iter().map(Written::into_webhook);
        Ok(Self(webhooks.collect::<Result<_, _>>()?))
    }
}

impl<'de> Deserialize<'de> for Webhooks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct WebhooksVisitor;
        impl<'de> Visitor<'de> for WebhooksVisitor {
            type Value = Webhooks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of webhooks such as [{ url = \"https://…\" }]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Webhooks, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Webhooks, A::Error> {
                let written = Vec::<Written>::deserialize(SeqAccessDeserializer::new(list))?;
                let webhooks = written.into_iter().map(Written::into_webhook);
                webhooks.collect::<Result<_, _>>().map(Webhooks).map_err(de::Error::custom)
            }
        }
        from.deserialize_any(WebhooksVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct App {
        webhooks: Webhooks,
    }

    #[test]
    fn a_file_and_json_of_soketi_say_the_same() {
        let toml = r#"webhooks = [{ url = "https://x/hook", headers = { "X-A" = "b" },
            event_types = ["channel_occupied", "client_event"],
            filter = { channel_name_starts_with = "a", channel_name_ends_with = "z" } }]"#;
        let json = r#"[{"url":"https://x/hook","headers":{"X-A":"b"},
            "event_types":["channel_occupied","client_event"],
            "filter":{"channel_name_starts_with":"a","channel_name_ends_with":"z"}}]"#;
        let app: App = toml::from_str(toml).unwrap();
        assert_eq!(app.webhooks, json.parse().unwrap());
        let [webhook] = &app.webhooks.0[..] else { panic!("one") };
        assert_eq!(webhook.event_types, [WebhookEvent::ChannelOccupied, WebhookEvent::ClientEvent]);
        assert_eq!(webhook.channel_name_ends_with.as_deref(), Some("z"));
        assert_eq!(webhook.headers, [("X-A".into(), "b".into())]);
    }

    #[test]
    fn fr_135_what_is_misspelt_is_told() {
        let error = |toml: &str| toml::from_str::<App>(toml).map(|app| app.webhooks).unwrap_err();
        let text = error("webhooks = [{ url = \"http://x\", event_typs = [] }]").to_string();
        assert!(text.contains("event_typs"), "{text}");
        let text = error("webhooks = [{ url = \"http://x\", event_types = [\"chanel\"] }]");
        assert!(text.to_string().contains("channel_vacated"), "{text}");
        assert!("{}".parse::<Webhooks>().unwrap_err().contains("JSON list"));
    }
}
