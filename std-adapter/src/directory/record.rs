//! One app as a directory keeps it: names and texts.
//!
//! The names are those of our options (`max_connections`) or those of Soketi, as fields (`maxConnections`) and as
//! columns of its table (`max_backend_events_per_sec`).

use crate::config::{AppOptions, read_app};

/// Soketi's columns that are no options of ours, or mean something else there, and the variables that they stand for.
const COLUMNS: &[(&str, &str)] = &[
    ("enable_client_messages", "SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES"),
    ("enable_user_authentication", "SOKETI_DEFAULT_APP_USER_AUTHENTICATION"),
    ("max_backend_events_per_sec", "SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC"),
    ("max_channel_name_length", "SOKETI_CHANNEL_LIMITS_MAX_NAME_LENGTH"),
    ("max_client_events_per_sec", "SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC"),
    ("max_event_batch_size", "SOKETI_EVENT_MAX_BATCH_SIZE"),
    ("max_event_channels_at_once", "SOKETI_EVENT_MAX_CHANNELS_AT_ONCE"),
    ("max_event_name_length", "SOKETI_EVENT_MAX_NAME_LENGTH"),
    ("max_event_payload_in_kb", "SOKETI_EVENT_MAX_SIZE_IN_KB"),
    ("max_presence_member_size_in_kb", "SOKETI_PRESENCE_MAX_MEMBER_SIZE"),
    ("max_presence_members_per_channel", "SOKETI_PRESENCE_MAX_MEMBERS"),
    ("max_read_req_per_sec", "SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC"),
];

/// Soketi's names of the same as fields of JSON.
const FIELDS: &[(&str, &str)] = &[
    ("enableClientMessages", "enable_client_messages"),
    ("enableUserAuthentication", "enable_user_authentication"),
    ("maxBackendEventsPerSecond", "max_backend_events_per_sec"),
    ("maxChannelNameLength", "max_channel_name_length"),
    ("maxClientEventsPerSecond", "max_client_events_per_sec"),
    ("maxConnections", "max_connections"),
    ("maxEventBatchSize", "max_event_batch_size"),
    ("maxEventChannelsAtOnce", "max_event_channels_at_once"),
    ("maxEventNameLength", "max_event_name_length"),
    ("maxEventPayloadInKb", "max_event_payload_in_kb"),
    ("maxPresenceMemberSizeInKb", "max_presence_member_size_in_kb"),
    ("maxPresenceMembersPerChannel", "max_presence_members_per_channel"),
    ("maxReadRequestsPerSecond", "max_read_req_per_sec"),
];

/// The variable that a name stands for; `None` for a name without meaning. Where a name is both ours and a column of
/// Soketi's, 0 connections are no bound, as there.
fn variable(name: &str, columns: bool) -> Option<String> {
    let field = FIELDS.iter().find(|(field, _)| *field == name);
    let column = field.map_or(name, |(_, column)| column);
    if column == "max_connections" && (columns || field.is_some()) {
        return Some("SOKETI_DEFAULT_APP_MAX_CONNS".to_owned());
    }
    if let Some((_, variable)) = COLUMNS.iter().find(|(known, _)| *known == column) {
        return Some((*variable).to_owned());
    }
    let own = matches!(column, "id" | "key" | "secret" | "previous_secret");
    let prefix = if own { "TIDINGS_APP_" } else { "TIDINGS_" };
    // Files are of the machine that serves, which a directory knows nothing of.
    let known = AppOptions::NAMES.contains(&column) && !column.ends_with("_file");
    known.then(|| format!("{prefix}{}", column.to_ascii_uppercase()))
}

/// Whether a column of this name is read.
#[cfg(feature = "sql")]
pub(super) fn is_column(name: &str) -> bool {
    name == "options" || variable(name, true).is_some()
}

/// An app of these names and texts; those that are empty are as good as none. Whether it is complete is not looked at.
///
/// # Errors
/// One line that says what is wrong, without a secret.
pub(super) fn read(
    pairs: impl IntoIterator<Item = (String, String)>,
    columns: bool,
) -> Result<AppOptions, String> {
    let mut app = AppOptions::default();
    let is_set = |(_, value): &(String, String)| !value.is_empty() && value != "null";
    for (name, value) in pairs.into_iter().filter(is_set) {
        let one = if columns && name == "options" {
            let object = serde_json::from_str::<serde_json::Map<_, _>>(&value)
                .map_err(|error| format!("`options` is no JSON object: {error}"))?;
            read(texts(object), false)?
        } else {
            let variable = variable(&name, columns);
            let variable = variable.ok_or_else(|| format!("there is no option `{name}`"))?;
            read_app(variable, value).map_err(|reason| format!("`{name}`: {reason}"))?
        };
        app = one.or(app);
    }
    Ok(app)
}

/// The members of an object as names and texts.
pub(super) fn texts(object: serde_json::Map<String, serde_json::Value>) -> Vec<(String, String)> {
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    object.into_iter().map(|(name, value)| (name, text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bound;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn columns_of_soketi_mean_what_they_mean_there() {
        let row = pairs(&[
            ("id", "1"),
            ("key", "k"),
            ("secret", "s"),
            ("max_connections", "0"),
            ("enable_client_messages", "1"),
            ("enabled", "0"),
            ("max_backend_events_per_sec", "-1"),
            ("max_event_payload_in_kb", "2"),
            ("webhooks", "[{\"url\":\"http://x/\",\"event_types\":[\"member_added\"]}]"),
            ("max_channel_name_length", ""),
            ("options", "{\"history_events\":9,\"enabled\":true}"),
        ]);
        let app = read(row, true).unwrap();
        assert_eq!((app.client_events, app.enabled), (Some(true), Some(true)));
        assert_eq!((app.max_connections, app.max_event_bytes), (Some(Bound(None)), Some(2048)));
        assert_eq!((app.history_events, app.max_channel_name), (Some(9), None));
        assert_eq!(app.webhooks.unwrap().0.len(), 1);
    }

    #[test]
    fn fields_are_ours_or_those_of_soketi() {
        let ours = pairs(&[("id", "1"), ("client_events", "true"), ("max_connections", "0")]);
        let app = read(ours, false).unwrap();
        assert_eq!((app.client_events, app.max_connections), (Some(true), Some(Bound(Some(0)))));
        let theirs = pairs(&[("enableClientMessages", "true"), ("maxConnections", "0")]);
        let app = read(theirs, false).unwrap();
        assert_eq!((app.client_events, app.max_connections), (Some(true), Some(Bound(None))));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_and_without_the_secret() {
        let error = |name, value| read(pairs(&[(name, value)]), true).unwrap_err();
        assert!(error("colour", "red").contains("`colour`"));
        assert!(error("max_event_batch_size", "many").starts_with("`max_event_batch_size`: "));
        assert!(error("options", "[]").contains("JSON object"));
        assert!(
            error("secret_file", "/etc/shadow").contains("no option"),
            "no file of this machine"
        );
    }
}
