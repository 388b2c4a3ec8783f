//! Reads settings by name, records each of them and each fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    fs,
    path::Path,
    str::FromStr,
};

use crate::Secret;

/// Settings of the mesh begin with this; a name that begins so and that nobody reads is a typing mistake.
const PREFIX: &str = "QUIPU_";

/// The largest secret file that is read, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Reads settings; see the crate's documentation.
#[derive(Debug, Default)]
pub struct Reader {
    values: BTreeMap<String, String>,
    settings: Vec<Setting>,
    faults: Vec<Fault>,
}

/// A setting that was asked for, for `--help` and for the effective configuration.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: String,
    /// What it does, in one line.
    pub help: &'static str,
    /// What holds when it is not set; `None` when it has no default.
    pub default: Option<String>,
    /// Whether the program cannot start without it.
    pub required: bool,
    /// Whether it may also come from the file that `<name>_FILE` names, and is never shown.
    pub secret: bool,
    /// What holds now; `[hidden]` for a secret.
    pub value: Option<String>,
}

/// One fault of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the environment variable.
    pub name: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// Marks that a fault was recorded; the reader knows it, so the caller only passes it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported;

/// Every fault of the configuration, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// The effective configuration, one setting a line, secrets hidden.
#[derive(Clone, Debug)]
pub struct Effective(pub Vec<Setting>);

impl Reader {
    /// Reads the environment of the process. Values that are not UTF-8 are a fault when they are asked for.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn from_env() -> Self {
        Self::from_pairs(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned()))),
        )
    }

    /// Reads the given variables instead of the environment.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let values = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { values, ..Self::default() }
    }

    /// A setting that may be missing. An empty value counts as missing.
    ///
    /// # Errors
    /// [`Reported`] when it cannot be parsed.
    pub fn optional<T>(&mut self, name: &str, help: &'static str) -> Result<Option<T>, Reported>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let value = self.parse::<T>(name);
        let shown = value.as_ref().ok().and_then(|v| v.as_ref().map(T::to_string));
        self.record(Setting {
            name: name.into(),
            help,
            default: None,
            required: false,
            secret: false,
            value: shown,
        });
        value
    }

    /// A setting without which the program cannot start.
    ///
    /// # Errors
    /// [`Reported`] when it is missing or cannot be parsed.
    pub fn required<T>(&mut self, name: &str, help: &'static str) -> Result<T, Reported>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let value = self.optional::<T>(name, help);
        self.mark_required(name);
        value?.ok_or_else(|| self.fault(name, format!("is not set; {help}")))
    }

    /// A setting with a default.
    ///
    /// # Errors
    /// [`Reported`] when it cannot be parsed.
    pub fn or<T>(&mut self, name: &str, default: T, help: &'static str) -> Result<T, Reported>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let shown_default = default.to_string();
        let value = self.parse::<T>(name).map(|v| v.unwrap_or(default));
        let shown = value.as_ref().ok().map(T::to_string);
        let default = Some(shown_default);
        self.record(Setting {
            name: name.into(),
            help,
            default,
            required: false,
            secret: false,
            value: shown,
        });
        value
    }

    /// A secret from the variable itself or from the file that `<name>_FILE` names; never both. A final line break of
    /// the file is not part of the secret.
    ///
    /// # Errors
    /// [`Reported`] when both are set or the file cannot be read.
    pub fn secret(&mut self, name: &str, help: &'static str) -> Result<Option<Secret>, Reported> {
        let file_name = format!("{name}_FILE");
        let value = match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => {
                Err(self.fault(name, format!("is set together with {file_name}; keep one of them")))
            }
            (Some(value), None) => Ok(Some(Secret::from(value))),
            (None, Some(path)) => {
                let read = read_secret(Path::new(&path));
                read.map(Some).map_err(|e| self.fault(&file_name, format!("{path}: {e}")))
            }
            (None, None) => Ok(None),
        };
        let shown = value.as_ref().ok().and_then(|v| v.as_ref().map(Secret::to_string));
        self.record(Setting {
            name: name.into(),
            help,
            default: None,
            required: false,
            secret: true,
            value: shown,
        });
        value
    }

    /// A secret without which the program cannot start.
    ///
    /// # Errors
    /// As [`Reader::secret`], and when there is none.
    pub fn required_secret(&mut self, name: &str, help: &'static str) -> Result<Secret, Reported> {
        let value = self.secret(name, help);
        self.mark_required(name);
        value?.ok_or_else(|| self.fault(name, format!("is not set, nor is {name}_FILE; {help}")))
    }

    /// Records a fault that was found later, for example when a file that a setting names was opened.
    ///
    /// # Errors
    /// [`Reported`] when `result` is an error.
    pub fn check<T, E: Display>(&mut self, name: &str, result: Result<T, E>) -> Result<T, Reported> {
        result.map_err(|e| self.fault(name, e.to_string()))
    }

    /// The settings asked for so far.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every fault, also variables with the mesh's prefix that nobody reads.
    pub fn finish(mut self) -> Result<Effective, Faults> {
        let known: BTreeSet<_> = self.settings.iter().map(|s| s.name.as_str()).collect();
        let unknown: Vec<_> = self
            .values
            .keys()
            .filter(|k| k.starts_with(PREFIX))
            .filter(|k| {
                !known.contains(k.as_str()) && !k.strip_suffix("_FILE").is_some_and(|s| known.contains(s))
            })
            .cloned()
            .collect();
        for name in unknown {
            self.fault(&name, "is not a setting of this program; see --help".to_owned());
        }
        if self.faults.is_empty() { Ok(Effective(self.settings)) } else { Err(Faults(self.faults)) }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).filter(|v| !v.is_empty()).cloned()
    }

    fn parse<T>(&mut self, name: &str) -> Result<Option<T>, Reported>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|e: T::Err| self.fault(name, format!("{text:?}: {e}")))
    }

    fn fault(&mut self, name: &str, message: String) -> Reported {
        self.faults.push(Fault { name: name.to_owned(), message });
        Reported
    }

    fn record(&mut self, setting: Setting) {
        self.settings.retain(|s| s.name != setting.name);
        self.settings.push(setting);
    }

    fn mark_required(&mut self, name: &str) {
        if let Some(setting) = self.settings.iter_mut().find(|s| s.name == name) {
            setting.required = true;
        }
    }
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let size = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > MAX_SECRET {
        return Err(format!("is larger than {MAX_SECRET} bytes"));
    }
    let mut text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let kept = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(kept);
    if text.is_empty() { Err("is empty".into()) } else { Ok(text.into()) }
}

impl Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{}: {}", fault.name, fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.0 {
            writeln!(f, "{}={}", setting.name, setting.value.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
