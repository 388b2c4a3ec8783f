//! The model inside the binary; `models/MODEL_CARD.md` tells what it is and what it is good for.

use std::sync::Arc;

use super::SharedModel;
use super::digest::Sha256;
use super::fault::LoadFault;
use super::linear::LinearBackend;

/// Name of the embedded model.
pub const EMBEDDED_NAME: &str = "linear18";

const BYTES: &[u8] = include_bytes!("../../models/linear18.ksl");

/// Loads the embedded model.
///
/// # Errors
/// [`LoadFault`] when the binary was built with a broken model file.
pub fn embedded() -> Result<SharedModel, LoadFault> {
    let model = LinearBackend::parse(EMBEDDED_NAME, BYTES, &Sha256::of(BYTES));
    Ok(Arc::new(model.map_err(|fault| LoadFault::setting(format!("the embedded model: {fault}")))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_the_one_of_the_model_card() {
        let card = include_str!("../../models/MODEL_CARD.md");
        assert!(card.contains(embedded().unwrap().info().sha256.as_str()));
    }
}
