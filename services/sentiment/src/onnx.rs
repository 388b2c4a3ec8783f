//! The ONNX backend: a text classifier in Hugging Face layout (`config.json`, `tokenizer.json`, `model.onnx`).
//!
//! One text is one run: int8 exports answer otherwise when texts share a batch, and a padded batch is no faster per text.
//! The engine and the tokenizer are code of others fed with files of others: a panic of theirs is caught here and becomes
//! a [`ModelError`] or a [`LoadFault`].

mod export;
mod labels;
mod session;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::{Tokenizer, TruncationParams};

use crate::domain::{Analysis, Label, Probabilities};
use crate::linear::has_words;
use crate::models::{LoadFault, ModelSpec, Sha256};
use crate::ports::{Backend, ModelError, ModelInfo, SentimentModel};
use export::Export;
use session::Session;

/// Raised whenever the reader answers otherwise for the same files.
const READER: u32 = 1;

/// An ONNX export that answers.
pub struct OnnxModel {
    info: ModelInfo,
    tokenizer: Tokenizer,
    session: Session,
    /// What each logit stands for.
    classes: Vec<Label>,
}

impl OnnxModel {
    /// Loads the export in the folder of `spec` and lets it answer once.
    ///
    /// # Errors
    /// [`LoadFault`] names the file, what is wrong with it and what to do.
    pub fn load(spec: &ModelSpec) -> Result<Self, LoadFault> {
        let export = Export::read(spec)?;
        let classes = labels::classes(spec, &export)?;
        let model = Self {
            info: info(spec, &export, &classes),
            tokenizer: tokenizer(&export)?,
            session: guarded(|| Session::load(&export.model))
                .map_err(|what| LoadFault::file(&export.model_path, what))?,
            classes,
        };
        let trial = model.analyze("The trial of a model at its start.", false);
        trial.map_err(|fault| {
            LoadFault::file(&export.model_path, format!("cannot answer a trial text: {}", fault.what))
        })?;
        Ok(model)
    }

    /// The logits of one text, in the order of the export's labels.
    fn logits(&self, text: &str) -> Result<Vec<f32>, String> {
        let encoding =
            self.tokenizer.encode_fast(text, true).map_err(|fault| format!("tokenizer: {fault}"))?;
        let logits =
            self.session.run(encoding.get_ids(), encoding.get_attention_mask(), encoding.get_type_ids())?;
        if logits.len() != self.classes.len() {
            return Err(format!(
                "it answers {} numbers for {} labels of config.json",
                logits.len(),
                self.classes.len()
            ));
        }
        Ok(logits)
    }

    fn probabilities(&self, text: &str) -> Result<Probabilities, String> {
        let logits = self.logits(text)?;
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight_of = |label: Label| {
            let of_label = logits.iter().zip(&self.classes).filter(|(_, class)| **class == label);
            of_label.map(|(logit, _)| f64::from(logit - top).exp()).sum::<f64>()
        };
        let [negative, neutral, positive] = Label::ALL.map(weight_of);
        // `f32::max` ignores NaN, so a NaN among the logits shows here.
        Probabilities::normalised(negative, neutral, positive)
            .ok_or_else(|| format!("its logits are not numbers: {logits:?}"))
    }
}

impl SentimentModel for OnnxModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn analyze(&self, text: &str, _explain: bool) -> Result<Analysis, ModelError> {
        if !has_words(text) {
            return Ok(Analysis::silence());
        }
        let probabilities = guarded(|| self.probabilities(text));
        match probabilities {
            Ok(probabilities) => Ok(Analysis { probabilities, words: Vec::new() }),
            Err(what) => Err(ModelError { model: self.info.name.clone(), what: Cow::Owned(what) }),
        }
    }

    fn inline_bytes(&self) -> usize {
        0
    }
}

/// A panic inside becomes an error with its message.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(format!("it panicked: {}", message.as_deref().unwrap_or("without a message")))
    })
}

fn tokenizer(export: &Export) -> Result<Tokenizer, LoadFault> {
    let fault = |what: String| LoadFault::file(&export.tokenizer_path, what);
    let read = guarded(|| Tokenizer::from_bytes(&export.tokenizer).map_err(|error| error.to_string()));
    let mut tokenizer = read.map_err(|what| fault(format!("is no tokenizer: {what}")))?;
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: export.max_tokens, ..TruncationParams::default() };
    let set = tokenizer.with_truncation(Some(truncation)).map(|_| ());
    set.map_err(|error| fault(format!("cannot truncate to {} tokens: {error}", export.max_tokens)))?;
    Ok(tokenizer)
}

fn info(spec: &ModelSpec, export: &Export, classes: &[Label]) -> ModelInfo {
    let sha256 = Sha256::of(&export.model);
    // Every input of an answer is in the version: two files, the meaning of the labels, the length of what is read.
    let inputs = format!("{sha256} {} {classes:?} {}", Sha256::of(&export.tokenizer), export.max_tokens);
    let labels = Label::ALL.into_iter().filter(|label| classes.contains(label)).collect();
    ModelInfo {
        name: spec.name.clone(),
        version: format!("{READER}-{}", Sha256::of(inputs.as_bytes()).short()),
        backend: Backend::Onnx,
        labels,
        explains: false,
        sha256: sha256.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
