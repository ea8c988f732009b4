use super::*;

#[test]
fn debug_output_hides_the_secret() {
    let apps = Apps::new(vec![App::new("i", "k", "hunter2")]).unwrap();
    assert!(!format!("{apps:?}").contains("hunter2"));
    assert!(format!("{apps:?}").contains("[redacted]"));
}

#[test]
fn apps_are_found_by_key_and_by_id() {
    let apps = Apps::new(vec![App::new("1", "a", "x"), App::new("2", "b", "y")]).unwrap();
    assert_eq!(&*apps.by_key("b").unwrap().id, "2");
    assert_eq!(&*apps.by_id("1").unwrap().key, "a");
    assert!(apps.by_key("1").is_none());
    assert!(!apps.is_development());
}

#[test]
fn duplicate_ids_and_keys_are_refused_by_name() {
    let ids = Apps::new(vec![App::new("1", "a", "x"), App::new("1", "b", "y")]).unwrap_err();
    assert_eq!(ids.to_string(), "two apps have the id `1`: give each app its own id");
    let keys = Apps::new(vec![App::new("1", "a", "x"), App::new("2", "a", "y")]).unwrap_err();
    assert_eq!(
        keys.to_string(),
        "the apps `1` and `2` both have the key `a`: give each app its own"
    );
}

#[test]
fn empty_and_unprintable_parts_are_refused() {
    let error = |app| Apps::new(vec![app]).unwrap_err();
    assert!(matches!(error(App::new("", "k", "s")), AppError::Empty { field: "id", .. }));
    assert!(matches!(error(App::new("i", "", "s")), AppError::Empty { field: "key", .. }));
    assert!(matches!(error(App::new("i", "k", "")), AppError::Empty { field: "secret", .. }));
    assert!(matches!(error(App::new("i/j", "k", "s")), AppError::NotInPath { .. }));
    assert!(matches!(error(App::new("i", "k k", "s")), AppError::NotInPath { .. }));
}

#[test]
fn the_development_app_says_so() {
    let apps = Apps::development();
    assert!(apps.is_development());
    assert_eq!(apps.by_id("app-id").unwrap().secret(), b"app-secret");
}
