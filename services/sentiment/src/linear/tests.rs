//! The reader against the Python code that trained the model, and against broken files.

mod broken;

use serde::Deserialize;

use super::feature::features;
use super::model::LinearModel;
use super::token::{Kind, tokens};
use super::unicode::{is_alnum, is_alpha, is_space, is_upper};
use super::{has_words, hash::Fnv};
use crate::domain::{Label, Probabilities};

const MODEL: &[u8] = include_bytes!("../../models/linear18.ksl");

fn model() -> LinearModel {
    LinearModel::parse(MODEL).unwrap()
}

#[derive(Deserialize)]
struct Reference {
    texts: Vec<ReferenceText>,
}

#[derive(Deserialize)]
struct ReferenceText {
    text: String,
    features: u32,
    p: f64,
    q: f64,
    probabilities: [f64; 3],
    tokens: Vec<ReferenceToken>,
}

#[derive(Deserialize)]
struct ReferenceToken {
    start: u32,
    end: u32,
    norm: String,
    polarity: f64,
}

#[track_caller]
fn close(a: f64, b: f64, text: &str) {
    assert!((a - b).abs() <= 1e-4, "{a} is not {b} for {text:?}");
}

#[test]
fn the_reference_is_met_to_the_fourth_digit() {
    let reference: Reference =
        serde_json::from_str(include_str!("../../tests/data/linear18.reference.json")).unwrap();
    let model = model();
    assert_eq!(reference.texts.len(), 50);
    for expected in &reference.texts {
        let text = &expected.text;
        let tokens = tokens(text);
        let sums = model.sums(text, &tokens, true);
        assert_eq!(sums.features, expected.features, "{text}");
        close(sums.polarity, expected.p, text);
        close(sums.subjectivity, expected.q, text);
        let norms: Vec<_> = tokens.list.iter().map(|token| tokens.norm(token)).collect();
        assert_eq!(norms, expected.tokens.iter().map(|token| token.norm.as_str()).collect::<Vec<_>>());
        let analysis = model.analyze(text, true);
        for (label, probability) in Label::ALL.into_iter().zip(expected.probabilities) {
            close(analysis.probabilities.of(label), probability, text);
        }
        assert_eq!(analysis.words.len(), expected.tokens.len(), "{text}");
        for (word, token) in analysis.words.iter().zip(&expected.tokens) {
            assert_eq!((word.start, word.end), (token.start, token.end), "{text}");
            close(word.weight, token.polarity, text);
            let surface: String =
                text.chars().skip(token.start as usize).take((token.end - token.start) as usize).collect();
            assert_eq!(word.text, surface);
        }
    }
}

#[derive(Deserialize)]
struct Differential {
    text: String,
    tokens: Vec<(u32, u32, String, String)>,
    features: usize,
    digest: String,
}

#[test]
fn random_texts_have_the_tokens_and_features_that_python_gives_them() {
    let cases: Vec<Differential> =
        serde_json::from_str(include_str!("../../tests/data/differential.json")).unwrap();
    let model = model();
    assert_eq!(cases.len(), 600);
    for case in &cases {
        let tokens = tokens(&case.text);
        let kind = |kind| match kind {
            Kind::Word => "w",
            Kind::Mark => "p",
            Kind::Face => "e",
        };
        let own = tokens.list.iter().map(|token| {
            (token.chars.start, token.chars.end, tokens.norm(token).to_owned(), kind(token.kind).to_owned())
        });
        assert_eq!(own.collect::<Vec<_>>(), case.tokens, "{:?}", case.text);
        let (mut count, mut digest) = (0, 0xcbf2_9ce4_8422_2325_u64);
        features(&case.text, &tokens, &model, |feature: Fnv, place| {
            count += 1;
            let place = u32::try_from(place).unwrap().to_le_bytes();
            for byte in feature.value().to_le_bytes().into_iter().chain(place) {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        });
        assert_eq!(
            (count, format!("{digest:016x}")),
            (case.features, case.digest.clone()),
            "{:?}",
            case.text
        );
    }
}

#[test]
fn characters_have_the_classes_that_python_gives_them() {
    let mut seen = 0;
    for line in include_str!("../../tests/data/unicode14.txt").lines().filter(|line| !line.starts_with('#')) {
        let [first, last, flags] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        for point in u32::from_str_radix(first, 16).unwrap()..=u32::from_str_radix(last, 16).unwrap() {
            let c = char::from_u32(point).unwrap();
            let own = [
                (is_alnum(c), 'n'),
                (is_alpha(c), 'a'),
                (is_space(c), 'S'),
                (is_upper(c.encode_utf8(&mut [0; 4])), 'U'),
            ];
            let own: String = own.into_iter().map(|(is, letter)| if is { letter } else { '-' }).collect();
            assert_eq!(own, flags, "U+{point:04X}");
            seen += 1;
        }
    }
    assert!(seen > 280_000);
}

#[test]
fn lower_case_is_pythons() {
    let norms = |text: &str| {
        let tokens = tokens(text);
        tokens.list.iter().map(|token| tokens.norm(token).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(norms("İYİ"), ["i\u{307}yi\u{307}"]);
    assert_eq!(norms("ΣΟΦΟΣ"), ["σοφος"]);
    assert_eq!(norms("DON’T"), ["do", "n't"]);
    assert_eq!(norms("IT'LLLL"), ["it", "'ll"]);
    assert_eq!(norms("'quoted'"), ["quoted"]);
}

#[test]
fn a_text_without_words_is_neutral_by_rule() {
    let model = model();
    for text in [
        "",
        " \n\t",
        "!!! ... ???",
        "https://example.org",
        "@someone",
        "(-) \"\"",
        "\u{200b}\u{0}",
        "~~~ ## **",
    ] {
        let analysis = model.analyze(text, true);
        assert_eq!(analysis.probabilities, Probabilities::SILENCE, "{text:?}");
        assert_eq!(analysis.probabilities.score(), 0.0);
        assert!(analysis.words.is_empty());
        assert!(!has_words(text));
    }
    for text in [":)", "😍", "ok", "<3"] {
        assert!(has_words(text), "{text}");
        assert_ne!(model.analyze(text, false).probabilities, Probabilities::SILENCE);
    }
}

/// Row J1 of the test plan: no text is too odd.
#[test]
fn odd_texts_get_a_score_and_no_panic() {
    let model = model();
    let odd = [
        "😀".repeat(100_000),
        "\u{200b}\u{200d}\u{feff}".repeat(3_000),
        format!("a{}", "\u{301}".repeat(10_000)),
        "\u{202e}שלום עולם\u{202c} مرحبا".repeat(100),
        "a".repeat(1 << 20),
        "\0".repeat(1_000),
        "but not ".repeat(5_000),
        "''''''".repeat(1_000),
        ":::(((-o*".repeat(1_000),
        "\u{10ffff}\u{d7ff}\u{e000}".into(),
        "n't's'd'm ’t ’’t".into(),
    ];
    for text in &odd {
        let analysis = model.analyze(text, true);
        let sum: f64 = Label::ALL.iter().map(|label| analysis.probabilities.of(*label)).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert!((-1.0..=1.0).contains(&analysis.probabilities.score()));
        let chars = u32::try_from(text.chars().count()).unwrap();
        assert!(analysis.words.iter().all(|word| word.start < word.end && word.end <= chars));
        assert!(analysis.words.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}

#[test]
fn the_shares_of_the_words_add_up_to_the_polarity() {
    let model = model();
    let text = "I didn't like the FOOD, but the staff were lovely and we had great fun :)";
    let sums = model.sums(text, &tokens(text), true);
    let bias = model.sums("", &tokens(""), false).polarity;
    let shares: f64 = sums.shares.iter().sum();
    assert!((bias + shares - sums.polarity).abs() < 1e-9);
}
