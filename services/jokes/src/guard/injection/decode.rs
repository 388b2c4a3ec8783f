//! What is encoded in a text: Base64, hexadecimal digits, percent signs, escapes and entities.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::{Captures, Regex};

/// Base64 that lacks its padding, or whose last bits are not zero, is read as well.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// Finds encoded runs.
#[derive(Debug)]
pub(super) struct Decoder {
    base64: Regex,
    hex: Regex,
    escape: Regex,
}

impl Decoder {
    pub(super) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            base64: Regex::new(r"[A-Za-z0-9+/_-]{16,}")?,
            hex: Regex::new(r"(?-u)(?:\b|\\x)(?:(?:0x|\\x)?[0-9a-fA-F]{2}[ :,]{0,2}){8,}")?,
            escape: Regex::new(
                r"(?-u)%([0-9a-fA-F]{2})|\\u\{?([0-9a-fA-F]{4})\}?|&#x([0-9a-fA-F]{2,5});?|&#([0-9]{2,6});?",
            )?,
        })
    }

    /// The texts that are encoded in a text, together not much longer than it.
    pub(super) fn decode(&self, text: &str) -> Vec<String> {
        let base64 = self.base64.find_iter(text).filter_map(|run| base64(run.as_str()));
        let hex = self.hex.find_iter(text).filter_map(|run| hex(run.as_str()));
        let escaped = (self.escape.find_iter(text).nth(3).is_some())
            .then(|| self.escape.replace_all(text, |parts: &Captures<'_>| unescaped(parts)).into_owned());
        base64.chain(hex).chain(escaped).collect()
    }
}

fn base64(run: &str) -> Option<String> {
    let standard = run.replace('-', "+").replace('_', "/");
    // One digit alone encodes nothing.
    let even = standard.get(..standard.len() - usize::from(standard.len() % 4 == 1))?;
    readable(BASE64.decode(even).ok()?)
}

fn hex(run: &str) -> Option<String> {
    let digits: Vec<u32> =
        run.replace("0x", "").replace("\\x", "").chars().filter_map(|c| c.to_digit(16)).collect();
    readable(
        digits
            .chunks_exact(2)
            .filter_map(|pair| u8::try_from(pair.iter().fold(0, |sum, digit| sum * 16 + digit)).ok())
            .collect(),
    )
}

/// Bytes as a text, if they are one.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    text.chars().all(|c| !c.is_control() || c.is_whitespace()).then_some(text)
}

fn unescaped(parts: &Captures<'_>) -> String {
    let number =
        |place: usize, base| parts.get(place).and_then(|part| u32::from_str_radix(part.as_str(), base).ok());
    let code = number(1, 16).or_else(|| number(2, 16)).or_else(|| number(3, 16)).or_else(|| number(4, 10));
    code.and_then(char::from_u32).map(String::from).unwrap_or_default()
}
