//! Texts to the embedded model: a sane answer, and words that are where it says they are.

use std::sync::LazyLock;

use quipu_sentiment::{
    domain::{Analysis, Label, MAX_CHARS, Probabilities, Text},
    linear::has_words,
    models::{SharedModel, embedded},
};

static MODEL: LazyLock<SharedModel> = LazyLock::new(|| embedded().expect("the embedded model"));

/// A text of any bytes, each that is not UTF-8 replaced.
pub(crate) fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let chars = text.chars().count();
    let parsed = Text::parse(&text);
    assert_eq!(parsed.is_ok(), (1..=MAX_CHARS).contains(&chars), "{chars} characters");
    let Ok(text) = parsed else { return };
    let analysis = MODEL.analyze(text.as_str(), true).expect("an answer");
    let short = MODEL.analyze(text.as_str(), false).expect("an answer");
    assert_eq!(short.probabilities, analysis.probabilities, "an explanation changes nothing");
    assert!(short.words.is_empty());
    check_probabilities(&analysis);
    check_words(&analysis, text.as_str());
}

fn check_probabilities(analysis: &Analysis) {
    let all = Label::ALL.map(|label| analysis.probabilities.of(label));
    assert!(all.iter().all(|p| (0.0..=1.0).contains(p)), "{all:?}");
    assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{all:?}");
    let best = analysis.probabilities.of(analysis.probabilities.label());
    assert!(all.iter().all(|p| *p <= best) && (-1.0..=1.0).contains(&analysis.probabilities.score()));
}

/// In the order of the text, none over another, each cut out of the text by its offsets.
fn check_words(analysis: &Analysis, text: &str) {
    if !has_words(text) {
        assert_eq!(*analysis, Analysis::silence());
        assert_eq!(analysis.probabilities, Probabilities::SILENCE);
        return;
    }
    assert!(!analysis.words.is_empty());
    let chars: Vec<char> = text.chars().collect();
    let mut end = 0;
    for word in &analysis.words {
        assert!(end <= word.start && word.start < word.end, "{word:?} behind {end}");
        let range = word.start as usize..word.end as usize;
        assert_eq!(chars[range].iter().collect::<String>(), word.text);
        assert!(word.weight.is_finite());
        end = word.end;
    }
}
