//! The bodies of requests: one object of known members, each once; and a refusal that repeats no value.

use mesh_error::{Error, Kind};
use quipu_gateway::parsers::bodies;
use serde_json::{Map, Value};

use super::unique;

/// What each type takes, the members that it needs first.
const MEMBERS: [(&str, &[&str], &[&str]); 9] = [
    ("register", &["email", "password"], &["display_name"]),
    ("login", &["email", "password"], &[]),
    ("refresh", &["refresh_token"], &[]),
    ("password", &["current_password", "new_password"], &[]),
    ("api_key", &["name", "scopes"], &["expires_at"]),
    ("user", &[], &["roles", "disabled"]),
    ("analyze", &["text"], &["explain", "model"]),
    ("batch", &["texts"], &["explain", "model"]),
    ("line", &["text"], &["id", "explain", "model"]),
];

/// What is said of a body, without digits.
const WORDS: [&str; 4] = [
    "the body must be a JSON object",
    "the body ends too early",
    "the body is not valid JSON at line  column ",
    "a value is not of the type that is expected at line  column ",
];
/// What is said of a field.
const FIELD_WORDS: [&str; 3] = ["is not a field of this request", "is missing", "is given twice"];

/// A body of any bytes, as each type that a route takes.
pub(crate) fn json(data: &[u8]) {
    for ((name, read), (expected, needed, optional)) in bodies(data).into_iter().zip(MEMBERS) {
        assert_eq!(name, expected);
        match read {
            Ok(()) => check_members(data, needed, optional),
            Err(error) => check_refusal(&error),
        }
    }
}

fn check_members(data: &[u8], needed: &[&str], optional: &[&str]) {
    let members: Map<String, Value> = serde_json::from_slice(data).expect("one object");
    assert!(unique::depth(data).is_some_and(|depth| depth <= 2), "a member twice, or too deep");
    assert!(members.keys().all(|name| needed.contains(&name.as_str()) || optional.contains(&name.as_str())));
    assert!(needed.iter().all(|name| members.contains_key(*name)));
}

/// A client's fault in words of ours: of what the client sent only places and names of fields are told.
fn check_refusal(error: &Error) {
    assert_eq!(error.kind(), Kind::InvalidArgument);
    let without_places: String = error.message().chars().filter(|c| !c.is_ascii_digit()).collect();
    match error.violations() {
        [] => assert!(WORDS.contains(&without_places.as_str()), "{}", error.message()),
        [one] => {
            assert!(FIELD_WORDS.contains(&one.description.as_str()) && one.field.chars().count() <= 64);
            assert_eq!(error.message(), format!("{}: {}", one.field, one.description));
        }
        several => panic!("one fault at a time: {several:?}"),
    }
}
