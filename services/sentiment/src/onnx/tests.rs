//! The two exports of the repository against the logits that onnxruntime gives, and folders that are wrong on purpose.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::models::LabelMap;

#[derive(Deserialize)]
struct Reference {
    texts: Vec<ReferenceText>,
}

#[derive(Deserialize)]
struct ReferenceText {
    text: String,
    input_ids: Vec<u32>,
    logits: Vec<f32>,
    logits_int8: Vec<f32>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx").join(name)
}

fn spec(path: &Path) -> ModelSpec {
    ModelSpec::new("bert", path)
}

fn reference(path: &Path) -> Reference {
    serde_json::from_slice(&std::fs::read(path.join("reference.json")).unwrap()).unwrap()
}

/// Ids equal, every logit within `tolerance`.
fn agree(path: &Path, logits_of: impl Fn(&ReferenceText) -> &[f32], tolerance: f32) {
    let model = OnnxModel::load(&spec(path)).unwrap();
    for expected in reference(path).texts {
        let ids = model.tokenizer.encode_fast(expected.text.as_str(), true).unwrap();
        assert_eq!(ids.get_ids(), expected.input_ids, "{}", expected.text);
        let logits = model.logits(&expected.text).unwrap();
        let worst = logits.iter().zip(logits_of(&expected)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance, "{}: {logits:?} is not {:?}", expected.text, logits_of(&expected));
    }
}

#[test]
fn the_int8_exports_give_the_logits_of_onnxruntime() {
    for name in ["tiny-bert-2", "tiny-distilbert-3"] {
        agree(&folder(name), |text| &text.logits_int8, 1e-3);
    }
}

/// The full exports are not in the repository: `QUIPU_SENTIMENT_FIXTURES` names the folder that holds them.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test that asks where its optional data is")]
fn the_fp32_exports_give_the_logits_of_onnxruntime() {
    let Some(fixtures) = std::env::var_os("QUIPU_SENTIMENT_FIXTURES") else { return };
    for name in ["tiny-bert-2", "tiny-distilbert-3"] {
        agree(&Path::new(&fixtures).join(name), |text| &text.logits, 1e-4);
    }
}

#[test]
fn two_labels_never_answer_neutral_and_three_do() {
    let two = OnnxModel::load(&spec(&folder("tiny-bert-2"))).unwrap();
    assert_eq!(two.info().labels, [Label::Negative, Label::Positive]);
    assert_eq!(two.info().backend, Backend::Onnx);
    let love = two.analyze("I love this phone, the battery lasts forever.", true).unwrap();
    assert_eq!((love.probabilities.label(), love.probabilities.of(Label::Neutral)), (Label::Positive, 0.0));
    assert!(love.words.is_empty());
    let three = OnnxModel::load(&spec(&folder("tiny-distilbert-3"))).unwrap();
    assert_eq!(three.info().labels, Label::ALL);
    assert_eq!(
        three.analyze("What a waste of money :(", false).unwrap().probabilities.label(),
        Label::Negative
    );
    assert_ne!(two.info().version, three.info().version);
}

#[test]
fn a_text_without_words_is_neutral_and_a_long_one_is_cut() {
    let model = OnnxModel::load(&spec(&folder("tiny-distilbert-3"))).unwrap();
    assert_eq!(model.analyze("!!! ...", false).unwrap(), Analysis::silence());
    assert_eq!(model.tokenizer.encode_fast("good ".repeat(2_000), true).unwrap().len(), 128);
    let long = model.analyze(&"good ".repeat(2_000), false).unwrap();
    assert_eq!(long, model.analyze(&"good ".repeat(126), false).unwrap());
    for odd in
        ["😀".repeat(10_000), format!("a{}", "\u{301}".repeat(9_999)), "x".repeat(10_000), "a\0b".into()]
    {
        assert!(model.analyze(&odd, false).is_ok());
    }
}

/// A copy of an export, to be broken.
fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.onnx"] {
        std::fs::copy(folder(name).join(file), copy.path().join(file)).unwrap();
    }
    copy
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = folder.join(file);
    std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
}

fn fault(spec: &ModelSpec) -> String {
    OnnxModel::load(spec).err().expect("a broken export was loaded").to_string()
}

#[test]
fn labels_without_a_meaning_need_a_mapping() {
    let copy = copy("tiny-bert-2");
    edit(copy.path(), "config.json", |text| {
        text.replace("NEGATIVE", "LABEL_0").replace("POSITIVE", "LABEL_1")
    });
    let mut spec = spec(copy.path());
    let told = fault(&spec);
    assert!(
        told.contains("QUIPU_SENTIMENT_LABELS=bert:LABEL_0=negative") && told.contains("config.json"),
        "{told}"
    );
    spec.labels =
        LabelMap::from_iter([("LABEL_0".into(), Label::Negative), ("LABEL_1".into(), Label::Positive)]);
    let mapped = OnnxModel::load(&spec).unwrap();
    assert_eq!(
        mapped.analyze("What a waste of money :(", false).unwrap().probabilities.label(),
        Label::Negative
    );
    spec.labels =
        LabelMap::from_iter([("LABEL_0".into(), Label::Negative), ("LABEL_1".into(), Label::Negative)]);
    assert!(fault(&spec).contains("no label means positive"));
    spec.labels = LabelMap::from_iter([("LABEL_7".into(), Label::Negative)]);
    assert!(fault(&spec).contains("has no label `LABEL_7`"));
}

#[test]
fn a_config_that_cannot_be_right_is_refused() {
    let broken = |from: &str, to: &str| {
        let copy = copy("tiny-bert-2");
        edit(copy.path(), "config.json", |text| text.replace(from, to));
        fault(&spec(copy.path()))
    };
    assert!(broken("single_label_classification", "multi_label_classification").contains("`problem_type`"));
    assert!(broken("\"1\": \"POSITIVE\"", "\"2\": \"POSITIVE\"").contains("`id2label`"));
    assert!(broken("id2label", "label_of_id").contains("has no `id2label`"));
    assert!(
        broken("\"1\": \"POSITIVE\"", "\"1\": \"POSITIVE\", \"2\": \"NEUTRAL\"")
            .contains("2 numbers for 3 labels")
    );
    assert!(
        broken("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 4").contains("at least 8")
    );
    assert!(broken("{", "").contains("is not the JSON"));
}

/// Row J3 of the test plan: what is not what was declared, or no model at all, does not start.
#[test]
fn files_that_are_not_what_was_declared_do_not_start() {
    let copy = copy("tiny-bert-2");
    let path = copy.path().display();
    let hash = |file: &str| Sha256::of(&std::fs::read(copy.path().join(file)).unwrap());
    let declare = |digests: &str| {
        let list: crate::models::ModelList = format!("bert={path}#{digests}").parse().unwrap();
        list.0[0].clone()
    };
    let (model, tokenizer) = (hash("model.onnx"), hash("tokenizer.json"));
    assert!(OnnxModel::load(&declare(&format!("{model}+tokenizer.json:{tokenizer}"))).is_ok());
    let swapped = fault(&declare(tokenizer.as_str()));
    assert!(swapped.contains("model.onnx: its SHA-256 is"), "{swapped}");
    assert!(fault(&declare(&format!("tokenizer.json:{model}"))).contains("tokenizer.json: its SHA-256 is"));
    assert!(fault(&declare(&format!("weights.bin:{model}"))).contains("`weights.bin`"));
    let onnx = copy.path().join("model.onnx");
    let bytes = std::fs::read(&onnx).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    std::fs::write(&onnx, flipped).unwrap();
    assert!(fault(&declare(model.as_str())).contains("is declared"));
}

#[test]
fn what_is_no_graph_or_no_tokenizer_is_named() {
    let copy = copy("tiny-bert-2");
    let onnx = copy.path().join("model.onnx");
    let bytes = std::fs::read(&onnx).unwrap();
    for (bytes, why) in
        [(bytes[..bytes.len() / 3].to_vec(), "cut"), (b"not a model".to_vec(), "text"), (Vec::new(), "empty")]
    {
        std::fs::write(&onnx, bytes).unwrap();
        assert!(fault(&spec(copy.path())).contains("model.onnx: "), "{why}");
    }
    edit(copy.path(), "tokenizer.json", |_| "{\"version\": 3}".into());
    assert!(fault(&spec(copy.path())).contains("tokenizer.json: is no tokenizer"));
    std::fs::remove_file(copy.path().join("tokenizer.json")).unwrap();
    assert!(fault(&spec(copy.path())).contains("tokenizer.json: cannot be read"));
}
