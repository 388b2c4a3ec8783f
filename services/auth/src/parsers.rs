//! What reads the text of strangers, opened for the fuzz targets and their replay: no part of the API.

use crate::domain::api_key;

/// Id and secret of an API key, if it is well formed and its checksum fits.
#[must_use]
pub fn api_key(key: &str) -> Option<(&str, &str)> {
    api_key::parse(key).map(|parsed| (parsed.id, parsed.secret))
}

/// The API key of an id and a secret.
#[must_use]
pub fn format_api_key(id: &str, secret: &str) -> String {
    api_key::format(id, secret)
}
