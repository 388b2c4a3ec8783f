//! What the labels of an export mean: by their names, or by the operator's word. Never by a guess.

use super::export::Export;
use crate::domain::Label;
use crate::models::{LoadFault, ModelSpec};

/// The class of each logit.
pub(super) fn classes(spec: &ModelSpec, export: &Export) -> Result<Vec<Label>, LoadFault> {
    let fault = |what: String| LoadFault::file(&export.config_path, what);
    if let Some(stray) = spec.labels.names().find(|name| !export.labels.iter().any(|label| label == name)) {
        return Err(fault(format!(
            "has no label `{stray}`, which the setting maps; its labels are {}",
            export.labels.join(", ")
        )));
    }
    let class = |name: &String| spec.labels.get(name).or_else(|| by_name(name));
    let unknown: Vec<_> = export.labels.iter().filter(|name| class(name).is_none()).collect();
    if let Some(first) = unknown.first() {
        let model = &spec.name;
        return Err(fault(format!(
            "the label `{first}` is none of positive, neutral, negative; say what it means, as in QUIPU_SENTIMENT_LABELS={model}:{first}=negative"
        )));
    }
    let classes: Vec<_> = export.labels.iter().filter_map(class).collect();
    match [Label::Negative, Label::Positive].iter().find(|label| !classes.contains(label)) {
        Some(missing) => {
            Err(fault(format!("no label means {missing}; a model of sentiment tells positive from negative")))
        }
        None => Ok(classes),
    }
}

/// Only names that leave no doubt: a bare number or `LABEL_0` means something else in each model.
fn by_name(name: &str) -> Option<Label> {
    match name.to_ascii_lowercase().as_str() {
        "positive" | "pos" => Some(Label::Positive),
        "neutral" | "neu" => Some(Label::Neutral),
        "negative" | "neg" => Some(Label::Negative),
        _ => None,
    }
}
