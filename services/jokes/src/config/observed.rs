//! Where answers are observed, and how much can be read there.

use std::fmt::Display;

use mesh_config::{Reader, Reported};
use mesh_error::{Error, Kind, Result};
use mesh_opik::{Answers, Opik, OpikConfig};
use mesh_telemetry::Sink;

/// Where answers are observed. `Default` observes them nowhere but in the mesh's own traces.
#[derive(Clone, Debug, Default)]
pub struct ObservedConfig {
    /// Opik, beside the collector of all traces.
    pub opik: Option<OpikConfig>,
    /// Whether traces hold what was asked and answered.
    pub captures: bool,
}

impl ObservedConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// Faults are recorded in the reader.
    pub fn read(reader: &mut Reader) -> std::result::Result<Self, Reported> {
        let opik = OpikConfig::read(reader);
        let captures = reader.or(
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            false,
            "true lets traces hold what was asked and answered",
        );
        Ok(Self { opik: opik?, captures: captures? })
    }

    /// Where spans go, for the telemetry of the process.
    ///
    /// # Errors
    /// When Opik's settings cannot be used.
    pub fn sinks(&self) -> Result<Vec<Sink>> {
        let started = self.opik.as_ref().map(Answers::start).transpose().map_err(not_observed)?;
        Ok(started.map(|answers| -> Sink { Box::new(answers) }).into_iter().collect())
    }

    /// Opik's REST API, for ratings.
    pub(crate) fn opik(&self) -> Result<Option<Opik>> {
        self.opik.as_ref().map(Opik::new).transpose().map_err(not_observed)
    }
}

fn not_observed(fault: impl Display) -> Error {
    Error::new(Kind::FailedPrecondition, "OPIK_NOT_LOADED", format!("cannot use Opik: {fault}"))
}
