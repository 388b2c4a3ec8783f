//! The JSON Schema accepts what the parser accepts, and refuses what is wrong in shape.
//!
//! The validator below knows the part of JSON Schema 2020-12 that the schema uses, but for `pattern`; any other
//! keyword is a failure, so that nothing in the schema goes unchecked by accident.

use serde_json::Value;

use crate::{
    analyser::read,
    support::{DEMO, parse, root, with_line},
};

struct Schema(Value);

impl Schema {
    fn load() -> Self {
        let text = std::fs::read_to_string(root().join("policies/mesh.schema.json")).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    fn accepts(&self, value: &Value) -> bool {
        self.valid(&self.0, value)
    }

    fn valid(&self, schema: &Value, value: &Value) -> bool {
        let Some(keywords) = schema.as_object() else { return schema.as_bool().unwrap() };
        keywords.iter().all(|(keyword, wanted)| match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" | "pattern" => true,
            "$ref" => {
                self.valid(self.0.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap(), value)
            }
            "type" => is_type(wanted.as_str().unwrap(), value),
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "not" => !self.valid(wanted, value),
            "oneOf" => wanted.as_array().unwrap().iter().filter(|one| self.valid(one, value)).count() == 1,
            "anyOf" => wanted.as_array().unwrap().iter().any(|one| self.valid(one, value)),
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap())
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 <= wanted.as_u64().unwrap())
            }
            "minimum" => value.as_u64().is_none_or(|number| number >= wanted.as_u64().unwrap()),
            "maximum" => value.as_u64().is_none_or(|number| number <= wanted.as_u64().unwrap()),
            "items" | "minItems" | "uniqueItems" => {
                value.as_array().is_none_or(|items| self.valid_array(keyword, wanted, items))
            }
            _ => value
                .as_object()
                .is_none_or(|object| self.valid_object(keyword, (schema, wanted), (value, object))),
        })
    }

    fn valid_array(&self, keyword: &str, wanted: &Value, items: &[Value]) -> bool {
        match keyword {
            "items" => items.iter().all(|item| self.valid(wanted, item)),
            "minItems" => items.len() as u64 >= wanted.as_u64().unwrap(),
            _ => items.iter().enumerate().all(|(index, item)| !items[..index].contains(item)),
        }
    }

    fn valid_object(
        &self,
        keyword: &str,
        (schema, wanted): (&Value, &Value),
        (value, object): (&Value, &serde_json::Map<String, Value>),
    ) -> bool {
        let stated = &schema["properties"];
        match keyword {
            "required" => {
                wanted.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
            }
            "properties" => {
                object.iter().all(|(key, value)| wanted.get(key).is_none_or(|one| self.valid(one, value)))
            }
            "additionalProperties" => object
                .iter()
                .filter(|(key, _)| stated.get(key).is_none())
                .all(|(_, value)| self.valid(wanted, value)),
            "propertyNames" => object.keys().all(|key| self.valid(wanted, &Value::from(key.as_str()))),
            "minProperties" => object.len() as u64 >= wanted.as_u64().unwrap(),
            "maxProperties" => object.len() as u64 <= wanted.as_u64().unwrap(),
            "dependentSchemas" => {
                let dependent = wanted.as_object().unwrap().iter();
                dependent.filter(|(key, _)| object.contains_key(*key)).all(|(_, one)| self.valid(one, value))
            }
            other => panic!("the validator does not know {other}"),
        }
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("the validator does not know type {other}"),
    }
}

#[test]
fn the_schema_accepts_the_files_that_the_parser_accepts() {
    let schema = Schema::load();
    let committed = std::fs::read_to_string(root().join("policies/mesh.yaml")).unwrap();
    let internet = DEMO.replace("cache: {port: 6379}", "cache: {port: 443, egress: internet}");
    for text in [DEMO, &committed, &internet] {
        assert!(schema.accepts(&read(text)), "{text}");
    }
}

#[test]
fn the_schema_refuses_what_is_wrong_in_shape() {
    let schema = Schema::load();
    for (line, text) in [
        (1, ""),
        (1, "version: 2"),
        (1, "version: 1\nextra: 1"),
        (4, "monitoring: {namespace: monitoring}"),
        (6, "  alpha:read:"),
        (9, "  user: []"),
        (9, "  user: [alpha:read, alpha:write, alpha:read]"),
        (13, "      http: {port: 80, from: [internet]}"),
        (13, "      http: {port: \"8080\", from: [internet]}"),
        (13, "      http: {port: 8080, from: internet}"),
        (14, ""),
        (14, "      admin: {port: 8100}"),
        (21, "    disruption: {maxUnavailable: 0}"),
        (24, "      grpc: {port: 50052}"),
        (22, "  default-deny:"),
        (26, "  person: {external: false}"),
        (26, "  person: {external: true, uses: [db]}"),
        (26, "  person: {}"),
        (28, "  cache: {port: 6379, egress: everywhere}"),
        (28, "  cache: {port: 6379, egress: internet, app: redis}"),
        (32, "    Read: {from: [edge]}"),
        (32, "    Read: {from: [], deadline: 2s}"),
        (32, "    Read: {from: [internet], deadline: 2s}"),
        (32, "    Read: {from: [edge], deadline: 2}"),
        (33, "    Write: {from: [edge], user: any, deadline: 5s}"),
        (33, "    Write: {from: [edge], user: {scop: x}, deadline: 5s}"),
        (35, "    Purge: {nobody: short}"),
        (35, "    Purge: {nobody: kept for the migration tool, from: [edge]}"),
        (39, "      - {from: [person], deadline: 500ms, retries: 3}"),
    ] {
        let text = with_line(line, text);
        assert!(!schema.accepts(&read(&text)), "the schema accepts\n{text}");
        assert!(parse(&text).is_err(), "the parser accepts\n{text}");
    }
}
