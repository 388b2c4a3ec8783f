//! The settings of the service.

use mesh_config::{Reader, Reported};
use mesh_identity::Profile;
use mesh_server::ListenConfig;

use crate::models::{EMBEDDED_NAME, LabelList, ModelList};
use crate::pool::PoolSize;

/// Port of the service.
const GRPC_PORT: u16 = 50_054;
/// Port of probes and metrics.
const ADMIN_PORT: u16 = 9_104;

/// The settings of the service; those of the mesh apart.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: ListenConfig,
    /// Models beside the embedded one.
    pub models: ModelList,
    /// Name of the model that answers when a request names none.
    pub default_model: String,
    /// How many texts are worked on at once, and how many wait.
    pub pool: PoolSize,
    /// The tokens that are accepted.
    pub profile: Profile,
}

impl Config {
    /// The embedded model only, on loopback ports that the system chooses: for a local mesh and for tests.
    #[must_use]
    pub fn local() -> Self {
        Self {
            listen: ListenConfig::loopback(),
            models: ModelList::default(),
            default_model: EMBEDDED_NAME.to_owned(),
            pool: PoolSize::default(),
            profile: Profile::default(),
        }
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// When one is faulty; the reader has recorded each.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let listen = ListenConfig::read(reader, GRPC_PORT, ADMIN_PORT);
        let profile = Profile::read(reader);
        let models = read_models(reader);
        let default_model = reader.or(
            "QUIPU_SENTIMENT_DEFAULT_MODEL",
            EMBEDDED_NAME.to_owned(),
            "name of the model that answers when a request names none",
        );
        let size = PoolSize::default();
        let workers = reader.or(
            "QUIPU_SENTIMENT_WORKERS",
            size.workers,
            "texts that are worked on at once (1 or more)",
        );
        let workers = workers.and_then(|workers| {
            let checked = if workers == 0 { Err("must be at least 1") } else { Ok(workers) };
            reader.check("QUIPU_SENTIMENT_WORKERS", checked)
        });
        let queue = reader.or(
            "QUIPU_SENTIMENT_QUEUE",
            size.queue,
            "requests that wait for a worker; more are refused",
        );
        Ok(Self {
            listen: listen?,
            models: models?,
            default_model: default_model?,
            pool: PoolSize { workers: workers?, queue: queue? },
            profile: profile?,
        })
    }
}

fn read_models(reader: &mut Reader) -> Result<ModelList, Reported> {
    let models = reader.or(
        "QUIPU_SENTIMENT_MODELS",
        ModelList::default(),
        "models beside the embedded one: NAME=PATH[#SHA256],… (a KSLM file or an ONNX folder)",
    );
    let labels = reader.or(
        "QUIPU_SENTIMENT_LABELS",
        LabelList::default(),
        "what the labels of ONNX models mean: NAME:LABEL=positive|neutral|negative,…",
    );
    let (mut models, labels) = (models?, labels?);
    reader.check("QUIPU_SENTIMENT_LABELS", labels.apply(&mut models))?;
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_need_be_set() {
        let mut reader = Reader::from_pairs::<&str, &str>([]);
        let config = Config::read(&mut reader).unwrap();
        assert_eq!((config.default_model.as_str(), config.listen.listen.port()), (EMBEDDED_NAME, GRPC_PORT));
        assert!(config.models.0.is_empty());
        reader.finish().unwrap();
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut reader = Reader::from_pairs([
            ("QUIPU_SENTIMENT_MODELS", "bert"),
            ("QUIPU_SENTIMENT_WORKERS", "0"),
            ("QUIPU_SENTIMENT_QUEUE", "many"),
        ]);
        assert!(Config::read(&mut reader).is_err());
        let faults = reader.finish().unwrap_err().to_string();
        for name in ["QUIPU_SENTIMENT_MODELS", "QUIPU_SENTIMENT_WORKERS", "QUIPU_SENTIMENT_QUEUE"] {
            assert!(faults.contains(name), "{faults}");
        }
    }

    #[test]
    fn labels_of_a_model_that_is_not_listed_are_a_fault() {
        let mut reader = Reader::from_pairs([("QUIPU_SENTIMENT_LABELS", "bert:LABEL_0=negative")]);
        assert!(Config::read(&mut reader).is_err());
        assert!(reader.finish().unwrap_err().to_string().contains("not listed"));
    }
}
