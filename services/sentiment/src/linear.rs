//! The embedded model: a three-class softmax over hashed features, read from a file of the format `KSLM`.
//!
//! `token` and `feature` carry `train/features.py` over character by character; `unicode` answers what Python's
//! string methods answer, because the weights were learned with them. Nothing here allocates per feature.

mod emoticon;
mod feature;
mod file;
mod hash;
mod model;
mod token;
mod unicode;

pub use file::{FileFault, MAX_FILE_BYTES};
pub use model::LinearModel;

/// Whether the text holds a word, an emoticon or an emoji; a text without any is neutral by rule, whatever the model.
#[must_use]
pub fn has_words(text: &str) -> bool {
    token::tokens(text).list.iter().any(|token| token.kind != token::Kind::Mark)
}

#[cfg(test)]
mod tests;
