//! What a log keeps, and what it says of what it does not.

use super::*;
use std::time::Duration;

const KEY: Key<'static> = Key { app: 0, hash: 0, name: b"a" };

fn app() -> App {
    let mut app = App::new("i", "k", "s");
    app.history.max_events = 3;
    app.history.max_age = Duration::from_secs(60);
    app
}

const fn at(s: u64) -> Instant {
    Instant::from_millis(s * 1000)
}

fn append(logs: &mut Logs, app: &App, text: &'static str, s: u64) -> String {
    let number = logs.next_number(KEY, None);
    let serial = logs.serial(number);
    logs.append(KEY, app, (number, 0), Bytes::from_static(text.as_bytes()), at(s));
    serial
}

fn missed(logs: &mut Logs, app: &App, from: &str, s: u64) -> (bool, Vec<Bytes>) {
    let missed = logs.missed(KEY, app, from, 1 << 20, at(s));
    (missed.complete, missed.frames)
}

#[test]
fn a_client_gets_what_it_has_missed_and_nothing_twice() {
    let (mut logs, app) = (Logs::default(), app());
    let start = logs.missed(KEY, &app, "latest", 0, at(0));
    assert!(start.complete && start.frames.is_empty());
    let one = append(&mut logs, &app, "one", 0);
    let two = append(&mut logs, &app, "two", 0);
    assert_eq!(missed(&mut logs, &app, &start.serial, 1).1, ["one", "two"]);
    assert_eq!(missed(&mut logs, &app, &one, 1), (true, vec!["two".into()]));
    assert_eq!(missed(&mut logs, &app, &two, 1), (true, vec![]));
}

#[test]
fn what_is_lost_to_number_or_age_is_a_gap() {
    let (mut logs, app) = (Logs::default(), app());
    let one = append(&mut logs, &app, "1", 0);
    for text in ["2", "3", "4"] {
        append(&mut logs, &app, text, 10);
    }
    assert!(missed(&mut logs, &app, &one, 10).0, "the first is known, the rest is kept");
    let five = append(&mut logs, &app, "5", 20);
    let (complete, frames) = missed(&mut logs, &app, &one, 20);
    assert!(!complete && frames == ["3", "4", "5"]);
    assert_eq!(missed(&mut logs, &app, &five, 79), (true, vec![]));
    logs.expire(|_| Some(&app), at(200));
    assert!(logs.apps.is_empty() && !app.logged().is_over(0, 0), "all is given back");
}

#[test]
fn serials_of_another_run_and_other_texts_are_a_gap() {
    let (mut logs, app) = (Logs::default(), app());
    append(&mut logs, &app, "1", 0);
    logs.epoch = logs.epoch.wrapping_add(1);
    let old = Logs { epoch: logs.epoch.wrapping_sub(1), ..Logs::default() }.serial(1);
    let future = logs.serial(99);
    for from in [&*old, "", "0", "x-1", &*future] {
        assert_eq!(missed(&mut logs, &app, from, 0), (false, vec!["1".into()]), "{from}");
    }
}

#[test]
fn a_log_begun_anew_does_not_claim_to_be_complete() {
    let (mut logs, app) = (Logs::default(), app());
    let one = append(&mut logs, &app, "1", 0);
    append(&mut logs, &app, "2", 0);
    logs.expire(|_| Some(&app), at(100));
    append(&mut logs, &app, "3", 100);
    assert_eq!(missed(&mut logs, &app, &one, 100), (false, vec!["3".into()]));
}

#[test]
fn the_bytes_of_an_app_are_bounded_and_unused_logs_go_first() {
    let (mut logs, mut app) = (Logs::default(), app());
    app.history.max_bytes = 2 * (EVENT_OVERHEAD as u32 + 1);
    let other = Key { name: b"b", ..KEY };
    let number = logs.next_number(other, None);
    logs.append(other, &app, (number, 0), Bytes::from_static(b"x"), at(0));
    for text in ["1", "2", "3"] {
        append(&mut logs, &app, text, 1);
    }
    assert_eq!(logs.history(other, &app, None, 9, at(1)).frames, [""; 0]);
    assert_eq!(logs.history(KEY, &app, None, 9, at(1)).frames, ["2", "3"]);
}

#[test]
fn what_a_socket_could_not_take_at_once_is_a_gap() {
    let (mut logs, app) = (Logs::default(), app());
    let one = append(&mut logs, &app, "1", 0);
    append(&mut logs, &app, "22", 0);
    append(&mut logs, &app, "33", 0);
    let missed = logs.missed(KEY, &app, &one, 3, at(0));
    assert!(!missed.complete && missed.frames == ["33"]);
}

#[test]
fn history_is_read_in_pages() {
    let (mut logs, app) = (Logs::default(), app());
    for text in ["1", "2", "3"] {
        append(&mut logs, &app, text, 0);
    }
    assert_eq!(logs.history(KEY, &app, None, 2, at(0)).frames, ["2", "3"], "the latest");
    let start = logs.serial(0);
    let page = logs.history(KEY, &app, Some(&start), 2, at(0));
    assert!(page.complete && page.frames == ["1", "2"]);
    let page = logs.history(KEY, &app, Some(&page.serial), 2, at(0));
    assert!(page.complete && page.frames == ["3"]);
    assert_eq!(logs.history(KEY, &app, Some(&page.serial), 2, at(0)).frames, [""; 0]);
    assert!(logs.history(KEY, &app, None, 9, at(60)).frames.is_empty(), "too old to show");
}

/// Appends an event of a node, as all nodes do that get it, so many milliseconds after the start.
fn of_node(logs: &mut Logs, app: &App, (from, number): (u32, u64), ms: u64) -> String {
    let stamp = Stamp { number, from, late: false };
    let number = logs.next_number(KEY, Some(stamp));
    let frame = Bytes::from(format!("{from}"));
    logs.append(KEY, app, (number, from), frame, Instant::from_millis(ms));
    logs.serial(number)
}

#[test]
fn without_one_order_a_place_between_events_of_two_nodes_is_a_gap() {
    for (ordered, apart_ms, complete) in [(false, 10, false), (false, 800, true), (true, 10, true)]
    {
        let (mut logs, app) = (Logs::shared(ordered), app());
        of_node(&mut logs, &app, (1, 1 << 20), 0);
        let from = of_node(&mut logs, &app, (2, 1 << 21), apart_ms);
        assert_eq!(missed(&mut logs, &app, &from, 5), (complete, vec![]), "{ordered} {apart_ms}");
        let page = logs.history(KEY, &app, Some(&from), 9, at(5));
        assert_eq!(page.complete, complete, "{ordered} {apart_ms}");
    }
    let (mut logs, app) = (Logs::shared(false), app());
    let from = of_node(&mut logs, &app, (1, 1 << 20), 0);
    of_node(&mut logs, &app, (1, 1 << 21), 1);
    assert!(missed(&mut logs, &app, &from, 5).0, "one node's events keep their order");
}

#[test]
fn an_event_that_was_on_its_way_at_a_moment_is_given() {
    let (mut logs, app) = (Logs::shared(true), app());
    let before = moment() & !1;
    let number = logs.next_number(KEY, Some(Stamp { number: before, from: 1, late: false }));
    logs.append(KEY, &app, (number, 1), Bytes::from_static(b"1"), at(0));
    let after = logs.serial((before | 1) + (1 << Stamp::CLOCK_SHIFT));
    assert_eq!(missed(&mut logs, &app, &after, 1), (true, vec!["1".into()]));
}
