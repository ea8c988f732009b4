use super::*;

fn lookups(max_per_second: u32) -> (Lookups, mpsc::UnboundedReceiver<Wanted>) {
    let finder = AppFinder::new(|_| async { Ok(None) });
    let finder = finder.max_per_second(max_per_second).unknown_for(Duration::from_secs(10));
    Lookups::new(&finder)
}

fn key(text: impl Into<Box<str>>) -> AppName {
    AppName::Key(text.into())
}

fn begin(lookups: &Lookups, name: &AppName) -> Result<(), Verdict> {
    lookups.begin(name.clone(), Instant::now()).map(drop)
}

#[test]
fn all_who_name_an_app_wait_for_one_look_up() {
    let (lookups, mut wanted) = lookups(50);
    let name = key("k");
    let now = Instant::now();
    let first = lookups.begin(name.clone(), now).unwrap();
    let second = lookups.begin(name.clone(), now).unwrap();
    begin(&lookups, &AppName::Id("k".into())).unwrap(); // an id is another name
    lookups.settle(&name, Verdict::Known);
    assert_eq!((*first.borrow(), *second.borrow()), (Some(Verdict::Known), Some(Verdict::Known)));
    assert!(matches!(wanted.try_recv(), Ok(Wanted::App(asked)) if asked == name));
    assert!(matches!(wanted.try_recv(), Ok(Wanted::App(AppName::Id(_)))));
    assert!(wanted.try_recv().is_err());
    // What was found may be gone later, so it is looked up again.
    begin(&lookups, &name).unwrap();
}

#[test]
fn a_name_of_no_app_is_remembered_for_a_while() {
    let (lookups, _wanted) = lookups(50);
    begin(&lookups, &key("k")).unwrap();
    lookups.settle(&key("k"), Verdict::Unknown);
    assert_eq!(begin(&lookups, &key("k")), Err(Verdict::Unknown));
    let later = Instant::now() + Duration::from_secs(11);
    assert!(lookups.begin(key("k"), later).is_ok());
    assert!(lookups.state().unknown.names.is_empty() && lookups.state().unknown.order.is_empty());
    // Where nobody could be asked, the next one asks again.
    lookups.settle(&key("k"), Verdict::Unreachable);
    assert!(lookups.begin(key("k"), later).is_ok());
}

#[test]
fn no_more_names_are_remembered_than_the_bound() {
    let mut unknown = Unknown::default();
    let now = Instant::now();
    for number in 0..MAX_UNKNOWN + 10 {
        unknown.note(key(number.to_string()), now + Duration::from_secs(1));
    }
    assert_eq!((unknown.names.len(), unknown.order.len()), (MAX_UNKNOWN, MAX_UNKNOWN));
    assert!(!unknown.holds(&key("9"), now) && unknown.holds(&key("10"), now));
}

#[test]
fn more_than_the_bounds_are_not_looked_up() {
    let (at_once, _wanted) = lookups(1000);
    for number in 0..MAX_AT_ONCE {
        begin(&at_once, &key(number.to_string())).unwrap();
    }
    assert_eq!(begin(&at_once, &key("more")), Err(Verdict::Busy));
    begin(&at_once, &key("0")).unwrap(); // to wait with others costs nothing
    at_once.settle(&key("0"), Verdict::Unknown);
    begin(&at_once, &key("more")).unwrap();

    let (in_a_second, _wanted) = lookups(3);
    let now = in_a_second.began;
    for number in 0..3 {
        assert!(in_a_second.begin(key(number.to_string()), now).is_ok());
    }
    assert_eq!(in_a_second.begin(key("more"), now).err(), Some(Verdict::Busy));
    assert!(in_a_second.begin(key("more"), now + Duration::from_secs(1)).is_ok());
}

#[test]
fn what_can_be_no_name_is_not_looked_up() {
    let (lookups, mut wanted) = lookups(50);
    for name in ["", "a b", "a/b", "a?b", "é", "a'b", &*"k".repeat(MAX_NAME + 1)] {
        assert_eq!(begin(&lookups, &key(name)), Err(Verdict::Unknown), "{name}");
    }
    assert!(wanted.try_recv().is_err());
}

#[tokio::test]
async fn who_waits_at_the_end_is_told() {
    let (lookups, _wanted) = lookups(50);
    let (verdict, ()) = tokio::join!(lookups.ask(key("k")), async { lookups.ended() });
    assert_eq!(verdict, Verdict::Unreachable);
    assert_eq!(lookups.ask(key("other")).await, Verdict::Unreachable);
}
