//! The files of an export: read once, bounded, hashed, and compared with what the operator declared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::models::{LoadFault, ModelSpec, Sha256, read_bounded};

const MODEL: &str = "model.onnx";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

const MAX_MODEL_BYTES: u64 = 1024 * 1024 * 1024;
const MAX_TOKENIZER_BYTES: u64 = 64 * 1024 * 1024;
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// More tokens than this are never read of one text: the time of a run grows with their square.
const MAX_TOKENS: usize = 512;
/// Fewer leave no room for a text beside the special tokens.
const MIN_TOKENS: usize = 8;

/// What an export's folder holds.
pub(super) struct Export {
    pub(super) model_path: PathBuf,
    pub(super) model: Vec<u8>,
    pub(super) tokenizer_path: PathBuf,
    pub(super) tokenizer: Vec<u8>,
    pub(super) config_path: PathBuf,
    /// The label of each logit, in their order.
    pub(super) labels: Vec<String>,
    /// Longer texts are cut to so many tokens, special ones included.
    pub(super) max_tokens: usize,
}

/// The part of `config.json` that is needed.
#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
    problem_type: Option<String>,
    id2label: Option<BTreeMap<String, String>>,
    max_position_embeddings: Option<usize>,
    pad_token_id: Option<usize>,
}

/// The part of `tokenizer_config.json` that is needed. Without a limit the files say 1e30.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

/// The part of `tokenizer.json` that is needed.
#[derive(Deserialize)]
struct TokenizerFile {
    truncation: Option<Truncation>,
}

#[derive(Deserialize)]
struct Truncation {
    max_length: usize,
}

impl Export {
    pub(super) fn read(spec: &ModelSpec) -> Result<Self, LoadFault> {
        let folder = &spec.path;
        spec.digests.check_names(folder, &[MODEL, TOKENIZER, CONFIG, TOKENIZER_CONFIG])?;
        let config = read_file(spec, CONFIG, MAX_CONFIG_BYTES)?;
        let config_path = folder.join(CONFIG);
        let config: Config = json(&config_path, &config)?;
        let labels = labels(&config_path, &config)?;
        let tokenizer = read_file(spec, TOKENIZER, MAX_TOKENIZER_BYTES)?;
        let tokenizer_path = folder.join(TOKENIZER);
        let truncation = json::<TokenizerFile>(&tokenizer_path, &tokenizer)?.truncation;
        let limits = if folder.join(TOKENIZER_CONFIG).exists() {
            json::<TokenizerConfig>(
                &folder.join(TOKENIZER_CONFIG),
                &read_file(spec, TOKENIZER_CONFIG, MAX_CONFIG_BYTES)?,
            )?
        } else {
            TokenizerConfig::default()
        };
        let model_path = folder.join(MODEL);
        let model = read_bounded(&model_path, MAX_MODEL_BYTES)?;
        spec.digests.check_model(&model_path, &Sha256::of(&model))?;
        let max_tokens = max_tokens(&config, truncation.map(|cut| cut.max_length), limits.model_max_length);
        if max_tokens < MIN_TOKENS {
            return Err(LoadFault::file(
                &config_path,
                format!("the model reads {max_tokens} tokens of a text; at least {MIN_TOKENS} are needed"),
            ));
        }
        Ok(Self { model_path, model, tokenizer_path, tokenizer, config_path, labels, max_tokens })
    }
}

fn read_file(spec: &ModelSpec, name: &str, most: u64) -> Result<Vec<u8>, LoadFault> {
    let path = spec.path.join(name);
    let bytes = read_bounded(&path, most)?;
    spec.digests.check_file(&path, name, &Sha256::of(&bytes))?;
    Ok(bytes)
}

fn json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, LoadFault> {
    serde_json::from_slice(bytes)
        .map_err(|fault| LoadFault::file(path, format!("is not the JSON of an export: {fault}")))
}

/// The labels in the order of their ids, which must be 0, 1, 2, …
fn labels(path: &Path, config: &Config) -> Result<Vec<String>, LoadFault> {
    if let Some(kind) = config.problem_type.as_deref().filter(|kind| *kind != "single_label_classification") {
        return Err(LoadFault::file(
            path,
            format!(
                "`problem_type` is `{kind}`; only `single_label_classification` gives probabilities of one label"
            ),
        ));
    }
    let named = config.id2label.as_ref().filter(|labels| !labels.is_empty());
    let named = named.ok_or_else(|| LoadFault::file(path, "has no `id2label`, so nobody knows what the model's numbers mean; add it, as in {\"0\": \"negative\", \"1\": \"positive\"}"))?;
    let in_order = (0..named.len()).map(|id| named.get(&id.to_string()).cloned()).collect::<Option<Vec<_>>>();
    in_order.ok_or_else(|| {
        LoadFault::file(path, format!("the ids of `id2label` are not 0 to {}", named.len() - 1))
    })
}

/// The least of what the files say, and of what this service reads.
fn max_tokens(config: &Config, truncation: Option<usize>, tokenizer: Option<f64>) -> usize {
    // RoBERTa and its kin count positions from behind the padding id.
    let behind_padding = config
        .model_type
        .as_deref()
        .is_some_and(|kind| kind.contains("roberta") || kind.contains("camembert"));
    let lost = if behind_padding { config.pad_token_id.unwrap_or(1) + 1 } else { 0 };
    let positions = config.max_position_embeddings.map(|most| most.saturating_sub(lost));
    let told =
        (MIN_TOKENS..=MAX_TOKENS).rev().find(|most| tokenizer.is_some_and(|told| (*most as f64) <= told));
    [positions, truncation, told].into_iter().flatten().fold(MAX_TOKENS, usize::min)
}
