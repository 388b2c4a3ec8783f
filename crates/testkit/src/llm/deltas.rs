//! Splits a text into the contents of JSON strings, one for each delta.

use std::fmt::Write;

use super::reply::Cuts;

/// The deltas of a text, escaped for JSON and without quotes. An empty text has none.
pub(super) fn deltas(text: &str, cuts: &Cuts, escaped: bool) -> Vec<String> {
    let mut all = Vec::new();
    let mut delta = String::new();
    let mut due = false;
    for (place, character) in text.char_indices() {
        if due || cuts.hit(place) {
            next(&mut all, &mut delta);
        }
        // A cut inside of a character.
        due = (place + 1..place + character.len_utf8()).any(|place| cuts.hit(place));
        let mut units = [0; 2];
        match character {
            '"' | '\\' => delta.extend(['\\', character]),
            _ if character.is_control() => unit(&mut delta, character.into()),
            _ if !escaped || character.is_ascii() => delta.push(character),
            _ => match *character.encode_utf16(&mut units) {
                [first, second] if due => {
                    unit(&mut delta, first.into());
                    next(&mut all, &mut delta);
                    unit(&mut delta, second.into());
                    due = false;
                }
                ref units => units.iter().for_each(|one| unit(&mut delta, u32::from(*one))),
            },
        }
    }
    next(&mut all, &mut delta);
    all
}

/// A text for a JSON string, as a whole.
pub(super) fn literal(text: &str, escaped: bool) -> String {
    deltas(text, &Cuts::Nowhere, escaped).concat()
}

fn next(all: &mut Vec<String>, delta: &mut String) {
    if !delta.is_empty() {
        all.push(std::mem::take(delta));
    }
}

fn unit(delta: &mut String, unit: u32) {
    // Writing into a string does not fail.
    let _ = write!(delta, "\\u{unit:04x}");
}
