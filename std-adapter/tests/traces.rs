//! Traces arrive at a collector, in OpenTelemetry's protobuf.

#![cfg(feature = "otlp")]

mod support_http;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use support_http::Request;

/// Takes requests as a collector does, until a span of each name has come.
fn collect(listener: &TcpListener, names: &[&str]) -> Vec<Span> {
    let mut spans = Vec::new();
    while !names.iter().all(|name| spans.iter().any(|span: &Span| span.name == *name)) {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        let mut head = Vec::new();
        while {
            line.clear();
            stream.read_line(&mut line).unwrap() > 2
        } {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            head.push(lower.trim().to_owned());
        }
        if head.is_empty() {
            continue;
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.iter().any(|line| line == "content-type: application/x-protobuf"), "{head:?}");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.get_mut().write_all(answer).unwrap();
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    spans
}

/// An attribute of a span as text.
fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    format!("{:?}", found.unwrap_or_else(|| panic!("no {key} in {span:?}")).value)
}

#[test]
fn requests_and_webhooks_arrive_as_spans() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let hooks = r#"[{"url":"http://127.0.0.1:1/hook"}]"#;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let ours = |name: &str| name.starts_with("TIDINGS_") || name.starts_with("SOKETI_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    let mut child = command
        .args(["serve", "--port", "0", "--shutdown-grace", "1", "--otlp-endpoint", &endpoint])
        .args(["--app-id", "id", "--app-key", "key", "--app-secret", "secret", "--webhooks", hooks])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut banner, mut stdout) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    while !banner.contains("trigger(") {
        assert_ne!(stdout.read_line(&mut banner).unwrap(), 0, "{banner}");
    }
    let address = banner.split_once("ws://").unwrap().1.split('/').next().unwrap();
    let body = json!({"channel": "a", "name": "e", "data": "{}"}).to_string();
    let request = Request::post("/apps/id/events", &body).header("X-Request-Id: traced-1");
    assert_eq!(request.send(address.parse().unwrap()).status, 200);
    let url = format!("ws://{address}/app/key?protocol=7");
    let stream = std::net::TcpStream::connect(address).unwrap();
    let (mut ws, _) = tungstenite::client(url, stream).unwrap();
    let subscribe = json!({"event": "pusher:subscribe", "data": {"channel": "a"}});
    ws.send(tungstenite::Message::text(subscribe.to_string())).unwrap();

    let spans = collect(&collector, &["HTTP API request", "webhook"]);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    drop(collector);
    assert!(child.wait().unwrap().success());
    let request = spans.iter().find(|span| span.name == "HTTP API request").unwrap();
    assert!(attribute(request, "tidings.request_id").contains("traced-1"));
    assert!(attribute(request, "url.path").contains("/apps/id/events"));
    assert!(attribute(request, "http.response.status_code").contains("200"));
    let webhook = spans.iter().find(|span| span.name == "webhook").unwrap();
    assert!(attribute(webhook, "url.full").contains("http://127.0.0.1:1/hook"));
    assert!(format!("{:?}", webhook.status).contains("code: Error"), "{webhook:?}");
    assert!(!format!("{spans:?}").contains("auth_signature"));
}
