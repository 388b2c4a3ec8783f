//! The fuzz targets by name. Their bodies stand beside the test that runs them on the corpora again:
//! `cargo test -p quipu-e2e --test replay`.

#[path = "../../e2e/tests/replay/targets/mod.rs"]
mod targets;

macro_rules! targets {
    ($($name:ident)+) => {
        $(pub fn $name(data: &[u8]) {
            targets::$name(data);
        })+
    };
}

targets! { token claims spiffe_id svid policy idempotency page_token json model_file text }
