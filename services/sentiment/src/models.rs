//! The factory and the register of models: what the settings name is loaded, checked and found again by name.
//!
//! The embedded model is always loaded; it costs half a millisecond and it answers when another model fails.

mod digest;
mod embedded;
mod fault;
mod linear;
mod spec;

use std::path::Path;
use std::sync::Arc;

pub use digest::{Digests, Sha256};
pub use embedded::{EMBEDDED_NAME, embedded};
pub use fault::LoadFault;
pub use linear::LinearBackend;
pub use spec::{LabelList, LabelMap, ModelList, ModelSpec};

use crate::linear::MAX_FILE_BYTES;
use crate::ports::SentimentModel;

/// A model behind its trait.
pub type SharedModel = Arc<dyn SentimentModel>;

/// Loads one model: a folder is an ONNX export, a file is a `KSLM` model.
///
/// # Errors
/// [`LoadFault`] names the file, what is wrong with it and what to do.
pub fn load(spec: &ModelSpec) -> Result<SharedModel, LoadFault> {
    let path = &spec.path;
    let metadata = std::fs::metadata(path).map_err(|fault| LoadFault::unreadable(path, &fault))?;
    if metadata.is_dir() {
        return load_folder(spec);
    }
    let bytes = read_bounded(path, MAX_FILE_BYTES as u64)?;
    let sha256 = Sha256::of(&bytes);
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    spec.digests.check_names(path, &[name])?;
    spec.digests.check_model(path, &sha256)?;
    let model = LinearBackend::parse(&spec.name, &bytes, &sha256);
    Ok(Arc::new(model.map_err(|fault| LoadFault::file(path, fault))?))
}

#[cfg(feature = "onnx")]
fn load_folder(spec: &ModelSpec) -> Result<SharedModel, LoadFault> {
    Ok(Arc::new(crate::onnx::OnnxModel::load(spec)?))
}

#[cfg(not(feature = "onnx"))]
fn load_folder(spec: &ModelSpec) -> Result<SharedModel, LoadFault> {
    Err(LoadFault::file(
        &spec.path,
        "is a folder, thus an ONNX export, but this program was built without the feature `onnx`",
    ))
}

/// Reads a file of at most `most` bytes. The bytes that are hashed are the bytes that are parsed.
pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, LoadFault> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|fault| LoadFault::unreadable(path, &fault))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|fault| LoadFault::unreadable(path, &fault))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(LoadFault::file(path, format!("is larger than {most} bytes, the most that is read")));
    }
    Ok(bytes)
}

/// The loaded models.
#[derive(Clone)]
pub struct Models {
    /// The default one first.
    list: Arc<[SharedModel]>,
    fallback: SharedModel,
}

impl Models {
    /// Loads the embedded model and those of `specs`; `default` names the one that answers when a request names none.
    ///
    /// # Errors
    /// [`LoadFault`] for a model that cannot be loaded, a name that is taken, or a default that is not there.
    pub fn load(specs: &[ModelSpec], default: &str) -> Result<Self, LoadFault> {
        let mut list = vec![embedded()?];
        for spec in specs {
            if list.iter().any(|model| model.info().name == spec.name) {
                return Err(LoadFault::setting(format!(
                    "two models are named `{}`; names are unique, and `{EMBEDDED_NAME}` is the embedded one",
                    spec.name
                )));
            }
            list.push(load(spec)?);
        }
        Self::new(list, default)
    }

    /// Registers models that are loaded; the first one answers when another one fails.
    ///
    /// # Errors
    /// [`LoadFault`] when no model has the name `default`.
    pub fn new(mut list: Vec<SharedModel>, default: &str) -> Result<Self, LoadFault> {
        let fallback = list.first().map(Arc::clone);
        let place = list.iter().position(|model| model.info().name == default);
        let (Some(fallback), Some(place)) = (fallback, place) else {
            let names: Vec<_> = list.iter().map(|model| model.info().name.as_str()).collect();
            return Err(LoadFault::setting(format!(
                "the default model `{default}` is not loaded; loaded are: {}",
                names.join(", ")
            )));
        };
        if let Some(head) = list.get_mut(..=place) {
            head.rotate_right(1);
        }
        Ok(Self { list: list.into(), fallback })
    }

    /// The model of that name; an empty name is the default one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SharedModel> {
        if name.is_empty() {
            self.list.first()
        } else {
            self.list.iter().find(|model| model.info().name == name)
        }
    }

    /// All models, the default one first.
    pub fn iter(&self) -> impl Iterator<Item = &SharedModel> {
        self.list.iter()
    }

    /// The model that answers when another one fails.
    #[must_use]
    pub fn fallback(&self) -> &SharedModel {
        &self.fallback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/linear18.ksl");

    #[test]
    fn the_default_comes_first_and_an_empty_name_means_it() {
        let models =
            Models::load(&[ModelSpec::new("own", OWN), ModelSpec::new("other", OWN)], "own").unwrap();
        let names: Vec<_> = models.iter().map(|model| model.info().name.clone()).collect();
        assert_eq!(names, ["own", EMBEDDED_NAME, "other"]);
        assert_eq!(models.get("").unwrap().info().name, "own");
        assert_eq!(models.get("other").unwrap().info().name, "other");
        assert!(models.get("none").is_none());
        assert_eq!(models.fallback().info().name, EMBEDDED_NAME);
    }

    #[test]
    fn a_name_is_given_once_and_a_default_must_be_there() {
        let twice =
            Models::load(&[ModelSpec::new(EMBEDDED_NAME, OWN)], EMBEDDED_NAME).err().unwrap().to_string();
        assert!(twice.contains("two models are named `linear18`"), "{twice}");
        let missing = Models::load(&[], "bert").err().unwrap().to_string();
        assert!(missing.contains("`bert` is not loaded; loaded are: linear18"), "{missing}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let fault =
            Models::load(&[ModelSpec::new("own", "no/such/file.ksl")], "own").err().unwrap().to_string();
        assert!(fault.contains("no/such/file.ksl"), "{fault}");
    }
}
