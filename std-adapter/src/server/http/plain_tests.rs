use super::*;

/// What is at the front, in words.
fn kind(input: &[u8]) -> String {
    let config = ServerConfig::default();
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match front(&mut request, input, &config) {
        Front::Partial => "partial".to_owned(),
        Front::Foreign => "foreign".to_owned(),
        Front::Request(r) => format!("{} {} {} {}+{}", r.method, r.path, r.query, r.head, r.length),
    }
}

fn with_headers(headers: &str) -> String {
    kind(format!("POST /apps/1/events HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())
}

#[test]
fn an_ordinary_request_is_taken_at_every_cut_only_when_it_is_whole() {
    let whole = b"POST /apps/1/events?a=1&b=2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\
                  Connection: keep-alive\r\n\r\nabc";
    for cut in 1..whole.len() {
        assert_eq!(kind(&whole[..cut]), "partial", "{cut}");
    }
    let head = whole.len() - 3;
    assert_eq!(kind(whole), format!("POST /apps/1/events a=1&b=2 {head}+3"));
    assert_eq!(kind(b"GET / HTTP/1.1\r\n\r\n"), "GET /  18+0");
}

#[test]
fn what_is_out_of_the_ordinary_goes_to_hyper() {
    for headers in [
        "Transfer-Encoding: chunked\r\n",
        "transfer-ENCODING: identity\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: websocket\r\n",
        "Origin: https://shop.example\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive, Upgrade\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 1048577\r\n",
        "bad header\r\n",
    ] {
        assert_eq!(with_headers(headers), "foreign", "{headers}");
    }
    assert_eq!(with_headers("Content-Length: 1048576\r\n"), "partial");
    for input in [
        "HEAD / HTTP/1.1\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        assert_eq!(kind(input.as_bytes()), "foreign", "{input}");
    }
}

#[test]
fn heads_and_header_counts_over_their_limit_go_to_hyper() {
    let max = ServerConfig::default().max_head_bytes as usize;
    let head_of = |length: usize| {
        let (start, end) = ("GET / HTTP/1.1\r\nx: ", "\r\n\r\n");
        format!("{start}{}{end}", "y".repeat(length - start.len() - end.len()))
    };
    assert!(kind(head_of(max).as_bytes()).starts_with("GET"));
    assert_eq!(kind(head_of(max + 1).as_bytes()), "foreign");
    assert_eq!(kind(&head_of(2 * max).as_bytes()[..=max]), "foreign");
    assert_eq!(with_headers(&"a: b\r\n".repeat(MAX_HEADERS)), "foreign");
}

#[test]
fn an_answer_has_status_type_length_id_and_date() {
    let mut out = Vec::new();
    write(&Answer::done(), &RequestId::new(Some(b"a-1")), &mut out);
    let text = String::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(
        lines[..3],
        ["HTTP/1.1 200 OK", "content-type: application/json", "content-length: 2"]
    );
    assert_eq!(lines[3], "x-request-id: a-1");
    let date = lines[4].strip_prefix("date: ").unwrap();
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
    assert_eq!((lines.len(), body), (5, "{}"));
}

#[test]
fn the_date_follows_the_clock() {
    let mut date = Date { second: None, text: Vec::new() };
    let at = |second: u64| UNIX_EPOCH + Duration::from_millis(second * 1_000 + 999);
    assert_eq!(date.text(at(784_111_777)), b"Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date.text(at(784_111_778)), b"Sun, 06 Nov 1994 08:49:38 GMT");
}
