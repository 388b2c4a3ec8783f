//! How good and how fast a model is on a labelled file: what `quipu sentiment report` prints.
//!
//! The figures are those of `train/evalkit.py`, so that a table of the model card can be made again.

mod figures;
mod labelled;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

pub use figures::{ClassFigures, Figures};
pub use labelled::{Example, LabelledFault};

use crate::domain::Probabilities;
use crate::ports::{ModelError, ModelInfo, SentimentModel};
use figures::Scored;

/// Everything measured for one model on one file. Its `Display` is a table.
#[derive(Clone, Debug)]
pub struct Report {
    /// The model.
    pub model: ModelInfo,
    /// The file, as it was named.
    pub file: String,
    /// Over all texts.
    pub total: Figures,
    /// Over the texts of each source, in the order of their names; empty when the file names no sources.
    pub sources: Vec<(String, Figures)>,
    /// Mean, over each source and label, of the share of right answers (positive and negative texts by the sign of the
    /// score): the measure of test cases, in which no kind of case outweighs the others. `None` without sources.
    pub balanced: Option<f64>,
    /// Mean time of one text on one thread, without reading the file.
    pub per_text: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportFault {
    /// The file cannot be used.
    #[error(transparent)]
    Labelled(#[from] LabelledFault),
    /// The model failed on a text.
    #[error("{file}:{line}: {fault}")]
    Model {
        /// The labelled file.
        file: String,
        /// Line of the text, from 1.
        line: usize,
        /// What happened.
        fault: ModelError,
    },
}

/// Lets `model` answer every text of the labelled file; `progress` is told how many texts are done and how many there are.
///
/// # Errors
/// [`ReportFault`] names the file, the line and what to do.
pub fn report(
    model: &dyn SentimentModel,
    path: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<Report, ReportFault> {
    let examples = labelled::read(path)?;
    let mut answers: Vec<Probabilities> = Vec::with_capacity(examples.len());
    let mut spent = Duration::ZERO;
    for (place, example) in examples.iter().enumerate() {
        let begin = Instant::now();
        let answer = model.analyze(&example.text, false);
        spent += begin.elapsed();
        let answer = answer.map_err(|fault| ReportFault::Model {
            file: path.display().to_string(),
            line: example.line,
            fault,
        })?;
        answers.push(answer.probabilities);
        progress(place + 1, examples.len());
    }
    let scored: Vec<Scored<'_>> =
        examples.iter().zip(&answers).map(|(example, answer)| Scored::new(example, answer)).collect();
    let mut names: Vec<&str> = examples.iter().filter_map(|example| example.source.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let of_source = |name: &&str| {
        let own: Vec<_> =
            scored.iter().filter(|one| one.example.source.as_deref() == Some(*name)).copied().collect();
        ((*name).to_owned(), Figures::of(&own))
    };
    Ok(Report {
        model: model.info().clone(),
        file: path.display().to_string(),
        total: Figures::of(&scored),
        sources: names.iter().map(of_source).collect(),
        balanced: figures::balanced(&scored),
        per_text: spent / u32::try_from(examples.len().max(1)).unwrap_or(u32::MAX),
    })
}
