//! SHA-256 of the files of a model, and those that the operator declared.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::fault::LoadFault;

/// A SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sha256(String);

impl Sha256 {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        Self(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough to tell versions apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!("`{text}` is no SHA-256; write its 64 hexadecimal digits"))
    }
}

/// The hashes that an operator declared for the files of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    model: Option<Sha256>,
    files: BTreeMap<String, Sha256>,
}

impl Digests {
    /// Refuses the model file when its declared hash differs.
    pub(crate) fn check_model(&self, path: &Path, found: &Sha256) -> Result<(), LoadFault> {
        compare(path, self.model.as_ref(), found)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        compare(path, self.files.get(&name), found)
    }

    /// Refuses another file of the model's folder when its declared hash differs.
    #[cfg(feature = "onnx")]
    pub(crate) fn check_file(&self, path: &Path, name: &str, found: &Sha256) -> Result<(), LoadFault> {
        compare(path, self.files.get(name), found)
    }

    /// Refuses a declaration for a file that the model does not have: it would protect nothing.
    pub(crate) fn check_names(&self, path: &Path, known: &[&str]) -> Result<(), LoadFault> {
        match self.files.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(LoadFault::file(
                path,
                format!("a SHA-256 is declared for `{name}`, but only {} are read", known.join(", ")),
            )),
            None => Ok(()),
        }
    }
}

fn compare(path: &Path, declared: Option<&Sha256>, found: &Sha256) -> Result<(), LoadFault> {
    match declared {
        Some(declared) if declared != found => Err(LoadFault::file(
            path,
            format!(
                "its SHA-256 is {found}, but {declared} is declared; restore the file, or declare the new hash if you trust it"
            ),
        )),
        _ => Ok(()),
    }
}

impl FromStr for Digests {
    type Err = String;

    /// `HASH` of the model file, or `FILE:HASH` for each of several files, joined by `+`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digests = Self::default();
        for part in text.split('+') {
            match part.split_once(':') {
                Some((name, hash)) => {
                    if digests.files.insert(name.to_owned(), hash.parse()?).is_some() {
                        return Err(format!("two hashes are declared for `{name}`"));
                    }
                }
                None if digests.model.is_some() => {
                    return Err("two hashes are declared for the model file".into());
                }
                None => digests.model = Some(part.parse()?),
            }
        }
        Ok(digests)
    }
}

impl fmt::Display for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.iter().map(Sha256::to_string);
        let files = self.files.iter().map(|(name, hash)| format!("{name}:{hash}"));
        f.write_str(&model.chain(files).collect::<Vec<_>>().join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            Sha256::of(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Sha256::of(b"abc").short(), "ba7816bf8f01");
        assert_eq!(Sha256::of(b"abc").as_str().to_uppercase().parse(), Ok(Sha256::of(b"abc")));
        assert!("ba78".parse::<Sha256>().is_err());
        assert!("g".repeat(64).parse::<Sha256>().is_err());
    }

    #[test]
    fn a_declared_hash_binds_its_file_only() {
        let (one, two) = (Sha256::of(b"1"), Sha256::of(b"2"));
        let digests: Digests = format!("{one}+tokenizer.json:{two}").parse().unwrap();
        assert_eq!(digests.to_string(), format!("{one}+tokenizer.json:{two}"));
        let path = Path::new("bert/model.onnx");
        assert!(digests.check_model(path, &one).is_ok());
        let fault = digests.check_model(path, &two).unwrap_err().to_string();
        assert!(
            fault.starts_with("bert/model.onnx: its SHA-256 is") && fault.contains(one.as_str()),
            "{fault}"
        );
        assert!(digests.check_names(path, &["model.onnx", "tokenizer.json"]).is_ok());
        assert!(digests.check_names(path, &["model.onnx"]).is_err());
        assert!(format!("{one}+{two}").parse::<Digests>().is_err());
    }
}
