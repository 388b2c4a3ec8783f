//! What the model card promises, as floors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quipu_sentiment::models::{self, ModelSpec, SharedModel};
use quipu_sentiment::report::{Report, report};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn on(model: &SharedModel, name: &str) -> Report {
    let mut last = (0, 0);
    let report = report(model.as_ref(), &file(name), |done, all| last = (done, all)).unwrap();
    assert_eq!(last, (report.total.texts, report.total.texts));
    report
}

fn floor(value: f64, floor: f64, what: &str) {
    assert!(value >= floor, "{what} is {value:.4}, less than {floor}");
}

#[test]
fn the_dev_set_is_answered_as_the_model_card_says() {
    let report = on(&models::embedded().unwrap(), "train/data/dev.tsv.gz");
    assert_eq!(report.total.texts, 7_794);
    floor(report.total.macro_f1, 0.66, "macro-F1 of the dev set");
    floor(report.total.accuracy, 0.665, "accuracy of the dev set");
    assert!(report.total.ece <= 0.05, "calibration error {:.4}", report.total.ece);
    // Source, accuracy pos/neg, three-class accuracy and macro-F1: as training printed them. Correlation of the score: as
    // measured.
    for (name, polarity, accuracy, macro_f1, correlation) in [
        ("goemotions", 0.870, Some(0.683), 0.664, None),
        ("vader_amazon", 0.771, Some(0.652), 0.553, Some(0.671)),
        ("vader_movie", 0.743, Some(0.664), 0.505, Some(0.617)),
        ("vader_nyt", 0.789, Some(0.560), 0.556, Some(0.510)),
        ("vader_tweets", 0.927, Some(0.804), 0.732, Some(0.859)),
        ("xed", 0.797, Some(0.631), 0.616, None),
        ("cad", 0.806, None, 0.805, None),
    ] {
        let (_, figures) = report.sources.iter().find(|(source, _)| source == name).unwrap();
        let same = |own: f64, printed: f64| {
            assert!((own - printed).abs() < 0.001, "{name}: {own:.4} is not {printed}")
        };
        same(figures.polarity_accuracy.unwrap(), polarity);
        same(figures.macro_f1, macro_f1);
        if let Some(accuracy) = accuracy {
            same(figures.accuracy, accuracy);
        }
        if let Some(correlation) = correlation {
            same(figures.rating_correlation.unwrap(), correlation);
        }
    }
}

#[test]
fn the_behaviour_cases_hold() {
    let report = on(&models::embedded().unwrap(), "tests/data/behaviour.tsv");
    assert_eq!(report.total.texts, 493);
    floor(report.balanced.unwrap(), 0.91, "share of right behaviour cases, each capability and label alike");
    floor(report.total.polarity_accuracy.unwrap(), 0.89, "share of right signs");
}

#[test]
fn a_report_is_a_table_with_a_line_for_each_source() {
    let report = on(&models::embedded().unwrap(), "tests/data/behaviour.tsv");
    let text = report.to_string();
    for part in ["model linear18", "493 texts", "negation", "macro-F1", "us per text", "positive"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    println!("{text}");
    println!("{}", on(&models::embedded().unwrap(), "train/data/dev.tsv.gz"));
}

/// Row J4 of the test plan: how often the backends agree, as recorded.
#[cfg(feature = "onnx")]
#[test]
fn the_backends_agree_as_recorded() {
    let spec = ModelSpec::new("bert", file("tests/data/onnx/tiny-distilbert-3"));
    let bert = models::load(&spec).unwrap();
    let linear = models::embedded().unwrap();
    let cases = std::fs::read_to_string(file("tests/data/behaviour.tsv")).unwrap();
    let label = |model: &Arc<_>, text: &str| {
        let model: &SharedModel = model;
        model.analyze(text, false).unwrap().probabilities.label()
    };
    let texts: Vec<_> = cases.lines().filter_map(|line| line.split('\t').nth(2)).collect();
    let agreed = texts.iter().filter(|text| label(&linear, text) == label(&bert, text)).count();
    assert!((330..=338).contains(&agreed), "{agreed} of {} agree; 334 are recorded", texts.len());
}
