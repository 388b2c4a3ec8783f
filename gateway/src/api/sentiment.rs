//! Texts and how they feel, as JSON.

mod convert;
mod few;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnalyzeBody {
    /// 1 to 10,000 characters.
    #[schema(min_length = 1, max_length = 10000)]
    pub(crate) text: String,
    /// Whether the answer lists the share of each word.
    pub(crate) explain: Option<bool>,
    /// Name of a loaded model; absent means the default one.
    pub(crate) model: Option<String>,
}

/// Many texts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchBody {
    /// 1 to 256 texts, each of 1 to 10,000 characters.
    #[serde(deserialize_with = "few::texts")]
    #[schema(min_items = 1, max_items = 256)]
    pub(crate) texts: Vec<String>,
    /// Whether each answer lists the share of each word.
    pub(crate) explain: Option<bool>,
    /// Name of a loaded model; absent means the default one.
    pub(crate) model: Option<String>,
}

/// One line of a stream.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamLine {
    /// Sent back with the answer; at most 128 bytes.
    #[schema(max_length = 128)]
    pub(crate) id: Option<String>,
    /// 1 to 10,000 characters.
    #[schema(min_length = 1, max_length = 10000)]
    pub(crate) text: String,
    /// Whether the answer lists the share of each word.
    pub(crate) explain: Option<bool>,
    /// Name of a loaded model; absent means the default one.
    pub(crate) model: Option<String>,
}

/// How a text feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Label {
    /// It speaks well of something.
    Positive,
    /// It neither praises nor blames.
    Neutral,
    /// It speaks ill of something.
    Negative,
}

/// The answer for one text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Analysis {
    /// The class with the highest probability.
    label: Label,
    /// p(positive) - p(negative), in [-1, 1].
    #[schema(minimum = -1, maximum = 1)]
    score: f64,
    /// Of each class; together 1.
    probabilities: Probabilities,
    /// The model that answered.
    model: ModelRef,
    /// The share of each word, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<Word>>,
}

/// Of the three classes; together 1.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Probabilities {
    /// Of "positive".
    positive: f64,
    /// Of "neutral".
    neutral: f64,
    /// Of "negative".
    negative: f64,
}

/// A model's name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelRef {
    /// Unique among the loaded models.
    name: String,
    /// Changes whenever an answer can.
    version: String,
}

/// The share of one word.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Word {
    /// As it stands in the text.
    text: String,
    /// Of its first character, in Unicode code points.
    start: u32,
    /// Behind its last character, in Unicode code points.
    end: u32,
    /// Positive pulls towards "positive", negative towards "negative"; in logits.
    weight: f64,
}

/// Why one text of many got no answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemError {
    /// For programs, in UPPER_SNAKE_CASE.
    pub(crate) reason: String,
    /// For people.
    pub(crate) detail: String,
    /// The field at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
}

/// The answer for one text of a batch: a result, or why there is none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BatchItem {
    /// The answer.
    Analysis(Analysis),
    /// Why there is none.
    Failed {
        /// What is wrong with the text.
        error: ItemError,
    },
}

/// The answers for a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct Batch {
    /// One for each text, in the order of the request.
    results: Vec<BatchItem>,
    /// The model that answered.
    model: ModelRef,
}

/// One line of the answer to a stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamAnswer {
    /// As in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The answer, or why there is none.
    #[serde(flatten)]
    pub(crate) outcome: BatchItem,
}

/// A loaded model.
#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// Unique among the loaded models.
    name: String,
    /// Changes whenever an answer can.
    version: String,
    /// "linear" or "onnx".
    backend: String,
    /// The classes that it can tell apart.
    labels: Vec<Label>,
    /// Whether it can explain its answers.
    explains: bool,
    /// SHA-256 of its file.
    sha256: String,
    /// Whether it answers when a request names no model.
    default: bool,
}

/// The loaded models.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// The default one first.
    pub(crate) models: Vec<Model>,
}
