//! Messages to domain types, whose constructors are the validation, and back.

use mesh_error::{Error, Violations};
use mesh_proto::sentiment::v1 as pb;

use crate::domain::{Analysis, Label, MAX_BATCH, MAX_BATCH_BYTES, Probabilities, Text, TextFault, Word};
use crate::engine::Answer;
use crate::error::SentimentError;
use crate::models::SharedModel;
use crate::ports::ModelInfo;

/// Most bytes of text in a batch whose answers list words: an answer may be 26 times as long as its text, and most
/// clients accept messages of 4 MiB.
const MAX_EXPLAINED_BYTES: usize = 128 * 1024;

/// A text of a request.
pub(super) fn text(field: &str, text: &str) -> Result<Text, Error> {
    Text::parse(text).map_err(|fault| Error::invalid_field(field, fault.to_string()))
}

/// A batch whose texts were checked one by one.
pub(super) struct Batch(Vec<Result<Text, TextFault>>);

impl Batch {
    /// Refuses what no text alone is at fault for: too many texts or too much text.
    pub(super) fn parse(texts: &[String], explain: bool) -> Result<Self, Error> {
        let bytes: usize = texts.iter().map(String::len).sum();
        let mut faults = Violations::new();
        if texts.is_empty() || texts.len() > MAX_BATCH {
            faults.push("texts", format!("must hold 1 to {MAX_BATCH} texts"));
        }
        if bytes > MAX_BATCH_BYTES {
            faults.push("texts", format!("must hold at most {MAX_BATCH_BYTES} bytes together, not {bytes}"));
        }
        if explain && bytes > MAX_EXPLAINED_BYTES {
            faults.push(
                "explain",
                format!("is possible for batches of at most {MAX_EXPLAINED_BYTES} bytes, not {bytes}"),
            );
        }
        faults.finish()?;
        Ok(Self(texts.iter().map(|text| Text::parse(text)).collect()))
    }

    /// The texts that are valid, in their order.
    pub(super) fn texts(&self) -> Vec<Text> {
        self.0.iter().filter_map(|text| text.as_ref().ok().cloned()).collect()
    }

    /// The answers for [`Batch::texts`], with an error in the place of each text that is not valid.
    pub(super) fn results(self, answers: Vec<Answer>) -> Vec<pb::BatchResult> {
        use pb::batch_result::Outcome;
        let mut answers = answers.into_iter();
        let places = self.0.into_iter().enumerate();
        let outcome = |(place, text): (usize, Result<Text, TextFault>)| match text {
            Ok(_) => answers.next().map(|answer| Outcome::Analysis(analysis(answer))),
            Err(fault) => Some(Outcome::Error(item_error(&Error::invalid_field(
                format!("texts[{place}]"),
                fault.to_string(),
            )))),
        };
        places.map(outcome).map(|outcome| pb::BatchResult { outcome }).collect()
    }
}

/// A failure of the engine, logged where it is a fault of ours.
pub(super) fn failure(error: SentimentError) -> Error {
    let error = Error::from(error);
    error.log();
    error
}

/// Why one text of many got no answer.
pub(super) fn item_error(error: &Error) -> pb::ItemError {
    let field = error.violations().first().map(|violation| violation.field.clone());
    pb::ItemError {
        reason: error.reason().to_owned(),
        message: error.message().to_owned(),
        field: field.unwrap_or_default(),
    }
}

pub(super) fn analysis(answer: Answer) -> pb::Analysis {
    let Analysis { probabilities, words } = answer.analysis;
    pb::Analysis {
        label: label(probabilities.label()).into(),
        score: probabilities.score(),
        probabilities: Some(shares(&probabilities)),
        model: Some(model_ref(&answer.model)),
        words: words.into_iter().map(word).collect(),
    }
}

pub(super) fn model_ref(model: &SharedModel) -> pb::ModelRef {
    pb::ModelRef { name: model.info().name.clone(), version: model.info().version.clone() }
}

pub(super) fn model(info: &ModelInfo, default: bool) -> pb::Model {
    pb::Model {
        name: info.name.clone(),
        version: info.version.clone(),
        backend: info.backend.name().to_owned(),
        labels: info.labels.iter().map(|known| label(*known).into()).collect(),
        explains: info.explains,
        sha256: info.sha256.clone(),
        default,
    }
}

fn label(label: Label) -> pb::Label {
    match label {
        Label::Positive => pb::Label::Positive,
        Label::Neutral => pb::Label::Neutral,
        Label::Negative => pb::Label::Negative,
    }
}

fn shares(probabilities: &Probabilities) -> pb::Probabilities {
    pb::Probabilities {
        positive: probabilities.of(Label::Positive),
        neutral: probabilities.of(Label::Neutral),
        negative: probabilities.of(Label::Negative),
    }
}

fn word(word: Word) -> pb::Word {
    pb::Word { text: word.text, start: word.start, end: word.end, weight: word.weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_refused_for_what_no_text_is_at_fault_for() {
        let field = |texts: &[String], explain| {
            Batch::parse(texts, explain).err().map(|error| error.violations()[0].field.clone())
        };
        assert_eq!(field(&[], false).as_deref(), Some("texts"));
        assert_eq!(field(&vec!["a".into(); MAX_BATCH], false), None);
        assert_eq!(field(&vec!["a".into(); MAX_BATCH + 1], false).as_deref(), Some("texts"));
        assert_eq!(field(&vec!["😀".repeat(10_000); 200], false).as_deref(), Some("texts"));
        assert_eq!(field(&vec!["a".repeat(10_000); 14], false), None);
        assert_eq!(field(&vec!["a".repeat(10_000); 14], true).as_deref(), Some("explain"));
    }

    #[test]
    fn an_invalid_text_leaves_the_others_in_their_places() {
        let batch = Batch::parse(&["good".into(), String::new(), "bad".into()], false).unwrap();
        let model = crate::models::embedded().unwrap();
        let answer = |text: &Text| Answer {
            analysis: model.analyze(text.as_str(), false).unwrap(),
            model: model.clone(),
        };
        let answers = batch.texts().iter().map(answer).collect();
        let results = batch.results(answers);
        let errors: Vec<_> = results
            .iter()
            .map(|result| matches!(&result.outcome, Some(pb::batch_result::Outcome::Error(_))))
            .collect();
        assert_eq!(errors, [false, true, false]);
        let Some(pb::batch_result::Outcome::Error(error)) = &results[1].outcome else { panic!("no error") };
        assert_eq!(error.field, "texts[1]");
    }
}
