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

/// A body of any bytes, as each type that a route takes.
pub(crate) fn json(data: &[u8]) {
    for ((name, read), (expected, needed, optional)) in bodies(data).into_iter().zip(MEMBERS) {
        assert_eq!(name, expected);
        match read {
            Ok(()) => check_members(data, needed, optional),
            Err(error) => check_refusal(data, &error),
        }
    }
}

fn check_members(data: &[u8], needed: &[&str], optional: &[&str]) {
    let members: Map<String, Value> = serde_json::from_slice(data).expect("one object");
    assert!(unique::depth(data).is_some_and(|depth| depth <= 2), "a member twice, or too deep");
    assert!(members.keys().all(|name| needed.contains(&name.as_str()) || optional.contains(&name.as_str())));
    assert!(needed.iter().all(|name| members.contains_key(*name)));
}

/// A client's fault, short, and without what the client sent but for the name of a field.
fn check_refusal(data: &[u8], error: &Error) {
    assert_eq!(error.kind(), Kind::InvalidArgument);
    let described = error.violations().iter().map(|violation| violation.description.as_str());
    let told = described.fold(error.message().to_owned(), |all, one| all + "\n" + one);
    assert!(told.len() <= 200, "{told}");
    assert!(error.violations().iter().all(|violation| violation.field.chars().count() <= 64));
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let is_name = |text: &str| error.violations().iter().any(|violation| violation.field.contains(text));
        each_text(&value, &mut |text| {
            assert!(text.len() < 24 || !told.contains(text) || is_name(text), "{told}");
        });
    }
}

fn each_text(value: &Value, check: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => check(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, check)),
        Value::Object(members) => members.values().for_each(|member| each_text(member, check)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
