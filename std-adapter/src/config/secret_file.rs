//! Secrets that stand in files of their own, as containers and systemd give them.

use std::path::Path;

use super::error::ConfigError;
use super::options::AppOptions;
use super::value::{SecretText, Text};

/// The text of a file, without the line ends at its end.
///
/// # Errors
///
/// When the file cannot be read or holds nothing.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::SecretFile { path: path.to_owned(), source })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(ConfigError::SecretFileEmpty { path: path.to_owned() });
    }
    Ok(text.to_owned())
}

impl AppOptions {
    /// Puts the texts of files in the place of their names; a name is taken to be relative to `folder`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or holds nothing, or both a secret and a file for it are given.
    pub(crate) fn read_secret_files(&mut self, folder: &Path) -> Result<(), ConfigError> {
        for (option, secret, file) in [
            ("secret", &mut self.secret, &mut self.secret_file),
            ("previous_secret", &mut self.previous_secret, &mut self.previous_secret_file),
        ] {
            let Some(Text(name)) = file.take() else { continue };
            if secret.is_some() {
                return Err(ConfigError::SecretTwice { option });
            }
            *secret = Some(SecretText(read(&folder.join(name))?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(file: &str) -> AppOptions {
        AppOptions { secret_file: Some(Text(file.to_owned())), ..AppOptions::default() }
    }

    #[test]
    fn a_secret_is_what_a_file_holds_but_for_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s"), " a secret \r\n\n").unwrap();
        let mut options = named("s");
        options.read_secret_files(folder.path()).unwrap();
        assert_eq!(options.secret.as_ref().unwrap().0, " a secret ");
        assert_eq!(options.secret_file, None);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let error = |mut options: AppOptions| {
            options.read_secret_files(folder.path()).unwrap_err().to_string()
        };
        let text = error(named("nowhere"));
        assert!(text.contains("/nowhere`") && text.contains("No such file"), "{text}");
        let text = error(named("empty"));
        assert!(text.contains("/empty`") && text.contains("holds no secret"), "{text}");
        let mut both = named("empty");
        both.secret = Some(SecretText("hunter2".into()));
        let text = error(both);
        assert!(text.contains("`secret_file`") && !text.contains("hunter2"), "{text}");
    }
}
