//! How much memory programs take at their highest, above where they began.

use std::{collections::BTreeMap, fs};

use quipu_e2e::ProcessMesh;

/// 8 callers at once.
pub(crate) const AT_ONCE: usize = 8;

/// So much more a program may take while they call.
pub(crate) const MOST: u64 = 64 << 20;

/// The highest so far of each program.
pub(crate) struct Memory<'a> {
    mesh: &'a ProcessMesh,
    base: BTreeMap<String, u64>,
    highest: BTreeMap<String, (u64, String)>,
}

impl<'a> Memory<'a> {
    /// Begins with what the programs take now, warm and idle.
    pub(crate) fn now(mesh: &'a ProcessMesh) -> Self {
        let base = mesh.processes.iter().map(|p| (p.name().to_owned(), p.memory().0)).collect();
        Self { mesh, base, highest: BTreeMap::new() }
    }

    /// Forgets earlier peaks.
    pub(crate) fn begin(&self) {
        for process in &self.mesh.processes {
            fs::write(format!("/proc/{}/clear_refs", process.pid()), "5").unwrap();
        }
    }

    /// What the programs took at most since [`Memory::begin`], above the base; the largest of them.
    pub(crate) fn end(&mut self, what: &str) -> u64 {
        let mut largest = 0;
        for process in &self.mesh.processes {
            let more = process.memory().1.saturating_sub(self.base[process.name()]);
            let highest = self.highest.entry(process.name().to_owned()).or_default();
            if more > highest.0 {
                *highest = (more, what.to_owned());
            }
            largest = largest.max(more);
        }
        largest
    }

    /// The highest of each program, in MiB, and what it came from.
    pub(crate) fn figure(&self) -> String {
        let one = |(name, (bytes, what)): (&String, &(u64, String))| {
            format!("{name} +{:.1} MiB ({what})", mib(*bytes))
        };
        self.highest.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// For people.
#[expect(clippy::cast_precision_loss, reason = "a figure of megabytes")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
