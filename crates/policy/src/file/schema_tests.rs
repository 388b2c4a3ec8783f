//! `policies/mesh.schema.json` says what the reader does: the same keys, the same ranges, the same words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    VERSION,
    shape::{self, Shape},
    value::{RESERVED, name_problem, scope_problem},
    workloads::{ADMIN_PORTS, LISTEN_PORTS},
};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../policies/mesh.schema.json")).unwrap()
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().map(|one| one.as_str().unwrap()).collect()
}

fn assert_agrees(shape: &Shape, schema: &Value) {
    let keys: BTreeSet<_> = shape.keys.iter().map(|(key, _)| *key).collect();
    let stated: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(stated, keys, "keys of {}", shape.name);
    let required: BTreeSet<_> =
        shape.keys.iter().filter(|(_, required)| *required).map(|(key, _)| *key).collect();
    assert_eq!(texts(&schema["required"]), required, "required keys of {}", shape.name);
    assert_eq!(schema["additionalProperties"], false, "{}", shape.name);
}

#[test]
fn every_mapping_has_the_keys_of_the_schema() {
    let schema = schema();
    assert_agrees(&shape::ROOT, &schema);
    let mut named = BTreeSet::new();
    for shape in shape::NESTED {
        assert_agrees(shape, &schema["$defs"][shape.name]);
        named.insert(shape.name);
    }
    let objects = schema["$defs"].as_object().unwrap().iter().filter(|(_, def)| def["type"] == "object");
    assert_eq!(objects.map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>(), named);
}

#[test]
fn ranges_and_words_are_those_of_the_schema() {
    let schema = schema();
    let range = |def: &str| {
        let def = &schema["$defs"][def];
        (def["minimum"].as_u64().unwrap(), def["maximum"].as_u64().unwrap())
    };
    assert_eq!(range("listenPort"), (u64::from(*LISTEN_PORTS.start()), u64::from(*LISTEN_PORTS.end())));
    assert_eq!(range("adminPort"), (u64::from(*ADMIN_PORTS.start()), u64::from(*ADMIN_PORTS.end())));
    assert_eq!(schema["properties"]["version"]["const"], VERSION);
    assert_eq!(texts(&schema["$defs"]["name"]["not"]["enum"]), BTreeSet::from(RESERVED));
    assert_eq!(
        texts(&schema["$defs"]["resource"]["properties"]["egress"]["enum"]),
        BTreeSet::from(["internet"])
    );
    assert_eq!(schema["$defs"]["rule"]["properties"]["user"]["oneOf"][0]["const"], "required");
}

/// The schema's patterns, read by hand: a change there must be made here and in the reader.
#[test]
fn patterns_are_those_of_the_schema() {
    let schema = schema();
    assert_eq!(schema["$defs"]["name"]["pattern"], "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$");
    assert!(name_problem(&format!("a{}9", "-".repeat(61))).is_none());
    assert!(name_problem(&format!("a{}9", "-".repeat(62))).is_some());
    assert_eq!(schema["$defs"]["scope"]["pattern"], "^[a-z]+([:-][a-z]+)*$");
    for (scope, legal) in [
        ("a", true),
        ("a:b", true),
        ("a-b:c", true),
        ("a:", false),
        (":a", false),
        ("a::b", false),
        ("a1", false),
    ] {
        assert_eq!(scope_problem(scope).is_none(), legal, "{scope}");
    }
    assert_eq!(schema["$defs"]["scope"]["maxLength"], 64);
    assert!(scope_problem(&"a".repeat(64)).is_none() && scope_problem(&"a".repeat(65)).is_some());
    assert_eq!(schema["$defs"]["duration"]["pattern"], "^[1-9][0-9]*(ms|s|m|h)$");
}
