//! `/dev/faults`: asking for things to go wrong.

use super::{AnyKey, Fault, MAX_DELAY_MS, Whom};
use crate::server::http::{Refusal, ResponseBody, json_answer, put_escaped};
use crate::server::hub::Hub;
use http::{Method, Response};
use std::sync::atomic::Ordering;
use tidings_core::json::{Limits, Raw};
use tidings_core::pusher::{ErrorCode, SocketId};

/// The one path.
const PATH: &str = "/dev/faults";

const USAGE: &str = "send one of {\"fault\":\"delay\",\"ms\":500}, {\"fault\":\"drop\",\"count\":3}, \
    {\"fault\":\"close\",\"code\":4200}, {\"fault\":\"cut\"}, {\"fault\":\"rotate\",\"key\":\"app-key\"} and \
    {\"fault\":\"none\"}; close and cut take \"key\" and \"socket_id\" to choose whom";

/// Whether a request is for dev mode.
pub(crate) fn is_for(hub: &Hub, path: &str) -> bool {
    hub.faults().is_some() && path.strip_prefix(&*hub.config().path_prefix) == Some(PATH)
}

/// Answers a request for dev mode.
pub(crate) fn answer(
    hub: &Hub,
    method: &Method,
    body: &[u8],
) -> Result<Response<ResponseBody>, Refusal> {
    match *method {
        Method::GET => {}
        Method::POST => {
            let fault =
                parse(hub, body).map_err(|reason| Refusal::bad(format!("{reason}: {USAGE}")))?;
            tracing::info!(target: crate::server::STEPS, ?fault, "fault asked for");
            fault.begin(hub);
        }
        Method::DELETE => Fault::None.begin(hub),
        _ => return Err(Refusal::method("GET, POST, DELETE")),
    }
    Ok(json_answer(state(hub)))
}

/// What goes wrong now.
fn state(hub: &Hub) -> Vec<u8> {
    let (delay, drop) = hub.faults().map_or((0, 0), |faults| {
        (faults.delay_ms.load(Ordering::Relaxed), faults.drop.load(Ordering::Relaxed))
    });
    let mut out = format!("{{\"delay_ms\":{delay},\"drop\":{drop},\"rotated\":[").into_bytes();
    for (at, key) in hub.apps().any_key().map_or_else(Vec::new, AnyKey::retired).iter().enumerate()
    {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        put_escaped(&mut out, key);
        out.push(b'"');
    }
    out.extend_from_slice(b"]}");
    out
}

fn parse(hub: &Hub, body: &[u8]) -> Result<Fault, String> {
    let wish = Raw::parse(body, Limits::new()).map_err(|_| "the body is no JSON")?;
    let text = |name: &str| -> Option<Box<str>> {
        Some(wish.member(name)?.as_str_raw()?.chars().collect::<String>().into())
    };
    let number = |name: &str| {
        let value = wish.member(name).ok_or_else(|| format!("`{name}` is missing"))?;
        value.as_u64().ok_or_else(|| format!("`{name}` is no whole number"))
    };
    match text("fault").ok_or("`fault` is missing")?.as_ref() {
        "none" => Ok(Fault::None),
        "delay" => match number("ms")? {
            ms if ms > MAX_DELAY_MS => Err(format!("`ms` is more than {MAX_DELAY_MS}")),
            ms => Ok(Fault::Delay { ms }),
        },
        "drop" => {
            let count = u32::try_from(number("count")?).map_err(|_| "`count` is too large")?;
            Ok(Fault::Drop { count })
        }
        "close" => {
            let code = number("code")?;
            let code = u16::try_from(code).ok().filter(|code| ErrorCode::new(*code).closes());
            let code = code.ok_or("`code` is not from 4000 to 4299, which are those that close")?;
            let message = text("message").unwrap_or_else(|| "Closed on demand.".into());
            let whom = whom(hub, text("key").as_deref(), text("socket_id").as_deref())?;
            Ok(Fault::Close { whom, code: ErrorCode::new(code), message })
        }
        "cut" => {
            let whom = whom(hub, text("key").as_deref(), text("socket_id").as_deref())?;
            Ok(Fault::Cut { whom })
        }
        "rotate" => Ok(Fault::Rotate { key: text("key").ok_or("`key` is missing")? }),
        other => Err(format!("there is no fault `{}`", other.chars().take(32).collect::<String>())),
    }
}

fn whom(hub: &Hub, key: Option<&str>, socket_id: Option<&str>) -> Result<Whom, String> {
    let app = match key {
        None => None,
        Some(key) => {
            let app = hub.apps().by_key(key).ok_or("there is no app with this `key`")?;
            Some(app.index())
        }
    };
    let socket_id = match socket_id {
        None => None,
        Some(text) => Some(SocketId::parse(text).map_err(|error| format!("`socket_id`: {error}"))?),
    };
    Ok(Whom { app, socket_id })
}
