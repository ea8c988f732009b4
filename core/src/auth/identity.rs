//! Whom signed data speaks of.

use core::fmt;

use crate::json::{EscapedJson, Kind, Limits, Raw};

/// The user that a presence subscription's `channel_data` describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceData<'a> {
    /// The user's id. A number counts as its text.
    pub user_id: EscapedJson<'a>,
    /// The user's public data: a JSON object.
    pub user_info: Option<Raw<'a>>,
}

/// The user that a sign-in's `user_data` describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserData<'a> {
    /// The user's id.
    pub id: EscapedJson<'a>,
    /// The user's public data: a JSON object.
    pub user_info: Option<Raw<'a>>,
    /// The ids of the users whose coming and going this one wants to know: a JSON array.
    pub watchlist: Option<Raw<'a>>,
}

/// Why data describes no user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityError {
    /// The id is missing, empty, or neither text nor, on presence channels, a number.
    Id,
    /// The text is not a JSON object.
    Json,
    /// `user_info` is not an object.
    UserInfo,
    /// `watchlist` is not an array.
    Watchlist,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "the id must be there and not be empty",
            Self::Json => "it must be a JSON object",
            Self::UserInfo => "user_info must be an object",
            Self::Watchlist => "watchlist must be an array of user ids",
        })
    }
}

impl core::error::Error for IdentityError {}

impl<'a> PresenceData<'a> {
    /// Reads `channel_data`; its signature has been checked before.
    ///
    /// # Errors
    /// [`IdentityError`] names the member that is wrong.
    pub fn parse(channel_data: &'a str) -> Result<Self, IdentityError> {
        let data = object(channel_data)?;
        let id = data.member("user_id").ok_or(IdentityError::Id)?;
        let number = || id.as_number_text().map(EscapedJson::from_validated);
        let user_id = id.as_str_raw().or_else(number).filter(|id| !id.as_str().is_empty());
        let user_id = user_id.ok_or(IdentityError::Id)?;
        Ok(Self { user_id, user_info: user_info(data)? })
    }
}

impl<'a> UserData<'a> {
    /// Reads `user_data`; its signature has been checked before.
    ///
    /// # Errors
    /// [`IdentityError`] names the member that is wrong.
    pub fn parse(user_data: &'a str) -> Result<Self, IdentityError> {
        let data = object(user_data)?;
        let id = data.member("id").and_then(Raw::as_str_raw).filter(|id| !id.as_str().is_empty());
        let id = id.ok_or(IdentityError::Id)?;
        let watchlist = data.member("watchlist").filter(|list| !list.is_null());
        if watchlist.is_some_and(|list| list.kind() != Kind::Array) {
            return Err(IdentityError::Watchlist);
        }
        Ok(Self { id, user_info: user_info(data)?, watchlist })
    }
}

fn object(text: &str) -> Result<Raw<'_>, IdentityError> {
    let value = Raw::parse_str(text, Limits::new()).map_err(|_| IdentityError::Json)?;
    if value.kind() == Kind::Object { Ok(value) } else { Err(IdentityError::Json) }
}

fn user_info(data: Raw<'_>) -> Result<Option<Raw<'_>>, IdentityError> {
    let info = data.member("user_info").filter(|info| !info.is_null());
    if info.is_some_and(|info| info.kind() != Kind::Object) {
        return Err(IdentityError::UserInfo);
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_user_id_and_so_is_a_text() {
        for text in [r#"{"user_id":10}"#, r#"{"user_id": "10", "user_info": null}"#] {
            let data = PresenceData::parse(text).unwrap();
            assert!(data.user_id.unescaped_eq("10"));
            assert_eq!(data.user_info, None);
        }
    }

    #[test]
    fn user_info_is_the_text_as_it_was_signed() {
        let data =
            PresenceData::parse(r#"{"user_info":{"url":"http:\/\/a"},"user_id":"u"}"#).unwrap();
        assert_eq!(data.user_info.unwrap().text(), r#"{"url":"http:\/\/a"}"#);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let presence = |text| PresenceData::parse(text).unwrap_err();
        assert_eq!(presence("no json"), IdentityError::Json);
        assert_eq!(presence("[]"), IdentityError::Json);
        assert_eq!(presence("{}"), IdentityError::Id);
        assert_eq!(presence(r#"{"user_id":""}"#), IdentityError::Id);
        assert_eq!(presence(r#"{"user_id":true}"#), IdentityError::Id);
        assert_eq!(presence(r#"{"user_id":"u","user_info":[]}"#), IdentityError::UserInfo);
        let user = |text| UserData::parse(text).unwrap_err();
        assert_eq!(user(r#"{"id":5}"#), IdentityError::Id);
        assert_eq!(user(r#"{"id":"5","watchlist":{}}"#), IdentityError::Watchlist);
    }
}
