//! What kind of joke is wanted.

use std::fmt;
use std::str::FromStr;

use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Serialize};

/// Most characters of a topic.
pub const MAX_TOPIC: usize = 200;
/// Most characters of an audience.
pub const MAX_AUDIENCE: usize = 80;
/// Most characters of a language tag (RFC 5646 §4.4.1 recommends room for 35).
const MAX_LANGUAGE: usize = 35;

/// A wish for a joke.
#[derive(Clone, Debug, PartialEq)]
pub struct JokeRequest {
    /// What it is about.
    pub topic: Topic,
    /// What kind it is.
    pub params: Params,
}

/// What kind of joke.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// The kind.
    pub style: Style,
    /// For whom.
    #[serde(default, skip_serializing_if = "Audience::is_everybody")]
    pub audience: Audience,
    /// In which language.
    pub language: Language,
    /// How long.
    pub length: Length,
    /// How daring the model is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
    /// Makes a model that knows seeds answer alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
}

/// What a joke is about: 1 to 200 characters, none of them a control character, not only blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(String);

/// For whom a joke is: at most 80 characters; empty is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audience(String);

/// A language tag of BCP 47, well-formed and in lower case but for its script and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Language(String);

/// From 0 to 2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Temperature(f64);

/// The kind of joke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// A play on words.
    #[default]
    Pun,
    /// One sentence, then the turn.
    OneLiner,
    /// Who's there?
    KnockKnock,
    /// A question and an answer that nobody would guess.
    Riddle,
    /// Harmless and a little embarrassing.
    Dad,
    /// About how things are.
    Observational,
}

/// How long a joke may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// At most about 25 words.
    Short,
    /// At most about 60 words.
    #[default]
    Medium,
    /// At most about 120 words.
    Long,
}

impl Style {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Pun, Self::OneLiner, Self::KnockKnock, Self::Riddle, Self::Dad, Self::Observational];

    /// As in the database, in prompts and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pun => "pun",
            Self::OneLiner => "one_liner",
            Self::KnockKnock => "knock_knock",
            Self::Riddle => "riddle",
            Self::Dad => "dad",
            Self::Observational => "observational",
        }
    }
}

impl Length {
    /// Most words, about.
    #[must_use]
    pub fn words(self) -> u32 {
        match self {
            Self::Short => 25,
            Self::Medium => 60,
            Self::Long => 120,
        }
    }
}

impl Topic {
    /// Blanks around it do not count.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = line(text, MAX_TOPIC)?;
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Self(text)) }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Audience {
    /// Blanks around it do not count.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        line(text, MAX_AUDIENCE).map(Self)
    }

    /// As text; empty for everybody.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }
}

impl Language {
    /// A well-formed tag: a language of two or three letters, then subtags (RFC 5646 §2.1, without its irregular and private
    /// ones). Empty is English.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut subtags = text.split('-');
        let language = subtags.next().unwrap_or_default();
        let is_word = |tag: &str, length: std::ops::RangeInclusive<usize>| {
            length.contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let is_language = is_word(language, 2..=3) && language.bytes().all(|b| b.is_ascii_alphabetic());
        if text.len() > MAX_LANGUAGE || !is_language || !subtags.all(|tag| is_word(tag, 2..=8)) {
            return Err("must be a language tag of BCP 47 such as \"en\" or \"pt-BR\"".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Self("en".to_owned())
    }
}

impl Temperature {
    /// From 0 to 2.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(value: f64) -> Result<Self, String> {
        if (0.0..=2.0).contains(&value) { Ok(Self(value)) } else { Err("must be 0 to 2".to_owned()) }
    }

    /// As a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl FromStr for Style {
    type Err = serde::de::value::Error;

    /// By [`Style::name`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::deserialize(text.into_deserializer())
    }
}

impl FromStr for Length {
    type Err = serde::de::value::Error;

    /// `short`, `medium` or `long`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::deserialize(text.into_deserializer())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of text without control characters.
fn line(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > most {
        return Err(format!("must have at most {most} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must be one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_line_of_text() {
        assert_eq!(Topic::parse("  cats  ").unwrap().as_str(), "cats");
        assert!(Topic::parse(&"ö".repeat(MAX_TOPIC)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{0}b", &"x".repeat(MAX_TOPIC + 1)] {
            assert!(Topic::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_language_is_a_tag() {
        for good in ["", "en", "de", "pt-BR", "zh-Hant-TW", "gsw"] {
            assert!(Language::parse(good).is_ok(), "{good}");
        }
        for bad in ["e", "english", "en_US", "en-", "x-klingon", "12", "en-abcdefghi", &"en-us".repeat(9)] {
            assert!(Language::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Language::parse("").unwrap().as_str(), "en");
    }

    #[test]
    fn a_temperature_is_a_number_in_its_range() {
        for bad in [-0.1, 2.1, f64::NAN, f64::INFINITY] {
            assert!(Temperature::parse(bad).is_err(), "{bad}");
        }
        assert!(Temperature::parse(2.0).is_ok());
    }

    #[test]
    fn params_survive_their_json() {
        let params = Params { seed: Some(7), temperature: Some(Temperature(0.5)), ..Params::default() };
        let json = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<Params>(&json).unwrap(), params);
        assert_eq!(
            serde_json::to_string(&Params::default()).unwrap(),
            r#"{"style":"pun","language":"en","length":"medium"}"#
        );
    }
}
