//! The parameters of a query, and the list of attributes that `info` asks for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use tidings_core::json::{Kind, Raw};

use super::answer::Refusal;
use super::route::excerpt;

/// The values of a parameter, decoded, repeated ones joined by commas. Names are compared without
/// regard to case, since signatures lower them too; `name[]` is taken for `name`.
pub(super) fn value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut found: Option<Cow<'q, str>> = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = percent_decode_str(key).decode_utf8_lossy();
        let key = key.strip_suffix("[]").unwrap_or(&key);
        if !key.eq_ignore_ascii_case(name) {
            continue;
        }
        let value = percent_decode_str(value).decode_utf8_lossy();
        found = Some(match found {
            None => value,
            Some(before) => format!("{before},{value}").into(),
        });
    }
    found
}

/// The attributes that an answer is to carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) user_count: bool,
    pub(super) subscription_count: bool,
    pub(super) cache: bool,
}

impl Info {
    /// Reads a comma list; `None` and the empty text are no attributes.
    pub(super) fn parse(list: &str) -> Result<Self, Refusal> {
        let mut info = Self::default();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "subscription_count" => info.subscription_count = true,
                "user_count" => info.user_count = true,
                "cache" => info.cache = true,
                other => {
                    return Err(Refusal::bad(format!(
                        "`info` asks for {}: ask for user_count, subscription_count \
                         or, of one cache channel, cache",
                        excerpt(other)
                    )));
                }
            }
        }
        Ok(info)
    }

    /// Reads the parameter of a query.
    pub(super) fn of_query(query: &str) -> Result<Self, Refusal> {
        value(query, "info").map_or_else(|| Ok(Self::default()), |list| Self::parse(&list))
    }

    /// Reads a member of a body: a text, or an array of texts.
    pub(super) fn of_json(value: Raw<'_>) -> Result<Self, Refusal> {
        let wrong = || Refusal::bad("`info` must be a text such as \"user_count\"");
        let text = |value: Raw<'_>| Some(value.as_str_raw()?.chars().collect::<String>());
        match value.kind() {
            Kind::Null => Ok(Self::default()),
            Kind::String => Self::parse(&text(value).ok_or_else(wrong)?),
            Kind::Array => {
                let names: Option<Vec<String>> = value.elements().map(text).collect();
                Self::parse(&names.ok_or_else(wrong)?.join(","))
            }
            Kind::Bool | Kind::Number | Kind::Object => Err(wrong()),
        }
    }

    /// Whether any attribute is asked for.
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::json::Limits;

    use super::*;

    #[test]
    fn values_are_decoded_and_repeated_ones_joined() {
        let query = "a=1&filter_by_prefix=a%20b%2B%C3%A9&info[]=x&Info=y&empty&info%5B%5D=z";
        assert_eq!(value(query, "filter_by_prefix").unwrap(), "a b+é");
        assert_eq!(value(query, "info").unwrap(), "x,y,z");
        assert_eq!(value(query, "empty").unwrap(), "");
        assert_eq!(value(query, "b"), None);
    }

    #[test]
    fn info_is_a_list_in_any_form() {
        let both = Info { user_count: true, subscription_count: true, cache: false };
        assert_eq!(Info::parse("user_count,subscription_count").unwrap(), both);
        assert_eq!(Info::of_query("info=subscription_count%2Cuser_count").unwrap(), both);
        assert_eq!(Info::of_query("").unwrap(), Info::default());
        let json = |text: &str| Info::of_json(Raw::parse_str(text, Limits::new()).unwrap());
        assert_eq!(json(r#"["user_count","subscription_count"]"#).unwrap(), both);
        assert_eq!(json("null").unwrap(), Info::default());
        assert!(!json(r#""""#).unwrap().any());
        assert!(json("1").is_err() && json("[1]").is_err());
        assert!(Info::parse("user_counts").is_err());
    }
}
