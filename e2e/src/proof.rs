//! A row of the reliability plan: what was tried, what failed, what was measured, and what it had to be.

use std::{fmt::Display, fs, io::Write as _};

use serde_json::json;

/// Contexts of failures that are shown.
const SHOWN: usize = 10;

/// Whether the full campaign runs (`cargo xtask proofs`) and not the short form that is part of the tests.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the campaign is chosen for the test process, by its runner")]
pub fn is_full() -> bool {
    std::env::var("QUIPU_PROOFS").is_ok_and(|form| form == "full")
}

/// How often something is tried: `full` times in the full campaign, a tenth (at least once) in the short form.
#[must_use]
pub fn count(full: usize) -> usize {
    if is_full() { full } else { (full / 10).max(1) }
}

/// A row in the making.
#[derive(Debug)]
pub struct Proof {
    id: &'static str,
    what: &'static str,
    tried: u64,
    failed: u64,
    contexts: Vec<String>,
    unmet: Vec<String>,
    figure: String,
    limit: String,
}

impl Proof {
    /// Begins a row: its id in the plan (`F1`, a part `G5.owner`) and what it proves.
    #[must_use]
    pub fn new(id: &'static str, what: &'static str) -> Self {
        let (contexts, unmet) = (Vec::new(), Vec::new());
        Self {
            id,
            what,
            tried: 0,
            failed: 0,
            contexts,
            unmet,
            figure: String::new(),
            limit: "0 failed".into(),
        }
    }

    /// Counts one try; the context of the first failures is kept.
    pub fn check<C: Display>(&mut self, ok: bool, context: impl FnOnce() -> C) {
        self.tried += 1;
        if !ok {
            self.failed += 1;
            if self.contexts.len() < SHOWN {
                self.contexts.push(context().to_string());
            }
        }
    }

    /// Counts tries that were judged elsewhere.
    pub fn add(&mut self, tried: u64, failed: u64) {
        self.tried += tried;
        self.failed += failed;
    }

    /// A condition on what was measured; it is no try of its own.
    pub fn require<C: Display>(&mut self, holds: bool, context: impl FnOnce() -> C) {
        if !holds {
            self.unmet.push(context().to_string());
        }
    }

    /// As [`Proof::require`], for times: they decide only in the full campaign, on a quiet machine.
    pub fn require_time<C: Display>(&mut self, holds: bool, context: impl FnOnce() -> C) {
        self.require(holds || !is_full(), context);
    }

    /// What was measured, for people.
    pub fn figure(&mut self, figure: impl Display) {
        self.figure = figure.to_string();
    }

    /// What the figure has to be, for people.
    pub fn limit(&mut self, limit: impl Display) {
        self.limit = limit.to_string();
    }

    /// Prints the row as one line of JSON and appends it to the file that `QUIPU_PROOFS_OUT` names.
    ///
    /// # Panics
    /// When the row does not pass: something failed, a condition is unmet, or nothing was tried.
    #[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "the row is the output of the test")]
    pub fn finish(self) {
        let pass = self.tried > 0 && self.failed == 0 && self.unmet.is_empty();
        let row = json!({"id": self.id, "n": self.tried, "failed": self.failed, "figure": self.figure,
            "limit": self.limit, "pass": pass, "what": self.what});
        let line = format!("{row}\n");
        print!("{line}");
        if let Some(path) = std::env::var_os("QUIPU_PROOFS_OUT") {
            let file = fs::OpenOptions::new().create(true).append(true).open(path);
            file.unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert!(pass, "{row}\nunmet: {:#?}\nfailed: {:#?}", self.unmet, self.contexts);
    }
}
