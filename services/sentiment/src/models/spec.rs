//! How an operator names models in settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::digest::Digests;
use crate::domain::Label;

/// One model to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// The name by which requests ask for it: lower-case letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// A `KSLM` file or the folder of an ONNX export.
    pub path: PathBuf,
    /// The hashes that its files must have.
    pub digests: Digests,
    /// What the labels of an ONNX export mean, where their names do not say it.
    pub labels: LabelMap,
}

impl ModelSpec {
    /// A model with no declared hashes and no mapped labels.
    #[must_use]
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            digests: Digests::default(),
            labels: LabelMap::default(),
        }
    }
}

/// What a model's own label names mean. Several names may mean the same class: their probabilities are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelMap(BTreeMap<String, Label>);

impl LabelMap {
    /// What the name means, if it was said.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Label> {
        self.0.get(name).copied()
    }

    /// The names that were given a meaning.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, Label)> for LabelMap {
    fn from_iter<I: IntoIterator<Item = (String, Label)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The setting that lists models: `NAME=PATH` or `NAME=PATH#SHA256`, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelList(pub Vec<ModelSpec>);

impl FromStr for ModelList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let models = entries.map(parse_model).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(models))
    }
}

fn parse_model(entry: &str) -> Result<ModelSpec, String> {
    let (name, rest) =
        entry.split_once('=').ok_or_else(|| format!("`{entry}` is not NAME=PATH or NAME=PATH#SHA256"))?;
    let (path, hash) = rest.rsplit_once('#').map_or((rest, None), |(path, hash)| (path, Some(hash)));
    let sane = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(sane) {
        return Err(format!("`{name}` is no model name; use 1 to 64 of a-z, 0-9, `-`, `_` and `.`"));
    }
    if path.is_empty() {
        return Err(format!("`{entry}` names no path"));
    }
    let digests = hash.map(str::parse).transpose()?.unwrap_or_default();
    Ok(ModelSpec { name: name.into(), path: path.into(), digests, labels: LabelMap::default() })
}

impl fmt::Display for ModelList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, model) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{}={}", model.name, model.path.display())?;
            if model.digests != Digests::default() {
                write!(f, "#{}", model.digests)?;
            }
        }
        Ok(())
    }
}

/// The setting that says what labels mean: `NAME:LABEL=class`, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelList(Vec<(String, String, Label)>);

impl LabelList {
    /// Gives each model its own mappings.
    ///
    /// # Errors
    /// A mapping for a model that is not listed.
    pub fn apply(&self, models: &mut ModelList) -> Result<(), String> {
        for (model, name, label) in &self.0 {
            let spec = models.0.iter_mut().find(|spec| spec.name == *model);
            let spec =
                spec.ok_or_else(|| format!("`{model}:{name}={label}` is for a model that is not listed"))?;
            spec.labels.0.insert(name.clone(), *label);
        }
        Ok(())
    }
}

impl FromStr for LabelList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse = |entry: &str| {
            let parts = entry.split_once(':').and_then(|(model, rest)| Some((model, rest.rsplit_once('=')?)));
            let (model, (name, label)) = parts.ok_or_else(|| format!("`{entry}` is not NAME:LABEL=class"))?;
            Ok::<_, String>((model.to_owned(), name.to_owned(), label.parse()?))
        };
        Ok(Self(entries.map(parse).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for LabelList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> =
            self.0.iter().map(|(model, name, label)| format!("{model}:{name}={label}")).collect();
        f.write_str(&entries.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_printed_alike() {
        let hash = "a".repeat(64);
        let text = format!("mine=models/mine.ksl,bert=exports/bert#{hash}");
        let list: ModelList = text.parse().unwrap();
        assert_eq!(list.to_string(), text);
        assert_eq!(list.0[0].path, PathBuf::from("models/mine.ksl"));
        assert_eq!(list.0[1].digests, hash.parse().unwrap());
        assert_eq!("".parse(), Ok(ModelList::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("bert", "NAME=PATH"),
            ("Bert=x", "no model name"),
            ("=x", "no model name"),
            ("bert=", "names no path"),
            ("bert=x#12", "no SHA-256"),
            ("bert=x#", "no SHA-256"),
        ] {
            let fault = text.parse::<ModelList>().unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn labels_reach_their_model() {
        let mut models: ModelList = "stars=x,bert=y".parse().unwrap();
        let labels: LabelList = "stars:1 star=negative,stars:5 stars=positive".parse().unwrap();
        labels.apply(&mut models).unwrap();
        assert_eq!(models.0[0].labels.get("1 star"), Some(Label::Negative));
        assert_eq!(models.0[1].labels, LabelMap::default());
        let stray: LabelList = "other:a=neutral".parse().unwrap();
        assert!(stray.apply(&mut models).unwrap_err().contains("not listed"));
        assert!("stars:x".parse::<LabelList>().is_err());
        assert!("stars:x=splendid".parse::<LabelList>().is_err());
    }
}
