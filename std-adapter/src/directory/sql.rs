//! Apps in a table of PostgreSQL, MySQL, MariaDB or SQLite: Soketi's table as it is, or ours.

use std::borrow::Cow;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::{AnyPool, ConnectOptions as _, Row as _};

use super::{DirectoryConfig, DirectoryError, Found, PATIENCE, record};
use crate::server::AppName;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Postgres,
    MySql,
    Sqlite,
}

impl Dialect {
    fn of(url: &str) -> Self {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("mysql" | "mariadb") => Self::MySql,
            Some("sqlite") => Self::Sqlite,
            _ => Self::Postgres,
        }
    }

    /// Asks for the names and types of the columns of a table, whose name is the parameter.
    const fn columns(self) -> &'static str {
        match self {
            Self::Postgres => {
                "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns \
                 WHERE table_schema = ANY (current_schemas(false)) AND table_name = $1"
            }
            Self::MySql => {
                "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR) FROM information_schema.columns \
                 WHERE table_schema = database() AND table_name = ?"
            }
            Self::Sqlite => "SELECT name, type FROM pragma_table_info($1)",
        }
    }

    /// A column as text, whatever it is.
    fn as_text(self, column: &str) -> String {
        match self {
            Self::MySql => format!("CAST(`{column}` AS CHAR)"),
            Self::Postgres | Self::Sqlite => format!("CAST(\"{column}\" AS TEXT)"),
        }
    }

    fn quoted(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{name}`"),
            Self::Postgres | Self::Sqlite => format!("\"{name}\""),
        }
    }

    /// Whether a column is the text that is the parameter. More may fit than are equal: MySQL does not mind the case.
    fn is_text(self, column: &Column) -> String {
        let name = &column.name;
        match self {
            Self::MySql => format!("`{name}` = ?"),
            // It compares nothing but texts with texts; with a cast it would not use the index of a text.
            Self::Postgres if !matches!(&*column.kind, "character varying" | "text") => {
                format!("CAST(\"{name}\" AS TEXT) = $1")
            }
            Self::Postgres | Self::Sqlite => format!("\"{name}\" = $1"),
        }
    }
}

struct Column {
    name: String,
    /// Its type, in the words of the database.
    kind: String,
}

pub(super) struct Table {
    pool: AnyPool,
    dialect: Dialect,
    name: Box<str>,
    /// Those that are read, as they were when all was read last.
    columns: Mutex<Option<Arc<[Column]>>>,
}

impl Table {
    /// Nothing is connected yet.
    pub(super) fn new(url: &str, name: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!(
                "`apps_table` is `{name}`: it may hold ASCII letters, digits and _"
            ));
        }
        install_default_drivers();
        let options = AnyConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        let options = options.disable_statement_logging();
        let pool = AnyPoolOptions::new()
            // Who looks one app up does not wait until all are read.
            .max_connections(2)
            .min_connections(0)
            .acquire_timeout(CONNECT)
            .connect_lazy_with(options);
        Ok(Self { pool, dialect: Dialect::of(url), name: name.into(), columns: Mutex::default() })
    }

    /// Reads all apps.
    pub(super) async fn read(&self) -> Result<Found, String> {
        let columns = self.read_columns().await?;
        self.select(&columns, None).await
    }

    /// Reads the app of a name, and perhaps others.
    pub(super) async fn find(&self, name: &AppName) -> Result<Found, String> {
        let known = self.columns.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let columns = match known {
            Some(columns) => columns,
            None => self.read_columns().await?,
        };
        let field = match name {
            AppName::Id(_) => "id",
            AppName::Key(_) => "key",
        };
        let column = columns.iter().find(|column| column.name == field);
        let column = column.ok_or_else(|| format!("the table has no column `{field}`"))?;
        self.select(&columns, Some((self.dialect.is_text(column), name.text()))).await
    }

    async fn read_columns(&self) -> Result<Arc<[Column]>, String> {
        let query = sqlx::query(self.dialect.columns()).bind(&*self.name);
        let rows = query.fetch_all(&self.pool).await.map_err(text)?;
        if rows.is_empty() {
            return Err(format!(
                "there is no table `{}`: create it with `tidings migrate`, or name another with `apps_table`",
                self.name
            ));
        }
        let column = |row: &AnyRow| Ok(Column { name: text_of(row, 0)?, kind: text_of(row, 1)? });
        let columns: Result<Vec<Column>, _> = rows.iter().map(column).collect();
        let columns = columns.map_err(text)?;
        let columns: Arc<[Column]> =
            columns.into_iter().filter(|column| record::is_column(&column.name)).collect();
        *self.columns.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&columns));
        Ok(columns)
    }

    /// Reads the rows of which a condition holds with its parameter, or all.
    async fn select(
        &self,
        columns: &[Column],
        condition: Option<(String, &str)>,
    ) -> Result<Found, String> {
        let list: Vec<String> =
            columns.iter().map(|column| self.dialect.as_text(&column.name)).collect();
        let mut query =
            format!("SELECT {} FROM {}", list.join(", "), self.dialect.quoted(&self.name));
        if let Some((condition, _)) = &condition {
            query.push_str(" WHERE ");
            query.push_str(condition);
        }
        let query = sqlx::query(&query);
        let query = match condition {
            Some((_, parameter)) => query.bind(parameter),
            None => query,
        };
        let rows = query.fetch_all(&self.pool).await.map_err(text)?;
        let mut found = Found::default();
        for row in rows {
            let values: Result<Vec<String>, _> =
                (0..columns.len()).map(|at| text_of(&row, at)).collect();
            let values = values.map_err(text)?;
            let id = columns.iter().position(|column| column.name == "id");
            let id = id.and_then(|at| values.get(at)).cloned().unwrap_or_default();
            let pairs = columns.iter().map(|column| column.name.clone()).zip(values);
            match record::read(pairs, true) {
                Ok(app) => found.apps.push(app),
                Err(reason) => found.warnings.push(format!("the app `{id}` is left out: {reason}")),
            }
        }
        Ok(found)
    }
}

fn text(error: sqlx::Error) -> String {
    error.to_string()
}

/// A value as text; MySQL sends long texts as if they were bytes.
fn text_of(row: &AnyRow, at: usize) -> Result<String, sqlx::Error> {
    if let Ok(text) = row.try_get::<Option<String>, _>(at) {
        return Ok(text.unwrap_or_default());
    }
    let bytes: Option<Vec<u8>> = row.try_get(at)?;
    String::from_utf8(bytes.unwrap_or_default()).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// What has been done to the table in the course of time, in order. Each is run once.
fn migrations(dialect: Dialect, table: &str) -> Vec<Migration> {
    let name = dialect.quoted(table);
    let json = if dialect == Dialect::MySql { "JSON" } else { "TEXT" };
    let first = format!(
        "CREATE TABLE IF NOT EXISTS {name} (\
         id VARCHAR(255) NOT NULL PRIMARY KEY, \
         {key} VARCHAR(255) NOT NULL UNIQUE, \
         secret VARCHAR(255) NOT NULL, \
         max_connections INTEGER NULL, \
         enable_client_messages SMALLINT NOT NULL DEFAULT 0, \
         enabled SMALLINT NOT NULL DEFAULT 1, \
         max_backend_events_per_sec INTEGER NULL, \
         max_client_events_per_sec INTEGER NULL, \
         max_read_req_per_sec INTEGER NULL, \
         webhooks {json} NULL, \
         max_presence_members_per_channel INTEGER NULL, \
         max_presence_member_size_in_kb INTEGER NULL, \
         max_channel_name_length INTEGER NULL, \
         max_event_channels_at_once INTEGER NULL, \
         max_event_name_length INTEGER NULL, \
         max_event_payload_in_kb INTEGER NULL, \
         max_event_batch_size INTEGER NULL, \
         enable_user_authentication SMALLINT NOT NULL DEFAULT 0)",
        key = dialect.quoted("key"),
    );
    let second = format!("ALTER TABLE {name} ADD COLUMN previous_secret VARCHAR(255) NULL");
    let third = format!("ALTER TABLE {name} ADD COLUMN options TEXT NULL");
    let texts = [
        (1, "the table of apps, as Soketi has it", first),
        (2, "a second secret", second),
        (3, "all other options, as a JSON object", third),
    ];
    texts
        .into_iter()
        .map(|(version, description, sql)| {
            let kind = MigrationType::Simple;
            Migration::new(version, Cow::Borrowed(description), kind, Cow::Owned(sql), false)
        })
        .collect()
}

/// Makes the table, or brings it up to date; what is in it stays.
///
/// # Errors
/// When the database is not reached or refuses.
pub(crate) async fn migrate(config: &DirectoryConfig) -> Result<(), DirectoryError> {
    let failed = |reason| DirectoryError::Read { url: config.url.clone(), reason };
    let mut url = config.url.0.clone();
    if Dialect::of(&url) == Dialect::Sqlite && !url.contains('?') {
        url.push_str("?mode=rwc"); // a file that is not there is made
    }
    let table = Table::new(&url, &config.table).map_err(failed)?;
    let steps = Steps(migrations(table.dialect, &table.name));
    let run = async { Migrator::new(steps).await?.run(&table.pool).await };
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(run) => run.map_err(|error| failed(error.to_string())),
        Err(_) => Err(DirectoryError::TimedOut { url: config.url.clone(), after: PATIENCE }),
    }
}

#[derive(Debug)]
struct Steps(Vec<Migration>);

impl MigrationSource<'static> for Steps {
    fn resolve(self) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send>> {
        Box::pin(std::future::ready(Ok(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &tempfile::TempDir) -> DirectoryConfig {
        let url = format!("sqlite:{}", folder.path().join("apps.db").display());
        let (url, refresh) = (url.parse().unwrap(), Duration::from_secs(1));
        DirectoryConfig { url, table: "apps".into(), refresh, lookups: 0, token: None }
    }

    async fn run(config: &DirectoryConfig, statement: &str) {
        let table = Table::new(&config.url.0, &config.table).unwrap();
        sqlx::query(statement).execute(&table.pool).await.unwrap();
    }

    #[tokio::test]
    async fn a_table_is_made_once_and_read_as_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        migrate(&config).await.unwrap();
        let table = Table::new(&config.url.0, &config.table).unwrap();
        assert_eq!(table.read().await.unwrap(), Found::default());
        run(
            &config,
            "INSERT INTO apps (id, key, secret, enable_client_messages, max_connections, webhooks, options, previous_secret) \
             VALUES ('1', 'k', 's', 1, 5, '[{\"url\":\"http://x/\"}]', '{\"history_events\":7}', 'old'), \
             ('2', 'k2', 's', 0, NULL, NULL, 'nonsense', NULL)",
        )
        .await;
        migrate(&config).await.unwrap(); // what is there stays
        let found = table.read().await.unwrap();
        assert_eq!(found.apps.len(), 1);
        assert_eq!(found.apps[0].history_events, Some(7));
        assert_eq!(found.apps[0].client_events, Some(true));
        assert!(found.apps[0].previous_secret.is_some() && found.apps[0].webhooks.is_some());
        assert!(found.warnings[0].contains("`2` is left out: `options`"), "{:?}", found.warnings);
        run(&config, "DELETE FROM apps").await;
        assert_eq!(table.read().await.unwrap(), Found::default());
    }

    #[tokio::test]
    async fn a_table_of_soketi_is_read_as_it_is_and_kept_when_it_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let url = format!("{}?mode=rwc", config.url.0);
        let table = Table::new(&url, "apps").unwrap();
        let texts = [
            "CREATE TABLE apps (id TEXT, \"key\" TEXT, secret TEXT, max_connections INTEGER, enabled TINYINT, note TEXT)",
            "INSERT INTO apps VALUES ('1', 'k', 's', 0, 1, 'a column of somebody else')",
        ];
        for text in texts {
            sqlx::query(text).execute(&table.pool).await.unwrap();
        }
        let before = table.read().await.unwrap();
        assert_eq!((before.apps.len(), before.warnings.len()), (1, 0));
        migrate(&config).await.unwrap();
        assert_eq!(table.read().await.unwrap(), before);
    }

    #[tokio::test]
    async fn one_app_is_found_by_its_key_and_by_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        migrate(&config).await.unwrap();
        run(
            &config,
            "INSERT INTO apps (id, key, secret) VALUES ('1', 'k', 's'), ('2', 'k2', 's'), ('k', '1', 's')",
        )
        .await;
        let table = Table::new(&config.url.0, &config.table).unwrap();
        for (name, id) in [
            (AppName::Key("k".into()), Some("1")),
            (AppName::Id("2".into()), Some("2")),
            (AppName::Key("K".into()), None),
            (AppName::Id("' OR 1=1 --".into()), None),
        ] {
            let found = table.find(&name).await.unwrap();
            let ids: Vec<_> = found.apps.iter().map(|app| &*app.id.as_ref().unwrap().0).collect();
            assert_eq!(ids, Vec::from_iter(id), "{name:?}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_said_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let table = Table::new(&format!("{}?mode=rwc", config.url.0), "apps").unwrap();
        let error = table.read().await.unwrap_err();
        assert!(error.contains("no table `apps`") && error.contains("tidings migrate"), "{error}");
        let error = Table::new(&config.url.0, "apps; DROP TABLE x").err().unwrap();
        assert!(error.contains("`apps_table`"), "{error}");
    }
}
