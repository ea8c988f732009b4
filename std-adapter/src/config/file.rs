//! The options from a TOML text, with errors that say where and what was meant.

use std::path::Path;

use super::error::ConfigError;
use super::nearest::nearest;
use super::options::{AppOptions, ServerOptions};

/// Reads the options of a file.
///
/// # Errors
///
/// When the file cannot be read, is no TOML, holds an unknown option or a value of the wrong type.
pub(crate) fn read(path: &Path) -> Result<ServerOptions, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// Reads the options of a text; `path` is for the messages alone.
pub(crate) fn parse(path: &Path, text: &str) -> Result<ServerOptions, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        ConfigError::File {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text.get(line_start..at).unwrap_or_default().chars().count() + 1,
            message: explain(error.message(), text.get(line_start..).unwrap_or_default()),
        }
    })
}

/// What the parser's message means for the writer of `line` (and what follows it).
fn explain(message: &str, line: &str) -> String {
    if let Some(unknown) = message.strip_prefix("unknown field `") {
        let mut quoted = unknown.split('`').step_by(2);
        let name = quoted.next().unwrap_or_default();
        return unknown_option(name, &quoted.collect::<Vec<_>>());
    }
    let line = line.lines().next().unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if !line.trim_start().starts_with(['#', '[']) => {
            format!("option `{}`: {}", key.trim(), first_line(message))
        }
        _ => first_line(message).to_owned(),
    }
}

/// An error with the line of the option that it is about, if the file sets it there.
pub(crate) fn in_line(error: ConfigError, path: &Path) -> ConfigError {
    let ConfigError::Option { name, .. } = &error else { return error };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().take_while(|line| !line.trim_start().starts_with('['));
    let sets = |line: &str| line.split_once('=').is_some_and(|(key, _)| key.trim() == *name);
    match lines.position(sets) {
        Some(at) => {
            ConfigError::InFile { path: path.to_owned(), line: at + 1, error: Box::new(error) }
        }
        None => error,
    }
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or(message)
}

/// The message about an option that does not exist where it stands.
fn unknown_option(name: &str, expected: &[&str]) -> String {
    if ServerOptions::NAMES.contains(&name) {
        return format!("`{name}` is an option of the server: move it above the first [table]");
    }
    if AppOptions::NAMES.contains(&name) {
        return format!("`{name}` is an option of an app: move it under [[apps]] or [defaults]");
    }
    match nearest(name, expected.iter().copied()) {
        Some(near) => format!("unknown option `{name}`; did you mean `{near}`?"),
        None => format!("unknown option `{name}`; the valid ones are {}", expected.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Path::new("tidings.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn options_and_apps_are_read() {
        let text = "port = 7000\nactivity_timeout = 30\n[defaults]\nmax_event_bytes = 5\n\
                    [[apps]]\nid = 12345\nkey = \"k\"\nsecret = \"s\"\nmax_connections = -1\n";
        let options = parse(Path::new("x"), text).unwrap();
        assert_eq!(options.port, Some(7000));
        assert_eq!(options.defaults.unwrap().max_event_bytes, Some(5));
        let apps = options.apps.unwrap();
        assert_eq!(apps[0].id.as_ref().unwrap().0, "12345");
    }

    #[test]
    fn fr_135_a_misspelt_option_names_file_line_key_and_nearest_valid_name() {
        assert_eq!(
            error("host = \"::1\"\nprot = 1\n"),
            "tidings.toml:2:1: unknown option `prot`; did you mean `port`?"
        );
    }

    #[test]
    fn fr_135_app_id_in_place_of_id_is_explained() {
        assert_eq!(
            error("[[apps]]\napp_id = \"1\"\n"),
            "tidings.toml:2:1: unknown option `app_id`; did you mean `id`?"
        );
    }

    #[test]
    fn fr_135_a_wrong_type_names_the_option_and_what_it_takes() {
        let text = error("\nport = \"six\"\n");
        assert!(text.starts_with("tidings.toml:2:8: option `port`: invalid type"), "{text}");
        assert!(text.contains("u16"), "{text}");
        let text = error("pong_timeout = \"soon\"\n");
        assert!(text.contains("`soon` is not a number of seconds"), "{text}");
    }

    #[test]
    fn an_option_in_the_wrong_table_is_sent_to_the_right_one() {
        assert!(error("max_batch = 1\n").contains("move it under [[apps]] or [defaults]"));
        assert!(error("[defaults]\nport = 1\n").contains("move it above the first [table]"));
    }

    #[test]
    fn an_unknown_option_far_from_all_lists_the_valid_ones() {
        assert!(error("colour = 1\n").contains("the valid ones are host, port"));
    }

    #[test]
    fn a_syntax_error_names_its_place_in_one_line() {
        let text = error("port = 1\nhost =\n");
        assert!(text.starts_with("tidings.toml:2:"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_shown() {
        for value in ["12345678", "1.5e300", "true"] {
            let text = error(&format!("[[apps]]\nsecret = {value}\n"));
            assert!(text.contains("put it in quotes"), "{text}");
            assert!(!text.contains(value), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_one_clear_line() {
        let text = read(Path::new("/nowhere/t.toml")).unwrap_err().to_string();
        assert!(text.starts_with("cannot read the configuration file `/nowhere/t.toml`"), "{text}");
    }
}
