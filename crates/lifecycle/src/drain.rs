//! How long each phase of the drain may take.

use std::time::Duration;

use mesh_config::{Reader, Reported, Seconds};

/// The time limits of the drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Between readiness going false and the listeners closing: whoever routes to this process needs this long to notice.
    /// Removing an endpoint before it closes is what makes a restart lose nothing, with or without retries.
    pub endpoints: Duration,
    /// For requests in flight to finish after the listeners closed; then they are cut.
    pub in_flight: Duration,
    /// For the last spans to leave and pools to close.
    pub flush: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            endpoints: Duration::from_secs(1),
            in_flight: Duration::from_secs(10),
            flush: Duration::from_secs(3),
        }
    }
}

impl Drain {
    /// Reads `QUIPU_DRAIN_ENDPOINTS`, `QUIPU_DRAIN_SECONDS` and `QUIPU_DRAIN_FLUSH`.
    ///
    /// # Errors
    /// When a value is not a duration; the reader has recorded it.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let default = Self::default();
        let endpoints = reader.or(
            "QUIPU_DRAIN_ENDPOINTS",
            Seconds(default.endpoints),
            "wait between readiness going false and closing the listeners",
        );
        let in_flight = reader.or(
            "QUIPU_DRAIN_SECONDS",
            Seconds(default.in_flight),
            "limit for requests in flight after the listeners closed",
        );
        let flush = reader.or(
            "QUIPU_DRAIN_FLUSH",
            Seconds(default.flush),
            "limit for the last spans and closing pools",
        );
        Ok(Self { endpoints: endpoints?.0, in_flight: in_flight?.0, flush: flush?.0 })
    }

    /// No waiting for endpoints: for a process that nobody routes to by readiness (`quipu up`, tests).
    #[must_use]
    pub fn without_endpoints(self) -> Self {
        Self { endpoints: Duration::ZERO, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_limit() {
        let mut reader =
            Reader::from_pairs([("QUIPU_DRAIN_ENDPOINTS", "5s"), ("QUIPU_DRAIN_SECONDS", "500ms")]);
        let drain = Drain::read(&mut reader).expect("valid");
        assert_eq!(drain.endpoints, Duration::from_secs(5));
        assert_eq!(drain.in_flight, Duration::from_millis(500));
        assert_eq!(drain.flush, Drain::default().flush);
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        let mut reader = Reader::from_pairs([("QUIPU_DRAIN_SECONDS", "soon")]);
        assert!(Drain::read(&mut reader).is_err());
    }
}
