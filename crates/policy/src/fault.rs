//! What is wrong with a policy file, and where.
//!
//! A reader of a review or of a log must find the place at once, so a fault always has the file's name, and a line and
//! a column unless the file could not be read at all. All faults of a file are reported together.

use std::fmt;

/// At most this many faults are kept; a file that is worse than that is not a policy.
const MAX_FAULTS: usize = 200;

/// A place in the file, counted from 1. Line 0 means the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line, counted from 1; 0 when the fault is of the file as a whole.
    pub line: usize,
    /// Column in characters, counted from 1; 0 when the fault is of the file as a whole.
    pub column: usize,
    /// What is wrong and, where it can be guessed, what was meant.
    pub message: String,
}

/// Everything that is wrong with one policy file, in the order of the file.
///
/// Displayed as one line per fault: `policies/mesh.yaml:12:5: unknown workload "jokez" (did you mean "jokes"?)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    file: String,
    list: Vec<Fault>,
}

impl Faults {
    /// One fault of the file as a whole.
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        let fault = Fault { line: 0, column: 0, message: message.into() };
        Self { file: file.to_owned(), list: vec![fault] }
    }

    /// The name of the file, as it was given to the parser.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The faults, in the order of the file; never empty.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{}:", self.file)?;
            if fault.line > 0 {
                write!(out, "{}:{}:", fault.line, fault.column)?;
            }
            write!(out, " {}", fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Collects faults while a file is read, so that one mistake does not hide the next.
#[derive(Debug, Default)]
pub(crate) struct Collector(Vec<Fault>);

impl Collector {
    pub(crate) fn at(&mut self, spot: Spot, message: impl Into<String>) {
        self.0.push(Fault { line: spot.line, column: spot.column, message: message.into() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults in the order of the file, each once.
    pub(crate) fn into_faults(mut self, file: &str) -> Faults {
        self.0.sort();
        self.0.dedup();
        self.0.truncate(MAX_FAULTS);
        Faults { file: file.to_owned(), list: self.0 }
    }
}
