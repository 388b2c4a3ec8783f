//! JSON of which there is only one reading.
//!
//! An object with the same member twice means different things to different parsers (RFC 8725 §2.4 and RFC 8259 §4), so it
//! is refused at every level, as are deep nesting and anything after the value.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Objects and arrays inside one another, the outermost counted.
const MAX_DEPTH: usize = 8;

/// What [`object`] refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not JSON, or something after it.
    Malformed,
    /// A member is there twice.
    Duplicate,
    /// Nested too deep.
    Deep,
    /// JSON, but not an object.
    NotAnObject,
}

/// Parses one object.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let fault = Cell::new(Fault::Malformed);
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value =
        Strict { depth: MAX_DEPTH, fault: &fault }.deserialize(&mut parser).map_err(|_| fault.get())?;
    parser.end().map_err(|_| Fault::Malformed)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Fault::NotAnObject),
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<Fault>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.refuse(Fault::Deep)),
        }
    }

    fn refuse<E: serde::de::Error>(self, fault: Fault) -> E {
        self.fault.set(fault);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.refuse(Fault::Duplicate));
            }
            members.insert(name, map.next_value_seed(inner)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_every_kind_of_value_is_read() {
        let members = object(br#" {"a":[1,-2,3.5,true,null,"x\u00e9"],"b":{"a":{}}} "#).unwrap();
        assert_eq!(members["a"], serde_json::json!([1, -2, 3.5, true, null, "xé"]));
        assert_eq!(members["b"], serde_json::json!({"a": {}}));
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for (text, fault) in [
            (r#"{"a":1,"a":1}"#, Fault::Duplicate),
            (r#"{"a":1,"\u0061":2}"#, Fault::Duplicate),
            (r#"{"x":{"a":1,"a":2}}"#, Fault::Duplicate),
            (r#"{"x":[{"a":1,"a":2}]}"#, Fault::Duplicate),
            (r#"{"a":1}{"#, Fault::Malformed),
            (r#"{"a":1},"#, Fault::Malformed),
            (r#"{"a":1,}"#, Fault::Malformed),
            (r#"{"a":01}"#, Fault::Malformed),
            (r#"{"a":1e999}"#, Fault::Malformed),
            (r#"{"a":NaN}"#, Fault::Malformed),
            (r#"{"a":"\ud800"}"#, Fault::Malformed),
            ("\u{feff}{}", Fault::Malformed),
            ("", Fault::Malformed),
            ("[]", Fault::NotAnObject),
            ("1", Fault::NotAnObject),
        ] {
            assert_eq!(object(text.as_bytes()), Err(fault), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Fault::Malformed));
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(object(nested(MAX_DEPTH).as_bytes()), Err(Fault::Deep));
        assert_eq!(object("[".repeat(100_000).as_bytes()), Err(Fault::Deep));
    }
}
