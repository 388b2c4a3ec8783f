//! Between the JSON of the gateway and the messages of the service.

use mesh_error::Error;
use mesh_proto::sentiment::v1;

use super::{
    Analysis, AnalyzeBody, Batch, BatchBody, BatchItem, ItemError, Label, Model, ModelRef, Probabilities,
    StreamAnswer, StreamLine, Word,
};
use crate::api::incomplete;

impl From<AnalyzeBody> for v1::AnalyzeRequest {
    fn from(body: AnalyzeBody) -> Self {
        Self {
            text: body.text,
            explain: body.explain.unwrap_or_default(),
            model: body.model.unwrap_or_default(),
        }
    }
}

impl From<BatchBody> for v1::AnalyzeBatchRequest {
    fn from(body: BatchBody) -> Self {
        Self {
            texts: body.texts,
            explain: body.explain.unwrap_or_default(),
            model: body.model.unwrap_or_default(),
        }
    }
}

impl From<StreamLine> for v1::AnalyzeStreamRequest {
    fn from(line: StreamLine) -> Self {
        Self {
            id: line.id.unwrap_or_default(),
            text: line.text,
            explain: line.explain.unwrap_or_default(),
            model: line.model.unwrap_or_default(),
        }
    }
}

impl Label {
    fn of(label: i32) -> Result<Self, Error> {
        match v1::Label::try_from(label) {
            Ok(v1::Label::Positive) => Ok(Self::Positive),
            Ok(v1::Label::Neutral) => Ok(Self::Neutral),
            Ok(v1::Label::Negative) => Ok(Self::Negative),
            _ => Err(incomplete("label")),
        }
    }
}

impl From<v1::ModelRef> for ModelRef {
    fn from(model: v1::ModelRef) -> Self {
        Self { name: model.name, version: model.version }
    }
}

impl Analysis {
    /// From the service; `explain` is whether words were asked for.
    pub(crate) fn of(analysis: v1::Analysis, explain: bool) -> Result<Self, Error> {
        let probabilities = analysis.probabilities.ok_or_else(|| incomplete("probabilities"))?;
        let words = analysis.words.into_iter();
        let words = words.map(|w| Word { text: w.text, start: w.start, end: w.end, weight: w.weight });
        Ok(Self {
            label: Label::of(analysis.label)?,
            score: analysis.score,
            probabilities: Probabilities {
                positive: probabilities.positive,
                neutral: probabilities.neutral,
                negative: probabilities.negative,
            },
            model: analysis.model.ok_or_else(|| incomplete("model"))?.into(),
            words: explain.then(|| words.collect()),
        })
    }
}

impl From<v1::ItemError> for ItemError {
    fn from(error: v1::ItemError) -> Self {
        let field = (!error.field.is_empty()).then_some(error.field);
        Self { reason: error.reason, detail: error.message, field }
    }
}

impl From<&Error> for ItemError {
    fn from(error: &Error) -> Self {
        let field = error.violations().first().map(|violation| violation.field.clone());
        Self { reason: error.reason().to_owned(), detail: error.message().to_owned(), field }
    }
}

impl Batch {
    /// From the service; `explain` is whether words were asked for.
    pub(crate) fn of(batch: v1::AnalyzeBatchResponse, explain: bool) -> Result<Self, Error> {
        let results = batch.results.into_iter().map(|result| match result.outcome {
            Some(v1::batch_result::Outcome::Analysis(analysis)) => {
                Analysis::of(analysis, explain).map(BatchItem::Analysis)
            }
            Some(v1::batch_result::Outcome::Error(error)) => Ok(BatchItem::Failed { error: error.into() }),
            None => Err(incomplete("outcome")),
        });
        Ok(Self {
            results: results.collect::<Result<_, _>>()?,
            model: batch.model.ok_or_else(|| incomplete("model"))?.into(),
        })
    }
}

impl StreamAnswer {
    /// From the service; `explain` is whether words were asked for.
    pub(crate) fn of(answer: v1::AnalyzeStreamResponse, explain: bool) -> Result<Self, Error> {
        let outcome = match answer.outcome.ok_or_else(|| incomplete("outcome"))? {
            v1::analyze_stream_response::Outcome::Analysis(analysis) => {
                BatchItem::Analysis(Analysis::of(analysis, explain)?)
            }
            v1::analyze_stream_response::Outcome::Error(error) => BatchItem::Failed { error: error.into() },
        };
        Ok(Self { id: (!answer.id.is_empty()).then_some(answer.id), outcome })
    }

    /// A line that could not be read, or the end of a stream that broke.
    pub(crate) fn failed(id: Option<String>, error: &Error) -> Self {
        Self { id, outcome: BatchItem::Failed { error: error.into() } }
    }
}

impl TryFrom<v1::Model> for Model {
    type Error = Error;

    fn try_from(model: v1::Model) -> Result<Self, Error> {
        Ok(Self {
            name: model.name,
            version: model.version,
            backend: model.backend,
            labels: model.labels.into_iter().map(Label::of).collect::<Result<_, _>>()?,
            explains: model.explains,
            sha256: model.sha256,
            default: model.default,
        })
    }
}
