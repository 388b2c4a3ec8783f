//! The answer for one text. Invariant: the three probabilities are finite, each in `[0, 1]`, and sum to 1.

use std::fmt;
use std::str::FromStr;

/// The three classes a text can belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// The text speaks ill of something.
    Negative,
    /// The text neither praises nor blames, or holds no word at all.
    Neutral,
    /// The text speaks well of something.
    Positive,
}

impl Label {
    /// All labels, in the order in which probabilities are stored.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Neutral, Self::Positive];

    /// The lower-case name used in settings, files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Positive => "positive",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Label {
    type Err = String;

    /// Reads the usual spellings: `positive`, `POS`, `1`, `neutral`, `neu`, `0`, `negative`, `neg`, `-1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "positive" | "pos" | "1" | "+1" => Ok(Self::Positive),
            "neutral" | "neu" | "0" => Ok(Self::Neutral),
            "negative" | "neg" | "-1" => Ok(Self::Negative),
            other => Err(format!("`{other}` is none of positive (1), neutral (0), negative (-1)")),
        }
    }
}

/// Probabilities of the three classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probabilities {
    negative: f64,
    neutral: f64,
    positive: f64,
}

impl Probabilities {
    /// The answer by rule for a text that holds no word.
    pub const SILENCE: Self = Self { negative: 0.0, neutral: 1.0, positive: 0.0 };

    /// Softmax of three logits; an infinitely negative logit is a class that the model does not know.
    ///
    /// `None` when a logit is not a number or all are infinite: such an answer would be noise.
    #[must_use]
    pub fn softmax(negative: f64, neutral: f64, positive: f64) -> Option<Self> {
        let top = negative.max(neutral).max(positive);
        let [a, b, c] = [negative, neutral, positive].map(|logit| (logit - top).exp());
        Self::normalised(a, b, c)
    }

    /// Divides three weights by their sum. `None` unless all are finite, none is negative and the sum is above 0.
    #[must_use]
    pub fn normalised(negative: f64, neutral: f64, positive: f64) -> Option<Self> {
        let sum = negative + neutral + positive;
        let sane = |x: f64| x.is_finite() && x >= 0.0;
        if !(sane(negative) && sane(neutral) && sane(positive) && sum.is_finite() && sum > 0.0) {
            return None;
        }
        Some(Self { negative: negative / sum, neutral: neutral / sum, positive: positive / sum })
    }

    /// Probability of one class.
    #[must_use]
    pub fn of(&self, label: Label) -> f64 {
        match label {
            Label::Negative => self.negative,
            Label::Neutral => self.neutral,
            Label::Positive => self.positive,
        }
    }

    /// The class with the highest probability; neutral wins a tie, then negative.
    #[must_use]
    pub fn label(&self) -> Label {
        if self.neutral >= self.negative && self.neutral >= self.positive {
            Label::Neutral
        } else if self.negative >= self.positive {
            Label::Negative
        } else {
            Label::Positive
        }
    }

    /// p(positive) − p(negative), in `[-1, 1]`.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.positive - self.negative
    }
}

/// The share of one word, mark or emoji in the polarity of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As it stands in the text.
    pub text: String,
    /// Offset of its first character, in Unicode code points.
    pub start: u32,
    /// Offset behind its last character, in Unicode code points.
    pub end: u32,
    /// In logits; positive pulls towards [`Label::Positive`].
    pub weight: f64,
}

/// What a model answers for one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The calibrated probabilities; label and score follow from them.
    pub probabilities: Probabilities,
    /// The share of each word, in the order of the text; empty unless asked for.
    pub words: Vec<Word>,
}

impl Analysis {
    /// The answer for a text that holds no word, emoticon or emoji: neutral, by rule.
    #[must_use]
    pub fn silence() -> Self {
        Self { probabilities: Probabilities::SILENCE, words: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_also_at_the_edges() {
        for logits in [
            [0.0, 0.0, 0.0],
            [900.0, 0.0, -900.0],
            [-1e9, 0.0, 1e9],
            [f64::NEG_INFINITY, f64::NEG_INFINITY, 3.0],
        ] {
            let p = Probabilities::softmax(logits[0], logits[1], logits[2]).unwrap();
            let sum: f64 = Label::ALL.iter().map(|l| p.of(*l)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{logits:?} -> {sum}");
            assert!((-1.0..=1.0).contains(&p.score()));
        }
    }

    #[test]
    fn noise_has_no_probabilities() {
        assert_eq!(Probabilities::softmax(f64::NAN, 0.0, 0.0), None);
        assert_eq!(Probabilities::softmax(f64::INFINITY, 0.0, 0.0), None);
        assert_eq!(Probabilities::softmax(f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY), None);
        assert_eq!(Probabilities::normalised(0.0, 0.0, 0.0), None);
        assert_eq!(Probabilities::normalised(-0.1, 0.6, 0.5), None);
    }

    #[test]
    fn a_tie_is_neutral_first() {
        assert_eq!(Probabilities::softmax(1.0, 1.0, 1.0).unwrap().label(), Label::Neutral);
        assert_eq!(Probabilities::normalised(0.5, 0.0, 0.5).unwrap().label(), Label::Negative);
        assert_eq!(Probabilities::normalised(0.2, 0.3, 0.5).unwrap().label(), Label::Positive);
    }

    #[test]
    fn labels_are_read_in_the_usual_spellings() {
        assert_eq!("POSITIVE".parse(), Ok(Label::Positive));
        assert_eq!(" -1 ".parse(), Ok(Label::Negative));
        assert_eq!("neu".parse(), Ok(Label::Neutral));
        assert!("LABEL_0".parse::<Label>().unwrap_err().contains("label_0"));
    }
}
