//! Soketi's application manager: several of its variables are one URL here.

use super::soketi_adapter::escape;
use super::soketi_variables::Variables;

/// Variables (without `SOKETI_`) that say together where apps are kept.
const NAMES: &[&str] = &[
    "APP_MANAGER_DRIVER",
    "APP_MANAGER_MYSQL_TABLE",
    "APP_MANAGER_POSTGRES_TABLE",
    "DB_MYSQL_DATABASE",
    "DB_MYSQL_HOST",
    "DB_MYSQL_PASSWORD",
    "DB_MYSQL_PORT",
    "DB_MYSQL_USERNAME",
    "DB_POSTGRES_DATABASE",
    "DB_POSTGRES_HOST",
    "DB_POSTGRES_PASSWORD",
    "DB_POSTGRES_PORT",
    "DB_POSTGRES_USERNAME",
];

/// What the variables say.
pub(super) struct AppManager(pub(super) Variables);

impl Default for AppManager {
    fn default() -> Self {
        Self(Variables::of(NAMES))
    }
}

/// What comes of them: options and their values, or a warning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) url: Option<String>,
    pub(super) table: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl AppManager {
    pub(super) fn kept(&self) -> Kept {
        match self.0.get("APP_MANAGER_DRIVER") {
            Some("mysql") => self.database("mysql", "MYSQL", ["root", "3306"]),
            Some("postgres") => self.database("postgres", "POSTGRES", ["postgres", "5432"]),
            None | Some("array") => Kept {
                warnings: self.0.unused(|name| name != "APP_MANAGER_DRIVER"),
                ..Kept::default()
            },
            Some(other) => Kept {
                warnings: vec![format!(
                    "SOKETI_APP_MANAGER_DRIVER={other} has no equal in tidings: set it to mysql or postgres, or \
                     set TIDINGS_APPS_URL"
                )],
                ..Kept::default()
            },
        }
    }

    fn database(&self, scheme: &str, name: &str, [user, port]: [&str; 2]) -> Kept {
        let get = |part: &str, default| {
            self.0.get(&format!("DB_{name}_{part}")).unwrap_or(default).to_owned()
        };
        let login =
            format!("{}:{}", escape(&get("USERNAME", user)), escape(&get("PASSWORD", "password")));
        let (host, port) = (get("HOST", "127.0.0.1"), get("PORT", port));
        let database = escape(&get("DATABASE", "main"));
        let other = if name == "MYSQL" { "POSTGRES" } else { "MYSQL" };
        Kept {
            url: Some(format!("{scheme}://{login}@{host}:{port}/{database}")),
            table: self.0.get(&format!("APP_MANAGER_{name}_TABLE")).map(Into::into),
            warnings: self.0.unused(|name| name.contains(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pairs: &[(&str, &str)]) -> Kept {
        let mut manager = AppManager::default();
        for (name, value) in pairs {
            assert!(manager.0.take(name, value), "{name}");
        }
        manager.kept()
    }

    #[test]
    fn a_database_is_one_url_with_the_defaults_of_soketi() {
        let mysql = kept(&[("APP_MANAGER_DRIVER", "mysql")]);
        assert_eq!(mysql.url.as_deref(), Some("mysql://root:password@127.0.0.1:3306/main"));
        let postgres = kept(&[
            ("APP_MANAGER_DRIVER", "\"postgres\""),
            ("APP_MANAGER_POSTGRES_TABLE", "the_apps"),
            ("DB_POSTGRES_HOST", "db"),
            ("DB_POSTGRES_PASSWORD", "p@ss/word"),
            ("DB_MYSQL_HOST", "x"),
        ]);
        let url = "postgres://postgres:p%40ss%2Fword@db:5432/main";
        assert_eq!(postgres.url.as_deref(), Some(url));
        assert_eq!(postgres.table.as_deref(), Some("the_apps"));
        assert_eq!(postgres.warnings.len(), 1);
    }

    #[test]
    fn what_has_no_equal_is_said() {
        assert_eq!(kept(&[("APP_MANAGER_DRIVER", "array")]), Kept::default());
        assert_eq!(kept(&[("DB_MYSQL_HOST", "x")]).warnings.len(), 1);
        let dynamo = kept(&[("APP_MANAGER_DRIVER", "dynamodb")]);
        assert!(dynamo.warnings[0].contains("TIDINGS_APPS_URL") && dynamo.url.is_none());
    }
}
