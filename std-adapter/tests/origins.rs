//! Which pages may connect.

mod support;
mod support_http;

use support::{address, app, start_with};
use support_http::Connection;
use tidings::{App, Origin, ServerHandle};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

fn origins(texts: &[&str]) -> Vec<Origin> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What a page of `origin` is told first; none is no page.
fn first_of(
    server: &ServerHandle,
    origin: Option<&str>,
) -> (WebSocket<std::net::TcpStream>, String) {
    let mut request =
        format!("ws://{}/app/key?protocol=7", address(server)).into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", HeaderValue::from_str(origin).unwrap());
    }
    let stream = std::net::TcpStream::connect(address(server)).unwrap();
    let (mut ws, _) = tungstenite::client(request, stream).unwrap();
    let first = ws.read().unwrap().into_text().unwrap().to_string();
    (ws, first)
}

fn is_let_in(server: &ServerHandle, origin: Option<&str>) -> bool {
    let (mut ws, first) = first_of(server, origin);
    if first.contains("pusher:connection_established") {
        return true;
    }
    assert!(first.contains("4009") && first.contains("allowed_origins"), "{first}");
    match ws.read().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 4009),
        other => panic!("no close frame: {other:?}"),
    }
    false
}

#[test]
fn without_allowed_origins_every_page_may_connect() {
    let server = start_with(app(), |_| ());
    for origin in [None, Some("https://anywhere.example"), Some("null")] {
        assert!(is_let_in(&server, origin), "{origin:?}");
    }
}

#[test]
fn only_allowed_pages_connect_and_who_is_no_page() {
    let server = start_with(app(), |config| {
        config.allowed_origins = origins(&["https://shop.example", "*.dev.example"]);
    });
    for (origin, expected) in [
        (None, true),
        (Some("https://shop.example"), true),
        (Some("http://eu.dev.example:3000"), true),
        (Some("https://shop.example.evil"), false),
        (Some("http://shop.example"), false),
        (Some("null"), false),
    ] {
        assert_eq!(is_let_in(&server, origin), expected, "{origin:?}");
    }
}

#[test]
fn an_app_may_have_pages_of_its_own() {
    let with = |texts: &[&str]| {
        let mut app: App = app();
        app.allowed_origins = origins(texts);
        app
    };
    let own = with(&["https://own.example"]);
    let server =
        start_with(own, |config| config.allowed_origins = origins(&["https://shop.example"]));
    assert!(is_let_in(&server, Some("https://own.example")));
    assert!(!is_let_in(&server, Some("https://shop.example")));
    let open = with(&["*"]);
    let server =
        start_with(open, |config| config.allowed_origins = origins(&["https://shop.example"]));
    assert!(is_let_in(&server, Some("https://own.example")));
}

#[test]
fn a_page_that_connects_after_a_request_is_checked_as_well() {
    let server =
        start_with(app(), |config| config.allowed_origins = origins(&["https://shop.example"]));
    for (origin, expected) in
        [("https://shop.example", "connection_established"), ("https://evil.example", "4009")]
    {
        let mut stream = std::net::TcpStream::connect(address(&server)).unwrap();
        std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nOK") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
            answer.push(byte[0]);
        }
        let mut request = "ws://localhost/app/key?protocol=7".into_client_request().unwrap();
        request.headers_mut().insert("Origin", HeaderValue::from_static(origin));
        let (mut ws, _) = tungstenite::client(request, stream).unwrap();
        let first = ws.read().unwrap().into_text().unwrap().to_string();
        assert!(first.contains(expected), "{first}");
    }
}

#[test]
fn answers_of_the_http_api_may_be_read_by_allowed_pages() {
    let ask = |server: &ServerHandle, origin: &str| {
        let mut connection = Connection::open(address(server));
        connection
            .send(format!("GET / HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n").as_bytes());
        connection.answer(false).header("access-control-allow-origin").map(str::to_owned)
    };
    let open = start_with(app(), |_| ());
    assert_eq!(ask(&open, "https://shop.example").as_deref(), Some("*"));
    let bound =
        start_with(app(), |config| config.allowed_origins = origins(&["https://shop.example"]));
    assert_eq!(ask(&bound, "https://shop.example").as_deref(), Some("https://shop.example"));
    assert_eq!(ask(&bound, "https://evil.example"), None);
}
