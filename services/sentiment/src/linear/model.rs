//! The numbers of a file put to work: text to the two sums P and Q, and from them to probabilities and shares.

use super::feature::{Lexicon, features};
use super::file::{self, FileFault, Parameters};
use super::hash::Fnv;
use super::token::{Kind, Tokens, tokens};
use crate::domain::{Analysis, Probabilities, Word};

/// A loaded linear model. Immutable; one value serves every thread.
#[derive(Debug)]
pub struct LinearModel {
    numbers: Parameters,
    /// For each value of the highest 12 bits of a hash, where its words begin in `numbers.words`.
    index: Vec<u32>,
}

/// Polarity, subjectivity and the share of each token, before the softmax.
pub(crate) struct Sums {
    pub(crate) polarity: f64,
    pub(crate) subjectivity: f64,
    /// Number of features that counted.
    #[cfg(test)]
    pub(crate) features: u32,
    /// Share of each token in the polarity; empty unless asked for.
    pub(crate) shares: Vec<f64>,
}

const INDEX_BITS: u32 = 12;

impl LinearModel {
    /// Reads a model file of format `KSLM`.
    ///
    /// # Errors
    /// [`FileFault`] names the section of the file and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileFault> {
        let numbers = file::parse(bytes)?;
        let start_of = |top: u64| numbers.words.partition_point(|word| word >> (64 - INDEX_BITS) < top);
        let index =
            (0..=1_u64 << INDEX_BITS).map(|top| u32::try_from(start_of(top)).unwrap_or(u32::MAX)).collect();
        Ok(Self { numbers, index })
    }

    /// Label probabilities and, if asked for, the share of each token. About 20 ns per byte of text.
    #[must_use]
    pub fn analyze(&self, text: &str, explain: bool) -> Analysis {
        let tokens = tokens(text);
        if tokens.list.iter().all(|token| token.kind == Kind::Mark) {
            return Analysis::silence();
        }
        let sums = self.sums(text, &tokens, explain);
        let (p, q) = (sums.polarity, sums.subjectivity);
        // The file's limits keep both sums finite, so there are always probabilities.
        let probabilities =
            Probabilities::softmax(q - p / 2.0, 0.0, q + p / 2.0).unwrap_or(Probabilities::SILENCE);
        Analysis { probabilities, words: words(text, &tokens, &sums.shares) }
    }

    /// The sums over all features, each counted `cap` times at most.
    pub(crate) fn sums(&self, text: &str, tokens: &Tokens, explain: bool) -> Sums {
        let numbers = &self.numbers;
        let header = &numbers.header;
        let mut seen = Seen::with_room_for(tokens.list.len() * 4);
        let mut counts = vec![0_i32; if explain { tokens.list.len() } else { 0 }];
        let (mut p, mut q, mut features_counted) = (0_i64, 0_i64, 0_u32);
        features(text, tokens, self, |feature, place| {
            if seen.count(feature.value()) >= header.cap {
                return;
            }
            features_counted += 1;
            let bucket = usize::try_from(feature.bucket(numbers.mask)).unwrap_or(usize::MAX);
            let [weight_p, weight_q] = numbers.weights.get(bucket).copied().unwrap_or_default();
            p += i64::from(weight_p);
            q += i64::from(weight_q);
            if let Some(share) = counts.get_mut(place) {
                *share += i32::from(weight_p);
            }
        });
        let z = header.norm / f64::from(features_counted.max(1)).sqrt();
        Sums {
            polarity: header.bias_p + z * header.scale_p * exact(p),
            subjectivity: header.bias_q + z * header.scale_q * exact(q),
            #[cfg(test)]
            features: features_counted,
            shares: counts.into_iter().map(|share| z * header.scale_p * f64::from(share)).collect(),
        }
    }
}

impl Lexicon for LinearModel {
    fn valence(&self, word: Fnv) -> Option<i8> {
        let hash = word.value();
        let top = usize::try_from(hash >> (64 - INDEX_BITS)).ok()?;
        let from = usize::try_from(*self.index.get(top)?).ok()?;
        let to = usize::try_from(*self.index.get(top + 1)?).ok()?;
        let place = self.numbers.words.get(from..to)?.binary_search(&hash).ok()?;
        self.numbers.valences.get(from + place).copied()
    }
}

/// Sums of at most a million int8 values are exact in an `f64`.
fn exact(sum: i64) -> f64 {
    f64::from(i32::try_from(sum).unwrap_or(if sum < 0 { i32::MIN } else { i32::MAX }))
}

fn words(text: &str, tokens: &Tokens, shares: &[f64]) -> Vec<Word> {
    let word = |(token, weight): (&super::token::Token, &f64)| Word {
        text: text.get(token.bytes.clone()).unwrap_or_default().to_owned(),
        start: token.chars.start,
        end: token.chars.end,
        weight: *weight,
    };
    tokens.list.iter().zip(shares).map(word).collect()
}

/// How often each feature was seen: open addressing over the 64-bit hashes.
///
/// Two features of one text with the same 64 bits are counted as one; with 60,000 features the chance is 1e-10.
struct Seen {
    slots: Vec<(u64, u8)>,
    used: usize,
}

impl Seen {
    fn with_room_for(features: usize) -> Self {
        Self { slots: vec![(0, 0); (features * 2).next_power_of_two().max(64)], used: 0 }
    }

    /// How often the feature was seen before, up to 255; notes that it was seen.
    fn count(&mut self, hash: u64) -> u8 {
        if self.used * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(spread(hash) & (mask as u64)).unwrap_or(0);
        loop {
            match self.slots.get_mut(at) {
                Some((_, times @ 0)) => {
                    *times = 1;
                    if let Some(slot) = self.slots.get_mut(at) {
                        slot.0 = hash;
                    }
                    self.used += 1;
                    return 0;
                }
                Some((known, times)) if *known == hash => {
                    let before = *times;
                    *times = times.saturating_add(1);
                    return before;
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        let mask = old.len() * 2 - 1;
        self.slots = vec![(0, 0); old.len() * 2];
        for (hash, times) in old.into_iter().filter(|(_, times)| *times > 0) {
            let mut at = usize::try_from(spread(hash) & (mask as u64)).unwrap_or(0);
            while self.slots.get(at).is_some_and(|(_, times)| *times > 0) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = (hash, times);
            }
        }
    }
}

/// The middle bits of the hash, which differ also between strings that differ only in their last letter.
fn spread(hash: u64) -> u64 {
    hash ^ (hash >> 29)
}
