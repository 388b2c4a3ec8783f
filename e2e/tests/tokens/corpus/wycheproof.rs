//! The published vectors of bad signatures, which `cargo xtask tools wycheproof` fetches; they are not kept here.
//!
//! All their keys are strangers to the mesh and none is of its kind, so those that are valid for their keys must be refused
//! as well.

use std::path::Path;

use serde_json::Value;

use super::Case;

/// The tokens, and how many of them hold under their own keys.
pub(crate) fn cases() -> (Vec<Case>, usize) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/wycheproof/json_web_signature_test.json");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|e| panic!("{}: {e}; run `cargo xtask tools wycheproof`", file.display()));
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let (mut cases, mut valid) = (Vec::new(), 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let kind = group["private"]["kty"].as_str().or(group["public"]["kty"].as_str());
        assert!(matches!(kind, Some("RSA" | "EC" | "oct")), "a key of the mesh's own kind: {kind:?}");
        for test in group["tests"].as_array().unwrap() {
            let name = format!("{} {}", test["tcId"], test["comment"].as_str().unwrap());
            cases.push(Case::token("wycheproof", name, test["jws"].as_str().unwrap()));
            valid += usize::from(test["result"] == "valid");
        }
    }
    (cases, valid)
}
