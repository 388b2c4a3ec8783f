//! A list that stops growing where it is too long: a text of no character takes three bytes of JSON and two dozen of memory,
//! so a body of four megabytes could hold a million of them.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

/// Texts of one batch.
const MOST: usize = 256;

/// Reads texts; of those beyond the most that a batch may hold one is kept, so that the service refuses the batch.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_seq(Texts)
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while texts.len() <= MOST {
            match list.next_element()? {
                Some(text) => texts.push(text),
                None => return Ok(texts),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use crate::{api::sentiment::BatchBody, json};

    fn kept(texts: usize) -> usize {
        let list = vec!["\"\""; texts].join(",");
        let body: BatchBody = json::parse(format!("{{\"texts\":[{list}]}}").as_bytes()).unwrap();
        body.texts.len()
    }

    #[test]
    fn a_list_stops_growing_one_behind_its_limit() {
        assert_eq!([0, 1, 256, 257, 100_000].map(kept), [0, 1, 256, 257, 257]);
    }

    #[test]
    fn what_is_no_list_of_texts_is_refused() {
        for bad in [r#"{"texts":1}"#, r#"{"texts":[1]}"#, r#"{"texts":[[""]]}"#, r#"{"texts":[""}"#, "{}"] {
            assert!(json::parse::<BatchBody>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
