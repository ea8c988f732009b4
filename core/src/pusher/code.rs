//! The protocol's codes, and what a client does about each.

use core::fmt;

/// A code of the Pusher protocol: in `pusher:error`, and as close code of the WebSocket.
///
/// Codes from 4000 to 4299 end the connection. Those from 4300 on don't, and must not be used as close codes:
/// the official clients then give up for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(u16);

/// What a client does when a connection has ended, or an error was reported, with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Reconnect after a second or more, later each time.
    BackOff,
    /// Reconnecting with the same parameters is of no use: report the error.
    DoNotReconnect,
    /// Reconnect at once.
    ReconnectNow,
    /// The connection goes on.
    Stay,
    /// Reconnect at once, with TLS.
    UseTls,
}

impl ErrorCode {
    /// 4000: the application takes connections over TLS only.
    pub const TLS_ONLY: Self = Self(4000);
    /// 4001: there is no application with this key.
    pub const APP_UNKNOWN: Self = Self(4001);
    /// 4003: the application is disabled.
    pub const APP_DISABLED: Self = Self(4003);
    /// 4004: the application has as many connections as it may have.
    pub const OVER_QUOTA: Self = Self(4004);
    /// 4005: there is nothing at this path.
    pub const PATH_NOT_FOUND: Self = Self(4005);
    /// 4006: the protocol version is no number.
    pub const VERSION_INVALID: Self = Self(4006);
    /// 4007: the protocol version is not supported.
    pub const VERSION_UNSUPPORTED: Self = Self(4007);
    /// 4008: there is no protocol version.
    pub const VERSION_MISSING: Self = Self(4008);
    /// 4009: not authorised: a bad sign-in, none in time, a forbidden origin, or ended through the API.
    pub const UNAUTHORIZED: Self = Self(4009);
    /// 4100: the server is at its limit.
    pub const OVER_CAPACITY: Self = Self(4100);
    /// 4200: come back at once, as when a server goes down for an update.
    pub const RECONNECT: Self = Self(4200);
    /// 4201: no answer to a ping.
    pub const PONG_MISSING: Self = Self(4201);
    /// 4202: inactive for too long.
    pub const INACTIVE: Self = Self(4202);
    /// 4300: a name is not valid. The connection goes on.
    pub const NAME_INVALID: Self = Self(4300);
    /// 4301: a client event was refused: too many, too large, or not enabled. The connection goes on.
    pub const CLIENT_EVENT_REJECTED: Self = Self(4301);
    /// 4302: a watchlist was cut to its first 100 users. The connection goes on.
    pub const WATCHLIST_CUT: Self = Self(4302);
    /// 4303: an event could not be passed on. The connection goes on.
    pub const BROADCAST_FAILED: Self = Self(4303);

    /// The code with this number.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether a server that reports this code ends the connection.
    #[must_use]
    pub const fn closes(self) -> bool {
        matches!(self.0, 4000..=4299)
    }

    /// What a client does about this code in a `pusher:error`.
    #[must_use]
    pub const fn advice(self) -> Advice {
        if self.0 >= 4300 { Advice::Stay } else { self.close_advice() }
    }

    /// What a client does when the connection was closed with this code, 1006 standing for no code at all.
    ///
    /// It differs from [`advice`](Self::advice) from 4300 on: as close code, such a number is final.
    #[must_use]
    pub const fn close_advice(self) -> Advice {
        match self.0 {
            4000 => Advice::UseTls,
            4001..=4099 | 4300.. => Advice::DoNotReconnect,
            4200..=4299 => Advice::ReconnectNow,
            _ => Advice::BackOff,
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({})", self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_advice_of_its_range() {
        for (code, closes, advice, close_advice) in [
            (1000, false, Advice::BackOff, Advice::BackOff),
            (1001, false, Advice::BackOff, Advice::BackOff),
            (1002, false, Advice::BackOff, Advice::BackOff),
            (1005, false, Advice::BackOff, Advice::BackOff),
            (1006, false, Advice::BackOff, Advice::BackOff),
            (1011, false, Advice::BackOff, Advice::BackOff),
            (3999, false, Advice::BackOff, Advice::BackOff),
            (4000, true, Advice::UseTls, Advice::UseTls),
            (4001, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4003, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4004, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4005, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4006, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4007, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4008, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4009, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4099, true, Advice::DoNotReconnect, Advice::DoNotReconnect),
            (4100, true, Advice::BackOff, Advice::BackOff),
            (4199, true, Advice::BackOff, Advice::BackOff),
            (4200, true, Advice::ReconnectNow, Advice::ReconnectNow),
            (4201, true, Advice::ReconnectNow, Advice::ReconnectNow),
            (4202, true, Advice::ReconnectNow, Advice::ReconnectNow),
            (4299, true, Advice::ReconnectNow, Advice::ReconnectNow),
            (4300, false, Advice::Stay, Advice::DoNotReconnect),
            (4301, false, Advice::Stay, Advice::DoNotReconnect),
            (4302, false, Advice::Stay, Advice::DoNotReconnect),
            (4303, false, Advice::Stay, Advice::DoNotReconnect),
            (4399, false, Advice::Stay, Advice::DoNotReconnect),
            (u16::MAX, false, Advice::Stay, Advice::DoNotReconnect),
        ] {
            let code = ErrorCode::new(code);
            assert_eq!(code.closes(), closes, "{code}");
            assert_eq!(code.advice(), advice, "{code}");
            assert_eq!(code.close_advice(), close_advice, "{code}");
        }
    }
}
