//! The scores of an answer, each from 0 to 1, and their means.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::domain::{Length, Told};
use crate::guard::is_unspaced;

/// Words of a shingle.
const SHINGLE: usize = 3;
/// Characters of a language without blanks that are about a word: most Chinese words have two.
const CHARACTERS_OF_A_WORD: usize = 2;

/// Scores from 0 to 1. What cannot be said, such as how an answer feels that never came, is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Whether the first answer was read strictly.
    pub schema: Option<f64>,
    /// Whether the answer passes the guards.
    pub guard: Option<f64>,
    /// How positive the joke feels.
    pub sentiment: Option<f64>,
    /// 1 for a joke that is as short as was wished; else the share of its words that was wished.
    pub length: Option<f64>,
    /// 1 less the greatest likeness to another joke of the run.
    pub distinctness: Option<f64>,
}

impl Scores {
    /// Names of the scores, as [`Self::named`] has them.
    pub const NAMES: [&str; 5] = ["schema", "guard", "sentiment", "length", "distinctness"];

    /// All, by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<f64>); 5] {
        let [schema, guard, sentiment, length, distinctness] = Self::NAMES;
        [
            (schema, self.schema),
            (guard, self.guard),
            (sentiment, self.sentiment),
            (length, self.length),
            (distinctness, self.distinctness),
        ]
    }

    /// The mean of each score over those that have it.
    pub(super) fn means<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mean = |score: fn(&Self) -> Option<f64>| {
            let (sum, count) =
                all.clone().filter_map(score).fold((0.0, 0_u32), |(sum, count), one| (sum + one, count + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        Self {
            schema: mean(|scores| scores.schema),
            guard: mean(|scores| scores.guard),
            sentiment: mean(|scores| scores.sentiment),
            length: mean(|scores| scores.length),
            distinctness: mean(|scores| scores.distinctness),
        }
    }
}

/// From a score of sentiment, which is -1 to 1.
pub(super) fn positivity(score: f64) -> f64 {
    f64::midpoint(score, 1.0).clamp(0.0, 1.0)
}

/// Whether both parts together keep to the wished length, or by how much they do not.
pub(super) fn length(told: &Told, wished: Length) -> f64 {
    let count = words(&told.setup).count() + words(&told.punchline).count();
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    (f64::from(wished.words()) / f64::from(count)).min(1.0)
}

/// For each text, 1 less its greatest resemblance to another one: the share of shingles of three words that two texts have
/// in common, of all that they have (A. Broder, On the resemblance and containment of documents, 1997).
pub(super) fn distinctness(texts: &[String]) -> Vec<f64> {
    let shingles: Vec<BTreeSet<u64>> = texts.iter().map(|text| shingles(text)).collect();
    let mut twins: HashMap<&BTreeSet<u64>, usize> = HashMap::new();
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, own) in shingles.iter().enumerate() {
        let seen = twins.entry(own).or_default();
        *seen += 1;
        // Of texts that are alike one is enough to be compared with.
        if *seen == 1 {
            own.iter().for_each(|shingle| holders.entry(*shingle).or_default().push(place));
        }
    }
    // Shingles in common with each text.
    let mut common = vec![0; texts.len()];
    let mut scores = Vec::with_capacity(texts.len());
    for (place, own) in shingles.iter().enumerate() {
        if twins.get(own).is_some_and(|seen| *seen > 1) {
            scores.push(0.0);
            continue;
        }
        common.fill(0);
        for other in own.iter().filter_map(|shingle| holders.get(shingle)).flatten() {
            common.get_mut(*other).into_iter().for_each(|count| *count += 1);
        }
        let others = shingles.iter().zip(&common).enumerate().filter(|(other, _)| *other != place);
        let alike = others.map(|(_, (of_other, both))| share(*both, own.len() + of_other.len() - both));
        scores.push(1.0 - alike.fold(0.0, f64::max));
    }
    scores
}

/// A text of fewer words is one shingle.
fn shingles(text: &str) -> BTreeSet<u64> {
    let words: Vec<String> = words(text).collect();
    if words.len() <= SHINGLE {
        return BTreeSet::from([hash(&words)]);
    }
    words.windows(SHINGLE).map(hash).collect()
}

fn hash(words: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    hasher.finish()
}

fn share(part: usize, of: usize) -> f64 {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    exact(part) / exact(of.max(1))
}

/// Words in lower case; apostrophes are inside of them. Languages without blanks are cut into pieces of two characters.
fn words(text: &str) -> impl Iterator<Item = String> {
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    text.split(move |c: char| !is_of_word(c)).flat_map(pieces).filter(|word| !word.is_empty())
}

fn pieces(run: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut unspaced = 0;
    for c in run.chars() {
        let is_new = match (is_unspaced(c), unspaced) {
            (true, count) => count == 0 || count == CHARACTERS_OF_A_WORD,
            (false, count) => count > 0,
        };
        if is_new {
            pieces.push(String::new());
            unspaced = 0;
        }
        unspaced += usize::from(is_unspaced(c));
        if let Some(piece) = pieces.last_mut() {
            piece.extend(c.to_lowercase());
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        words(text).collect()
    }

    fn distinct(texts: &[&str]) -> Vec<f64> {
        distinctness(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_counted_in_every_script() {
        assert_eq!(all("Why don't CATS — ever — pay?"), ["why", "don't", "cats", "ever", "pay"]);
        assert_eq!(all("猫はなぜ gRPC"), ["猫は", "なぜ", "grpc"]);
        assert_eq!(all("a猫b"), ["a", "猫", "b"]);
        assert!(all(" …!").is_empty());
    }

    #[test]
    fn a_joke_that_is_too_long_loses_its_share() {
        let told =
            |setup: &str, punchline: &str| Told { setup: setup.to_owned(), punchline: punchline.to_owned() };
        assert_eq!(length(&told("one two", "three"), Length::Short), 1.0);
        assert_eq!(length(&told(&"word ".repeat(20), &"word ".repeat(5)), Length::Short), 1.0);
        assert_eq!(length(&told(&"word ".repeat(40), &"word ".repeat(10)), Length::Short), 0.5);
        assert_eq!(length(&told("?", "!"), Length::Short), 1.0);
    }

    #[test]
    fn likeness_is_of_three_words_in_a_row() {
        assert_eq!(distinct(&["a b c d"]), [1.0]);
        assert_eq!(distinct(&["a b c d", "A b, c D!", "x y z"]), [0.0, 0.0, 1.0]);
        // Two of four shingles are common: abc, bcd of abc, bcd, cde and bcd, abc, cdf.
        assert_eq!(distinct(&["a b c d e", "a b c d f"]), [0.5, 0.5]);
        assert_eq!(distinct(&["a b", "b a", "a b c"]), [1.0, 1.0, 1.0]);
        assert_eq!(distinct(&["a", "a", ""]), [0.0, 0.0, 1.0]);
        assert!(distinct(&[]).is_empty());
    }

    #[test]
    fn thousands_of_texts_that_are_nearly_alike_are_compared_in_time() {
        let texts: Vec<_> =
            (0..2_000).map(|n| format!("why did the chicken number {n} cross the road again")).collect();
        let begun = std::time::Instant::now();
        let scores = distinctness(&texts);
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(scores.iter().all(|score| *score > 0.3 && *score < 0.7), "{:?}", scores[0]);
    }

    #[test]
    fn a_mean_is_over_those_that_have_the_score() {
        let one = Scores { schema: Some(1.0), guard: Some(0.5), ..Scores::default() };
        let other = Scores { schema: Some(0.0), ..Scores::default() };
        let means = Scores::means([one, other].iter());
        assert_eq!((means.schema, means.guard, means.length), (Some(0.5), Some(0.5), None));
    }

    #[test]
    fn feelings_are_scaled() {
        assert_eq!([-1.0, 0.0, 1.0].map(positivity), [0.0, 0.5, 1.0]);
    }
}
