//! The bodies of the fuzz targets (`fuzz/fuzz_targets`): what each input must hold, beside not panicking.
//!
//! They depend on nothing but the input: clocks stand and keys are fixed, so a corpus file that passes, passes always.

mod api_json;
mod claims;
mod idempotency;
mod issuer;
mod model_file;
mod page_token;
mod policy;
mod spiffe_id;
mod svid;
mod text;
mod token;
mod unique;

pub(crate) use api_json::json;
pub(crate) use claims::claims;
pub(crate) use idempotency::idempotency;
pub(crate) use model_file::model_file;
pub(crate) use page_token::page_token;
pub(crate) use policy::policy;
pub(crate) use spiffe_id::spiffe_id;
pub(crate) use svid::svid;
pub(crate) use text::text;
pub(crate) use token::token;
