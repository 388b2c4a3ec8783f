//! Accuracy, F1, calibration and correlation, as `train/evalkit.py` computes them.

use std::collections::BTreeMap;

use super::labelled::Example;
use crate::domain::{Label, Probabilities};

/// Bins of the calibration error.
const BINS: u32 = 15;

/// Figures over a set of texts. What the set cannot tell is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Number of texts.
    pub texts: usize,
    /// Share of right labels; over three classes if the set has neutral texts, else by the sign of the score.
    pub accuracy: f64,
    /// Mean of the classes' F1, over the same classes.
    pub macro_f1: f64,
    /// Expected calibration error of the label's probability (15 bins), over the same classes.
    pub ece: f64,
    /// Share of right signs among the texts that are not neutral.
    pub polarity_accuracy: Option<f64>,
    /// Expected calibration error of positive against negative among them.
    pub polarity_ece: Option<f64>,
    /// Pearson's correlation of the score with people's ratings.
    pub rating_correlation: Option<f64>,
    /// Each class of the set.
    pub classes: Vec<ClassFigures>,
}

/// Figures of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassFigures {
    /// The class.
    pub label: Label,
    /// Texts that people put there.
    pub texts: usize,
    /// Share of those among the texts that the model put there.
    pub precision: f64,
    /// Share of those that the model found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// A text with the answer for it.
#[derive(Clone, Copy)]
pub(super) struct Scored<'a> {
    pub(super) example: &'a Example,
    answer: &'a Probabilities,
}

/// A label, how sure the model was of it, and whether it is right.
struct Verdict {
    truth: Label,
    said: Label,
    confidence: f64,
}

impl<'a> Scored<'a> {
    pub(super) fn new(example: &'a Example, answer: &'a Probabilities) -> Self {
        Self { example, answer }
    }

    fn of_three(&self) -> Verdict {
        let said = self.answer.label();
        Verdict { truth: self.example.label, said, confidence: self.answer.of(said) }
    }

    /// Positive against negative only.
    fn of_two(&self) -> Verdict {
        let (negative, positive) = (self.answer.of(Label::Negative), self.answer.of(Label::Positive));
        let share = positive / (negative + positive).max(1e-9);
        let said = if positive >= negative { Label::Positive } else { Label::Negative };
        Verdict { truth: self.example.label, said, confidence: share.max(1.0 - share) }
    }
}

impl Figures {
    pub(super) fn of(scored: &[Scored<'_>]) -> Self {
        let has_neutral = scored.iter().any(|one| one.example.label == Label::Neutral);
        let all: Vec<_> =
            scored.iter().map(|one| if has_neutral { one.of_three() } else { one.of_two() }).collect();
        let polar = scored
            .iter()
            .filter(|one| one.example.label != Label::Neutral)
            .map(Scored::of_two)
            .collect::<Vec<_>>();
        let known: &[Label] = if has_neutral { &Label::ALL } else { &[Label::Negative, Label::Positive] };
        let classes: Vec<_> = known.iter().map(|label| ClassFigures::of(*label, &all)).collect();
        let some = !polar.is_empty();
        Self {
            texts: scored.len(),
            accuracy: accuracy(&all),
            macro_f1: mean(classes.iter().map(|class| class.f1)),
            ece: calibration_error(&all),
            polarity_accuracy: some.then(|| accuracy(&polar)),
            polarity_ece: some.then(|| calibration_error(&polar)),
            rating_correlation: correlation(scored),
            classes,
        }
    }
}

impl ClassFigures {
    fn of(label: Label, verdicts: &[Verdict]) -> Self {
        let count = |test: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| test(verdict)).count();
        let right = count(&|verdict| verdict.truth == label && verdict.said == label);
        let (truth, said) =
            (count(&|verdict| verdict.truth == label), count(&|verdict| verdict.said == label));
        Self {
            label,
            texts: truth,
            precision: ratio(right, said),
            recall: ratio(right, truth),
            f1: ratio(2 * right, truth + said),
        }
    }
}

/// Mean over each source and label of the share of right answers; `None` when no text has a source.
pub(super) fn balanced(scored: &[Scored<'_>]) -> Option<f64> {
    let mut groups: BTreeMap<(&str, Label), (usize, usize)> = BTreeMap::new();
    for one in scored {
        let Some(source) = one.example.source.as_deref() else { continue };
        let verdict = if one.example.label == Label::Neutral { one.of_three() } else { one.of_two() };
        let (right, all) = groups.entry((source, verdict.truth)).or_default();
        *right += usize::from(verdict.truth == verdict.said);
        *all += 1;
    }
    (!groups.is_empty()).then(|| mean(groups.values().map(|(right, all)| ratio(*right, *all))))
}

/// 0 where nothing was counted.
fn ratio(part: usize, whole: usize) -> f64 {
    float(part) / float(whole.max(1))
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / float(count.max(1))
}

fn accuracy(verdicts: &[Verdict]) -> f64 {
    ratio(verdicts.iter().filter(|verdict| verdict.truth == verdict.said).count(), verdicts.len())
}

/// Mean distance of confidence and accuracy over bins `(low, high]` of the confidence, weighted by their size.
fn calibration_error(verdicts: &[Verdict]) -> f64 {
    let bin_error = |bin: u32| {
        let (low, high) = (f64::from(bin) / f64::from(BINS), f64::from(bin + 1) / f64::from(BINS));
        let within: Vec<_> = verdicts
            .iter()
            .filter(|verdict| verdict.confidence > low && verdict.confidence <= high)
            .collect();
        let right = within.iter().filter(|verdict| verdict.truth == verdict.said).count();
        let confidence: f64 = within.iter().map(|verdict| verdict.confidence).sum();
        (confidence - float(right)).abs()
    };
    (0..BINS).map(bin_error).sum::<f64>() / float(verdicts.len().max(1))
}

/// Pearson's, over the texts that have a rating; `None` where either side does not vary.
fn correlation(scored: &[Scored<'_>]) -> Option<f64> {
    let pairs: Vec<(f64, f64)> =
        scored.iter().filter_map(|one| Some((one.answer.score(), one.example.rating?))).collect();
    let (mean_x, mean_y) = (mean(pairs.iter().map(|pair| pair.0)), mean(pairs.iter().map(|pair| pair.1)));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| of(x - mean_x, y - mean_y)).sum::<f64>();
    let spread = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    (spread > 0.0).then(|| sum(&|x, y| x * y) / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(label: Label, rating: Option<f64>) -> Example {
        Example { line: 1, source: None, label, rating, text: String::new() }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn figures_of_a_set_small_enough_for_paper() {
        let p = |a, b, c| Probabilities::normalised(a, b, c).unwrap();
        let rows = [
            (example(Label::Positive, Some(2.0)), p(0.1, 0.2, 0.7)),
            (example(Label::Positive, Some(1.0)), p(0.5, 0.1, 0.4)),
            (example(Label::Negative, Some(-2.0)), p(0.8, 0.1, 0.1)),
            (example(Label::Neutral, Some(0.0)), p(0.2, 0.6, 0.2)),
        ];
        let scored: Vec<_> = rows.iter().map(|(example, answer)| Scored::new(example, answer)).collect();
        let figures = Figures::of(&scored);
        assert_eq!(figures.texts, 4);
        close(figures.accuracy, 0.75);
        // F1: negative 2/3, neutral 1, positive 2/3.
        close(figures.macro_f1, (2.0 / 3.0 + 1.0 + 2.0 / 3.0) / 3.0);
        // Each text has a bin of its own: 0.3 + 0.5 + 0.2 + 0.4.
        close(figures.ece, 1.4 / 4.0);
        close(figures.polarity_accuracy.unwrap(), 2.0 / 3.0);
        assert!(figures.rating_correlation.unwrap() > 0.9);
        let positive = figures.classes.iter().find(|class| class.label == Label::Positive).unwrap();
        assert_eq!((positive.texts, positive.precision, positive.recall), (2, 1.0, 0.5));
    }

    #[test]
    fn a_set_without_neutral_texts_is_judged_by_the_sign() {
        let answer = Probabilities::normalised(0.1, 0.8, 0.1001).unwrap();
        let example = example(Label::Positive, None);
        let figures = Figures::of(&[Scored::new(&example, &answer)]);
        close(figures.accuracy, 1.0);
        assert_eq!(figures.classes.len(), 2);
        assert_eq!(figures.rating_correlation, None);
    }
}
