//! Every input of the fuzz corpora again, through the bodies of the fuzz targets: what was found once stays found.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod targets;

use std::{fs, panic::catch_unwind, path::Path};

use quipu_e2e::Proof;

/// Runs a target on each file of its corpus.
fn replay(id: &'static str, name: &str, target: fn(&[u8])) {
    let mut proof = Proof::new(id, "every input of the fuzz corpus holds what the fuzz target demands");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        (files, bytes) = (files + 1, bytes + data.len());
        proof.check(catch_unwind(|| target(&data)).is_ok(), || path.display());
    }
    proof.figure(format!("{files} inputs, {bytes} bytes"));
    proof.limit("0 failed; at most 200 inputs and 300 KiB");
    proof.require(files <= 200 && bytes <= 300 * 1024, || "the corpus is too large: minimise it");
    proof.finish();
}

macro_rules! replays {
    ($($test:ident: $target:ident;)+) => {
        $(
            #[test]
            fn $test() {
                replay(concat!("K2.replay.", stringify!($target)), stringify!($target), targets::$target);
            }
        )+
    };
}

replays! {
    k2_token_corpus_holds: token;
    k2_claims_corpus_holds: claims;
    k2_spiffe_id_corpus_holds: spiffe_id;
    k2_svid_corpus_holds: svid;
    k2_policy_corpus_holds: policy;
    k2_idempotency_corpus_holds: idempotency;
    k2_page_token_corpus_holds: page_token;
    k2_json_corpus_holds: json;
    k2_model_file_corpus_holds: model_file;
    k2_text_corpus_holds: text;
}
