//! The disguises of a secret: what a model may be talked into writing in its place.
//!
//! Each is made once, when the secret is known, and looked for as it is. Nothing is decoded: an answer has no end before its
//! last character, and whoever decodes must know where a code begins. What is not in this list leaves: dots and dashes, a
//! code of the asker's own, letters with other text between them.

use std::fmt::{self, Write as _};

use super::squeezed;

/// Forms shorter than this are found everywhere by chance.
const MIN_FORM: usize = 8;
/// As many letters of a secret in a row are taken for the secret.
const PART: usize = 16;

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
/// The spelling alphabet of radio operators (ICAO), as it is mostly written.
const LETTERS: [&str; 26] = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo",
    "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor",
    "whiskey", "xray", "yankee", "zulu",
];

/// All forms in which a secret is looked for: letters and digits, folded.
pub(super) fn disguises(secret: &str) -> Vec<String> {
    let plain = squeezed(secret);
    let mut forms: Vec<String> =
        [backwards(&plain), plain.clone()].iter().flat_map(|form| parts(form, PART)).collect();
    let mut encoded = turned(secret);
    encoded.extend(spelled(&plain));
    for text in [secret.to_owned(), secret.to_lowercase(), secret.to_uppercase(), backwards(secret)] {
        encoded.extend(in_numbers(&text));
        let hex = escaped(&text, |out, byte| write!(out, "{byte:02x}"));
        encoded.extend(parts(&hex, 2 * PART));
        encoded.extend(inside(&text, 6, BASE64).flat_map(|form| parts(&form, PART * 4 / 3)));
        encoded.extend(inside(&text, 5, BASE32));
        encoded.extend(twice(&text, &hex));
    }
    forms.extend(encoded.iter().map(|form| squeezed(form)).filter(|form| form.len() >= MIN_FORM));
    forms
}

/// What of a text is enough to know it.
fn parts(form: &str, length: usize) -> Vec<String> {
    let chars: Vec<char> = form.chars().collect();
    if chars.len() <= length {
        return vec![form.to_owned()];
    }
    chars.windows(length).map(|part| part.iter().collect()).collect()
}

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

/// Letters put in the place of letters: turned by any number, the alphabet backwards, turned by 47 signs of ASCII, digits for
/// letters that look alike.
fn turned(secret: &str) -> Vec<String> {
    let each = |put: &dyn Fn(char) -> char| secret.chars().map(put).collect::<String>();
    let mut forms: Vec<String> = (1..26).map(|by| each(&|c| shifted(c, by))).collect();
    forms.push(each(&|c| mirrored(c)));
    forms.push(each(&|c| match u8::try_from(c) {
        Ok(byte @ b'!'..=b'~') => char::from((byte - b'!' + 47) % 94 + b'!'),
        _ => c,
    }));
    forms.push(each(&|c| match c.to_ascii_lowercase() {
        'a' => '4',
        'b' => '8',
        'e' => '3',
        'g' => '9',
        'i' | 'l' => '1',
        'o' => '0',
        's' => '5',
        't' => '7',
        _ => c,
    }));
    forms
}

/// A letter so many places further on in the alphabet.
pub(super) fn shifted(c: char, by: u8) -> char {
    let turn = |base: u8| u8::try_from(c).map_or(c, |byte| char::from((byte - base + by) % 26 + base));
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        _ => c,
    }
}

fn mirrored(c: char) -> char {
    let turn = |first: u8, last: u8| u8::try_from(c).map_or(c, |byte| char::from(last - (byte - first)));
    match c {
        'a'..='z' => turn(b'a', b'z'),
        'A'..='Z' => turn(b'A', b'Z'),
        _ => c,
    }
}

/// Digits as words, letters as words, both; and each character behind its number, counted from nought and from one.
fn spelled(plain: &str) -> [String; 5] {
    let words = |digits: bool, letters: bool| {
        let word = |c: char| match c {
            '0'..='9' if digits => DIGITS.get(usize::from(u8::try_from(c).unwrap_or(b'0') - b'0')),
            'a'..='z' if letters => LETTERS.get(usize::from(u8::try_from(c).unwrap_or(b'a') - b'a')),
            _ => None,
        };
        plain.chars().map(|c| word(c).map_or_else(|| c.to_string(), |word| (*word).to_owned())).collect()
    };
    let numbered = |first: usize| plain.chars().zip(first..).map(|(c, n)| format!("{n}{c}")).collect();
    [words(true, false), words(false, true), words(true, true), numbered(0), numbered(1)]
}

/// Bytes as numbers and as escapes of many languages.
fn in_numbers(text: &str) -> Vec<String> {
    let mut forms: Vec<String> = ["x", "0x", "00", "u00", "u000000"]
        .iter()
        .map(|prefix| escaped(text, |out, byte| write!(out, "{prefix}{byte:02x}")))
        .collect();
    forms.extend([
        escaped(text, |out, byte| write!(out, "{byte}")),
        escaped(text, |out, byte| write!(out, "{byte:03}")),
        escaped(text, |out, byte| write!(out, "chr{byte}")),
        escaped(text, |out, byte| write!(out, "{byte:o}")),
        escaped(text, |out, byte| write!(out, "{byte:03o}")),
        escaped(text, |out, byte| write!(out, "{byte:08b}")),
        // As in the address of a page.
        escaped(text, |out, byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.write_char(char::from(byte)),
            _ => write!(out, "{byte:02x}"),
        }),
    ]);
    forms
}

/// Two of the usual codes, one in the other.
fn twice(text: &str, hex: &str) -> Vec<String> {
    let base64 = whole(text);
    let turned: String = text.chars().map(|c| shifted(c, 13)).collect();
    let mut forms =
        vec![backwards(&base64), backwards(hex), base64.chars().map(|c| shifted(c, 13)).collect()];
    for inner in [&base64, &turned] {
        forms.push(escaped(inner, |out, byte| write!(out, "{byte:02x}")));
    }
    for inner in [&base64, &turned, &hex.to_owned()] {
        forms.extend(inside(inner, 6, BASE64));
    }
    forms
}

fn escaped(text: &str, mut put: impl FnMut(&mut String, u8) -> fmt::Result) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    text.bytes().for_each(|byte| put(&mut out, byte).unwrap_or_default());
    out
}

/// The Base64 of a text alone, without its padding.
fn whole(text: &str) -> String {
    let bits = text.len() * 8;
    encode(text.as_bytes(), 0..bits.div_ceil(6), 6, BASE64)
}

/// The digits of a text of which each holds so many bits, as they stand inside of a longer one: at each of the offsets that
/// there are, without the digits that its neighbours have a part in.
fn inside<'t>(text: &'t str, bits: usize, digits: &'static [u8]) -> impl Iterator<Item = String> + 't {
    // Base64 begins anew after three bytes, Base32 after five.
    let offsets = if bits == 6 { 3 } else { 5 };
    (0..offsets).map(move |offset| {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(text.bytes()).collect();
        encode(&padded, (offset * 8).div_ceil(bits)..padded.len() * 8 / bits, bits, digits)
    })
}

fn encode(bytes: &[u8], places: std::ops::Range<usize>, bits: usize, digits: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    let digit = |place: usize| (0..bits).fold(0, |value, n| value << 1 | bit(place * bits + n));
    places.filter_map(|place| digits.get(digit(place)).copied().map(char::from)).collect()
}
