//! Apps that are kept elsewhere: in a database, or behind an HTTP endpoint of the application.
//!
//! All of them are read at the start and then every few seconds, and one is looked up when somebody names it before it
//! has been read. What cannot be read changes nothing; a single app that makes no sense is left out and named in the log.

mod http;
mod record;
#[cfg(feature = "sql")]
mod sql;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::config::{AppOptions, SecretText};
use crate::server::AppName;

#[cfg(feature = "sql")]
pub(crate) use sql::migrate;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one app may be looked up: somebody waits for it.
const FIND_PATIENCE: Duration = Duration::from_secs(4);

/// Where the apps are. Its credentials are not shown by `Debug` and `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DirectoryUrl(String);

/// Why a text names no directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DirectoryUrlError {
    #[error(
        "apps are kept at https://HOST/PATH, http://HOST/PATH, postgres://USER:PASSWORD@HOST/DATABASE, \
         mysql://USER:PASSWORD@HOST/DATABASE or sqlite:FILE"
    )]
    Scheme,
    #[cfg(not(feature = "sql"))]
    #[error("this program was built without the feature `sql`")]
    NotBuilt,
}

impl FromStr for DirectoryUrl {
    type Err = DirectoryUrlError;

    fn from_str(text: &str) -> Result<Self, DirectoryUrlError> {
        let text = text.trim();
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        match scheme {
            "http" | "https" => Ok(Self(text.to_owned())),
            #[cfg(not(feature = "sql"))]
            "postgres" | "postgresql" | "mysql" | "mariadb" | "sqlite" => {
                Err(DirectoryUrlError::NotBuilt)
            }
            #[cfg(feature = "sql")]
            "postgres" | "postgresql" | "mysql" | "mariadb" | "sqlite" => Ok(Self(text.to_owned())),
            _ => Err(DirectoryUrlError::Scheme),
        }
    }
}

impl fmt::Display for DirectoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.0.split_once('?').map_or(&*self.0, |(bare, _)| bare);
        match bare
            .split_once("://")
            .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
        {
            Some((scheme, (_, rest))) => write!(f, "{scheme}://***@{rest}"),
            None => f.write_str(bare),
        }
    }
}

impl fmt::Debug for DirectoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a directory is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryConfig {
    pub(crate) url: DirectoryUrl,
    /// The table of a database.
    pub(crate) table: Box<str>,
    /// How often to look.
    pub(crate) refresh: Duration,
    /// How many apps may be looked up in a second; none at all with 0.
    pub(crate) lookups: u32,
    /// Sent to an HTTP endpoint as `Authorization: Bearer`.
    pub(crate) token: Option<SecretText>,
}

/// Why the apps could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("the apps at {url} cannot be read: {reason}")]
    Read { url: DirectoryUrl, reason: String },
    #[error("the apps at {url} were not read within {after:?}")]
    TimedOut { url: DirectoryUrl, after: Duration },
}

/// What one look has found: the apps, and what is left out and why.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) apps: Vec<AppOptions>,
    pub(crate) warnings: Vec<String>,
}

impl Found {
    /// With these apps in the place of those with their ids, or behind them.
    pub(crate) fn with<'a>(
        &'a self,
        apps: impl ExactSizeIterator<Item = &'a AppOptions> + Clone,
    ) -> Cow<'a, Self> {
        if apps.len() == 0 {
            return Cow::Borrowed(self);
        }
        let stays = |app: &&AppOptions| apps.clone().all(|other| other.id != app.id);
        let mut all: Vec<AppOptions> = self.apps.iter().filter(stays).cloned().collect();
        all.extend(apps.clone().cloned());
        Cow::Owned(Self { apps: all, warnings: self.warnings.clone() })
    }

    /// The app of this name. One that makes no sense is named in the log.
    fn named(self, name: &AppName) -> Option<AppOptions> {
        let found = self.apps.into_iter().find(|app| {
            let text = match name {
                AppName::Id(_) => &app.id,
                AppName::Key(_) => &app.key,
            };
            text.as_ref().is_some_and(|text| text.0 == name.text())
        });
        // More than one are those of an endpoint that answers with all apps; they are told when all are read.
        if let (None, [warning]) = (&found, &*self.warnings) {
            tracing::warn!("{warning}");
        }
        found
    }
}

/// A directory that is open.
pub(crate) struct Directory {
    config: DirectoryConfig,
    kind: Kind,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.config.url).finish()
    }
}

enum Kind {
    Http(Box<http::Endpoint>),
    #[cfg(feature = "sql")]
    Sql(sql::Table),
}

impl Directory {
    /// Opens a directory; nothing is read.
    ///
    /// # Errors
    /// When the URL is of no use.
    pub(crate) fn open(config: DirectoryConfig) -> Result<Self, DirectoryError> {
        let failed = |reason| DirectoryError::Read { url: config.url.clone(), reason };
        let kind = match config.url.0.split_once(':') {
            Some(("http" | "https", _)) => {
                let endpoint = http::Endpoint::new(&config.url.0, config.token.as_ref());
                Kind::Http(Box::new(endpoint.map_err(failed)?))
            }
            #[cfg(feature = "sql")]
            _ => Kind::Sql(sql::Table::new(&config.url.0, &config.table).map_err(failed)?),
            #[cfg(not(feature = "sql"))]
            _ => return Err(failed("this program was built without the feature `sql`".to_owned())),
        };
        Ok(Self { config, kind })
    }

    /// How it is read.
    pub(crate) const fn config(&self) -> &DirectoryConfig {
        &self.config
    }

    /// How often to look.
    pub(crate) const fn refresh(&self) -> Duration {
        self.config.refresh
    }

    /// How many apps may be looked up in a second.
    pub(crate) const fn lookups(&self) -> u32 {
        self.config.lookups
    }

    /// Reads all apps; `None` when nothing has changed since the last time.
    ///
    /// # Errors
    /// When they cannot be read; the next call tries again.
    pub(crate) async fn read(&self) -> Result<Option<Found>, DirectoryError> {
        let read = async {
            match &self.kind {
                Kind::Http(endpoint) => endpoint.read().await,
                #[cfg(feature = "sql")]
                Kind::Sql(table) => table.read().await.map(Some),
            }
        };
        self.within(PATIENCE, read).await
    }

    /// Looks up one app; `None` when there is no such app.
    ///
    /// # Errors
    /// When it cannot be looked up.
    pub(crate) async fn find(&self, name: &AppName) -> Result<Option<AppOptions>, DirectoryError> {
        let found = async {
            match &self.kind {
                Kind::Http(endpoint) => endpoint.find(name).await,
                #[cfg(feature = "sql")]
                Kind::Sql(table) => table.find(name).await,
            }
        };
        self.within(FIND_PATIENCE, found).await.map(|found| found.named(name))
    }

    async fn within<T>(
        &self,
        after: Duration,
        asked: impl Future<Output = Result<T, String>>,
    ) -> Result<T, DirectoryError> {
        let url = self.config.url.clone();
        match tokio::time::timeout(after, asked).await {
            Ok(asked) => asked.map_err(|reason| DirectoryError::Read { url, reason }),
            Err(_) => Err(DirectoryError::TimedOut { url, after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_is_secret_in_it() {
        for (text, shown) in [
            ("https://x/apps?key=hunter2", "https://x/apps"),
            ("postgres://u:hunter2@h:5432/d", "postgres://***@h:5432/d"),
            ("sqlite:/var/lib/apps.db", "sqlite:/var/lib/apps.db"),
        ] {
            let url: DirectoryUrl = text.parse().unwrap();
            assert_eq!(format!("{url} {url:?}"), format!("{shown} {shown}"));
        }
    }

    #[test]
    fn an_address_of_another_kind_is_told_those_there_are() {
        for bad in ["", "apps.db", "ftp://x/y", "dynamodb://t"] {
            let error = bad.parse::<DirectoryUrl>().unwrap_err().to_string();
            assert!(error.contains("sqlite:FILE"), "{error}");
        }
    }
}
