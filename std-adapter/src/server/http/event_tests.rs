use super::*;

fn refusal<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (u16, String) {
    let answer = result.unwrap_err().into_answer();
    (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
}

fn read(text: &str) -> Result<Publication, Refusal> {
    one(&Bytes::copy_from_slice(text.as_bytes()), &AppLimits::default())
}

fn read_batch(text: &str) -> Result<Vec<Publication>, Refusal> {
    batch(&Bytes::copy_from_slice(text.as_bytes()), &AppLimits::default())
}

fn is_bad(text: &str, part: &str) {
    let (status, message) = refusal(read(text));
    assert_eq!(status, 400, "{text}");
    assert!(message.contains(part), "{text}: {message}");
}

fn with_name(name: &str) -> String {
    format!(r#"{{"name":"{name}","channel":"a","data":""}}"#)
}

fn with_data(data: &str) -> String {
    format!(r#"{{"name":"n","channel":"a","data":{data}}}"#)
}

fn with_channels(channels: &str) -> String {
    format!(r#"{{"name":"n","channels":{channels},"data":""}}"#)
}

#[test]
fn the_whole_event_is_read() {
    let text = r#"{"name":"my-event","channels":["a","private-b"],"data":"{\"a\":1}",
        "socket_id":"1234.1234","info":"user_count","unknown":[{}]}"#;
    let event = read(text).unwrap();
    assert_eq!(event.channels, ["a", "private-b"]);
    assert_eq!(event.event, "my-event");
    assert_eq!(event.data, r#"{\"a\":1}"#);
    assert_eq!(event.except, Some(SocketId::new(1234, 1234)));
    assert!(event.info.user_count && !event.info.subscription_count);
}

#[test]
fn texts_are_slices_of_the_body() {
    let body = Bytes::from_static(br#"{"name":"n","channel":"abc","data":"{\"a\":\"\u00eb\"}"}"#);
    let event = one(&body, &AppLimits::default()).unwrap();
    let inside = body.as_ptr_range();
    for text in [&event.event, &event.channels[0], &event.data] {
        assert!(inside.contains(&text.as_ptr()));
    }
    assert_eq!(event.data, r#"{\"a\":\"\u00eb\"}"#);
}

#[test]
fn fr_107_names_are_unescaped() {
    let event = read(&with_name(r"App\\Events\\X \u00eb")).unwrap();
    assert_eq!(event.event, "App\\Events\\X ë".as_bytes());
    assert_eq!(read(&with_channels(r#"["\u0061"]"#)).unwrap().channels, ["a"]);
    let event = read(r#"{"n\u0061me":"x","channel":"a","data":""}"#).unwrap();
    assert_eq!(event.event, "x");
}

#[test]
fn fr_106_any_text_is_data() {
    for data in [r#""hello""#, r#""123""#, r#""\"x\"""#, r#""""#] {
        let event = read(&with_data(data)).unwrap();
        assert_eq!(event.data, data[1..data.len() - 1]);
    }
}

#[test]
fn data_that_is_no_text_becomes_its_json_text() {
    assert_eq!(read(&with_data(r#"{ "a" : "b c" }"#)).unwrap().data, r#"{\"a\":\"b c\"}"#);
    assert_eq!(read(&with_data("[1, 2]")).unwrap().data, "[1,2]");
    assert_eq!(read(&with_data("7")).unwrap().data, "7");
    assert_eq!(read(&with_data("null")).unwrap().data, "null");
}

#[test]
fn a_channel_named_twice_counts_once() {
    assert_eq!(read(&with_channels(r#"["a","b","a","\u0062"]"#)).unwrap().channels, ["a", "b"]);
}

#[test]
fn no_socket_id_is_none_however_it_is_said() {
    // FR-098 would refuse the empty text; frameworks send it for "none", so it counts as that.
    for socket_id in ["null", r#""""#] {
        let text = format!(r#"{{"name":"n","channel":"a","data":"","socket_id":{socket_id}}}"#);
        assert_eq!(read(&text).unwrap().except, None);
    }
}

#[test]
fn fr_098_bad_socket_ids_and_channels_are_400_with_the_field_named() {
    for socket_id in [r#""123""#, r#""a.b""#, r#""1.2.3""#, r#"" ""#, "5", "{}"] {
        let text = format!(r#"{{"name":"n","channel":"a","data":"","socket_id":{socket_id}}}"#);
        is_bad(&text, "`socket_id` is ");
    }
    for channel in ["a b", "a#b", "", "ü", "#x", "a:b", "a/b"] {
        is_bad(&with_channels(&format!(r#"["ok","{channel}"]"#)), "`channels[1]` is ");
        let text = format!(r#"{{"name":"n","channel":"{channel}","data":""}}"#);
        is_bad(&text, "`channel` is ");
    }
    is_bad(&with_channels("[1]"), "`channels[0]` must be");
}

#[test]
fn fr_099_malformed_bodies_are_400_with_a_text() {
    is_bad("", "the body is empty");
    is_bad("[]", "no JSON object");
    is_bad("{", "no JSON object");
    is_bad(r#"{"name":"n","channel":"a","data":"x"} y"#, "no JSON object");
    is_bad(r#"{"channel":"a","data":""}"#, "`name` is missing");
    is_bad(r#"{"name":7,"channel":"a","data":""}"#, "`name` is missing");
    is_bad(&with_name(""), "`name` is empty");
    is_bad(r#"{"name":"n","channel":"a"}"#, "`data` is missing");
    is_bad(r#"{"name":"n","data":""}"#, "`channels` is missing");
    is_bad(&with_channels("[]"), "`channels` is empty");
    is_bad(&with_channels(r#""a""#), "`channels` is missing");
    let (status, text) = refusal(one(&Bytes::from_static(b"{\xff}"), &AppLimits::default()));
    assert!(status == 400 && text.contains("no UTF-8 at byte 1"), "{text}");
}

#[test]
fn fr_113_names_and_counts_have_both_sides_of_their_limits() {
    let quoted = |count: usize| {
        let names: Vec<String> = (0..count).map(|i| format!("\"c{i}\"")).collect();
        with_channels(&format!("[{}]", names.join(",")))
    };
    assert_eq!(read(&quoted(100)).unwrap().channels.len(), 100);
    is_bad(&quoted(101), "names 101 channels, the limit is 100 (max_channels_per_event)");
    for length in [164, 200] {
        assert!(read(&with_channels(&format!("[\"{}\"]", "c".repeat(length)))).is_ok());
    }
    is_bad(&with_channels(&format!("[\"{}\"]", "c".repeat(201))), "201 bytes, the limit is 200");
    assert!(read(&with_name(&"é".repeat(200))).is_ok());
    is_bad(&with_name(&"é".repeat(201)), "has 201 characters, the limit is 200");
}

#[test]
fn fr_110_data_over_the_limit_is_413_with_limit_and_size() {
    // Sizes are counted in what the text means: six bytes of \u00eb are two.
    let largest = format!("\"{}\"", r"\u00eb".repeat(5_120));
    assert!(read(&with_data(&largest)).is_ok());
    for too_large in
        [format!("\"{}\"", "x".repeat(10_241)), format!("[{}]", "1,".repeat(5_119) + "2")]
    {
        let (status, text) = refusal(read(&with_data(&too_large)));
        assert_eq!(status, 413);
        assert!(
            text.contains("`data` has 10241 bytes, the limit is 10240 (max_event_bytes)"),
            "{text}"
        );
    }
    let limits = AppLimits { max_event_bytes: 3, ..AppLimits::default() };
    let body = |data: &str| Bytes::from(with_data(data));
    assert!(one(&body(r#""abc""#), &limits).is_ok());
    assert_eq!(refusal(one(&body(r#""abcd""#), &limits)).0, 413);
}

#[test]
fn a_batch_is_read_in_order() {
    let text = r#"{"batch":[{"channel":"presence-a","name":"e1","data":"x","info":"user_count"},
        {"channels":["b","c"],"name":"e2","data":"y","socket_id":"1.2"}]}"#;
    let batch = read_batch(text).unwrap();
    assert_eq!(batch[0].event, "e1");
    assert!(batch[0].info.any() && !batch[1].info.any());
    assert_eq!(batch[1].channels, ["b", "c"]);
    assert_eq!(batch[1].except, Some(SocketId::new(1, 2)));
    assert_eq!(read_batch(r#"{"batch":[]}"#).unwrap(), []);
}

#[test]
fn fr_099_a_batch_is_bounded_and_one_bad_event_refuses_it() {
    let event = r#"{"channel":"a","name":"n","data":""}"#;
    let of = |count: usize| format!(r#"{{"batch":[{}]}}"#, vec![event; count].join(","));
    assert_eq!(read_batch(&of(10)).unwrap().len(), 10);
    let (status, text) = refusal(read_batch(&of(11)));
    assert!(status == 400 && text.contains("has 11 events, the limit is 10 (max_batch)"), "{text}");
    let bad = format!(r#"{{"batch":[{event},{{"channel":"a b","name":"n","data":""}}]}}"#);
    let (status, text) = refusal(read_batch(&bad));
    assert!(status == 400 && text.contains("`batch[1].channel` is `a b`"), "{text}");
    for text in ["{}", r#"{"batch":{}}"#, r#"{"batch":null}"#] {
        assert!(refusal(read_batch(text)).1.contains("`batch` is missing"));
    }
    assert!(refusal(read_batch(r#"{"batch":[1]}"#)).1.contains("`batch[0]` is no object"));
}
