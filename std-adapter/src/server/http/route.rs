//! Which request is for what: one match over the path, without a table.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::answer::Refusal;

/// What a request asks for. Names are decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// Is the process up?
    Alive,
    /// Does the server take new clients?
    Ready,
    /// Has the machine the memory for more?
    AcceptTraffic,
    /// A browser asks what it may send.
    Preflight,
    /// `POST /apps/ID/events`
    Events { app: &'p str },
    /// `POST /apps/ID/batch_events`
    BatchEvents { app: &'p str },
    /// `GET /apps/ID/channels`
    Channels { app: &'p str },
    /// `GET /apps/ID/channels/NAME`
    Channel { app: &'p str, channel: Cow<'p, str> },
    /// `GET /apps/ID/channels/NAME/history`
    History { app: &'p str, channel: Cow<'p, str> },
    /// `GET /apps/ID/channels/NAME/users`
    Users { app: &'p str, channel: Cow<'p, str> },
    /// `GET /apps/ID/feed`
    Feed { app: &'p str },
    /// `POST /apps/ID/users/USER/terminate_connections`; without `app` where the python SDK asks,
    /// which leaves `/apps/ID` out.
    Terminate { app: Option<&'p str>, user_id: Cow<'p, str> },
}

impl<'p> Route<'p> {
    /// The name in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Ready => "ready",
            Self::AcceptTraffic => "accept_traffic",
            Self::Preflight => "preflight",
            Self::Events { .. } => "events",
            Self::BatchEvents { .. } => "batch_events",
            Self::Channels { .. } => "channels",
            Self::Channel { .. } => "channel",
            Self::History { .. } => "history",
            Self::Users { .. } => "users",
            Self::Feed { .. } => "feed",
            Self::Terminate { .. } => "terminate",
        }
    }

    /// Finds the route of a path without prefix.
    pub(super) fn find(method: &Method, path: &'p str) -> Result<Self, Refusal> {
        let route = Self::of_path(path)?;
        if *method == Method::OPTIONS {
            return Ok(Self::Preflight);
        }
        let (allowed, allow) = match route {
            Self::Events { .. } | Self::BatchEvents { .. } | Self::Terminate { .. } => {
                (*method == Method::POST, "POST")
            }
            _ => (*method == Method::GET || *method == Method::HEAD, "GET, HEAD"),
        };
        if allowed { Ok(route) } else { Err(Refusal::method(allow)) }
    }

    fn of_path(path: &'p str) -> Result<Self, Refusal> {
        if let Some(rest) = path.strip_prefix("/apps/") {
            let (app, rest) = rest.split_once('/').unwrap_or((rest, ""));
            return match rest {
                "events" => Ok(Self::Events { app }),
                "batch_events" => Ok(Self::BatchEvents { app }),
                "channels" => Ok(Self::Channels { app }),
                "feed" => Ok(Self::Feed { app }),
                _ => Self::below_app(app, rest).ok_or_else(|| unknown(path)),
            };
        }
        match path {
            "/" | "" | "/live" => return Ok(Self::Alive),
            "/accept-traffic" => return Ok(Self::AcceptTraffic),
            "/ready" => return Ok(Self::Ready),
            _ => {}
        }
        if let Some(user_id) = terminated(path.strip_prefix('/').unwrap_or_default()) {
            return Ok(Self::Terminate { app: None, user_id });
        }
        if path.starts_with("/app/") {
            return Err(Refusal::not_an_upgrade());
        }
        Err(unknown(path))
    }

    fn below_app(app: &'p str, rest: &'p str) -> Option<Self> {
        if let Some(user_id) = terminated(rest) {
            return Some(Self::Terminate { app: Some(app), user_id });
        }
        let channel = rest.strip_prefix("channels/")?;
        if let Some(channel) = channel.strip_suffix("/users") {
            return Some(Self::Users { app, channel: segment(channel)? });
        }
        if let Some(channel) = channel.strip_suffix("/history") {
            return Some(Self::History { app, channel: segment(channel)? });
        }
        Some(Self::Channel { app, channel: segment(channel)? })
    }
}

/// The user of `users/USER/terminate_connections`.
fn terminated(rest: &str) -> Option<Cow<'_, str>> {
    segment(rest.strip_prefix("users/")?.strip_suffix("/terminate_connections")?)
}

/// One segment of a path, decoded.
fn segment(text: &str) -> Option<Cow<'_, str>> {
    if text.is_empty() || text.contains('/') {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

fn unknown(path: &str) -> Refusal {
    const PATHS: &str = "the API has POST /apps/ID/events, POST /apps/ID/batch_events, \
        GET /apps/ID/channels, GET /apps/ID/channels/NAME, GET /apps/ID/channels/NAME/users, \
        GET /apps/ID/channels/NAME/history, \
        GET /apps/ID/feed and POST /apps/ID/users/USER/terminate_connections";
    Refusal::not_found(format!("there is nothing at {}: {PATHS}", excerpt(path)))
}

/// The beginning of a text from outside, short enough for a message.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, path: &str) -> u16 {
        Route::find(&method, path).unwrap_err().status().as_u16()
    }

    #[test]
    fn every_path_has_its_route() {
        let get = |path| Route::find(&Method::GET, path).unwrap();
        let post = |path| Route::find(&Method::POST, path).unwrap();
        let app = "3";
        assert_eq!(post("/apps/3/events"), Route::Events { app });
        assert_eq!(post("/apps/3/batch_events"), Route::BatchEvents { app });
        assert_eq!(get("/apps/3/channels"), Route::Channels { app });
        assert_eq!(
            get("/apps/3/channels/presence-a@b=c,d.e;f"),
            Route::Channel { app, channel: "presence-a@b=c,d.e;f".into() }
        );
        assert_eq!(
            get("/apps/3/channels/presence-a%40b/users"),
            Route::Users { app, channel: "presence-a@b".into() }
        );
        let user_id = || "12345".into();
        assert_eq!(
            post("/apps/3/users/12345/terminate_connections"),
            Route::Terminate { app: Some(app), user_id: user_id() }
        );
        assert_eq!(
            post("/users/12345/terminate_connections"),
            Route::Terminate { app: None, user_id: user_id() }
        );
        assert_eq!(get("/"), Route::Alive);
        assert_eq!(get("/ready"), Route::Ready);
        assert_eq!(Route::find(&Method::HEAD, "/ready").unwrap(), Route::Ready);
        assert_eq!(Route::find(&Method::OPTIONS, "/apps/3/events").unwrap(), Route::Preflight);
    }

    #[test]
    fn fr_092_other_paths_are_404() {
        for path in [
            "/nothing",
            "/apps",
            "/apps/",
            "/apps/3",
            "/apps/3/",
            "/apps/3/event",
            "/apps/3/events/",
            "/apps/3/channels/",
            "/apps/3/channels/a/b",
            "/apps/3/channels//users",
            "/apps/3/users//terminate_connections",
            "/apps/3/users/a/b",
            "//apps/3/events",
            "/apps/3/channels/%ff",
        ] {
            assert_eq!(status(Method::GET, path), 404, "{path}");
            assert_eq!(status(Method::OPTIONS, path), 404, "{path}");
        }
    }

    #[test]
    fn wrong_methods_are_405() {
        assert_eq!(status(Method::GET, "/apps/3/events"), 405);
        assert_eq!(status(Method::PUT, "/apps/3/batch_events"), 405);
        assert_eq!(status(Method::POST, "/apps/3/channels"), 405);
        assert_eq!(status(Method::DELETE, "/apps/3/channels/a"), 405);
        assert_eq!(status(Method::POST, "/apps/3/channels/a/users"), 405);
        assert_eq!(status(Method::GET, "/users/1/terminate_connections"), 405);
        assert_eq!(status(Method::POST, "/"), 405);
    }

    #[test]
    fn fr_022_a_socket_path_without_upgrade_is_426() {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            assert_eq!(status(method, "/app/key"), 426);
        }
    }

    #[test]
    fn a_long_path_is_shown_in_part() {
        let text = excerpt(&"é".repeat(100));
        assert_eq!(text.chars().count(), 64 + 3);
    }
}
