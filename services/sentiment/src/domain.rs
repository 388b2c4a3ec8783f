//! What a sentiment is: labels, probabilities, the shape of an answer, and the rule of the text without words.
//!
//! Pure: no transport, no files, no clock. A backend produces [`Analysis`] values and nothing outside this module decides
//! which label a set of probabilities has.

mod analysis;
mod text;

pub use analysis::{Analysis, Label, Probabilities, Word};
pub use text::{MAX_BATCH, MAX_BATCH_BYTES, MAX_CHARS, Text, TextFault};
