//! The settings of telemetry.

use std::fmt;
use std::str::FromStr;

use mesh_config::{Reader, Reported};
use tracing_subscriber::filter::Targets;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Readable on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("expected auto, json or text"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// Which traces are recorded: the names of `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// Every trace.
    AlwaysOn,
    /// No trace.
    AlwaysOff,
    /// A share of all traces.
    TraceIdRatio,
    /// As the caller decided; every trace that begins here.
    #[default]
    ParentBasedAlwaysOn,
    /// As the caller decided; no trace that begins here.
    ParentBasedAlwaysOff,
    /// As the caller decided; a share of the traces that begin here.
    ParentBasedTraceIdRatio,
}

const SAMPLINGS: [(&str, Sampling); 6] = [
    ("always_on", Sampling::AlwaysOn),
    ("always_off", Sampling::AlwaysOff),
    ("traceidratio", Sampling::TraceIdRatio),
    ("parentbased_always_on", Sampling::ParentBasedAlwaysOn),
    ("parentbased_always_off", Sampling::ParentBasedAlwaysOff),
    ("parentbased_traceidratio", Sampling::ParentBasedTraceIdRatio),
];

impl FromStr for Sampling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = SAMPLINGS.iter().find(|(name, _)| *name == text).map(|(_, sampling)| *sampling);
        found.ok_or_else(|| format!("expected one of {}", SAMPLINGS.map(|(name, _)| name).join(", ")))
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SAMPLINGS.iter().find(|(_, sampling)| sampling == self).map_or("", |(name, _)| name))
    }
}

/// The settings of telemetry. `Default` logs at `info` and exports nothing.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Directives of the log filter, for example `info,mesh_server=debug`.
    pub filter: String,
    /// How log lines look.
    pub format: Format,
    /// The OTLP collector (gRPC); nothing is exported without one.
    pub otlp_endpoint: Option<String>,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// The share for the samplings that have one, 0 to 1.
    pub sampling_ratio: f64,
    /// Overrides the service name that the program gives.
    pub service_name: Option<String>,
    /// More attributes of the resource.
    pub resource_attributes: Vec<(String, String)>,
    /// How many spans are kept in memory for [`crate::Telemetry::recent`]; no setting, a local mesh asks for it.
    pub recent_spans: usize,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: Format::Auto,
            otlp_endpoint: None,
            sampling: Sampling::default(),
            sampling_ratio: 1.0,
            service_name: None,
            resource_attributes: Vec::new(),
            recent_spans: 0,
        }
    }
}

impl TelemetryConfig {
    /// Reads `QUIPU_LOG`, `QUIPU_LOG_FORMAT` and the standard `OTEL_*` variables.
    ///
    /// # Errors
    /// When a value is faulty; the reader has recorded each.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let default = Self::default();
        let filter = reader.or(
            "QUIPU_LOG",
            Filter(default.filter),
            "what is logged: level and target=level, separated by commas",
        );
        let format = reader.or(
            "QUIPU_LOG_FORMAT",
            default.format,
            "auto (readable on a terminal, else JSON), json or text",
        );
        let collector = read_collector(reader);
        let sampling = reader.or("OTEL_TRACES_SAMPLER", default.sampling, "which traces are recorded");
        let ratio = reader.or(
            "OTEL_TRACES_SAMPLER_ARG",
            Ratio(default.sampling_ratio),
            "share of traces for the ratio samplers, 0 to 1",
        );
        let service_name = reader.optional::<String>("OTEL_SERVICE_NAME", "service name in traces");
        let attributes = reader.optional::<Attributes>(
            "OTEL_RESOURCE_ATTRIBUTES",
            "attributes of the resource: key=value,key=value",
        );
        Ok(Self {
            filter: filter?.0,
            format: format?,
            otlp_endpoint: collector?,
            sampling: sampling?,
            sampling_ratio: ratio?.0,
            service_name: service_name?,
            resource_attributes: attributes?.map(|attributes| attributes.0).unwrap_or_default(),
            recent_spans: default.recent_spans,
        })
    }
}

/// Where spans go, if anywhere.
fn read_collector(reader: &mut Reader) -> Result<Option<String>, Reported> {
    let disabled = reader.or("OTEL_SDK_DISABLED", false, "true exports no traces");
    let exporter = reader.or("OTEL_TRACES_EXPORTER", Exporter::Otlp, "otlp or none");
    let protocol = reader.or("OTEL_EXPORTER_OTLP_PROTOCOL", Grpc, "grpc, the only protocol here");
    let general = reader.optional::<Endpoint>(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTLP collector, for example http://localhost:4317",
    );
    let traces = reader.optional::<Endpoint>(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTLP collector for traces; overrides the general one",
    );
    let (exporter, _, general, traces) = (exporter?, protocol?, general?, traces?);
    let exports = !disabled? && exporter == Exporter::Otlp;
    Ok(traces.or(general).filter(|_| exports).map(|endpoint| endpoint.0))
}

/// A value that is checked when it is read and shown as it was written.
macro_rules! shown {
    ($name:ident, $self:ident => $shown:expr) => {
        impl fmt::Display for $name {
            fn fmt(&$self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", $shown)
            }
        }
    };
}

struct Filter(String);
shown!(Filter, self => self.0);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Targets>().map(|_| Self(text.to_owned())).map_err(|error| error.to_string())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exporter {
    Otlp,
    None,
}
shown!(Exporter, self => if *self == Self::Otlp { "otlp" } else { "none" });

impl FromStr for Exporter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "otlp" => Ok(Self::Otlp),
            "none" => Ok(Self::None),
            _ => Err("expected otlp or none"),
        }
    }
}

struct Grpc;
shown!(Grpc, self => { let Self = self; "grpc" });

impl FromStr for Grpc {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "grpc" { Ok(Self) } else { Err("expected grpc: send OTLP over HTTP through a collector") }
    }
}

struct Endpoint(String);
shown!(Endpoint, self => self.0);

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: http::Uri = text.parse().map_err(|_| "expected a URL such as http://localhost:4317")?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) => Ok(Self(text.to_owned())),
            (Some("https"), Some(_)) => {
                Err("TLS to the collector is not supported: use a collector beside the process")
            }
            _ => Err("expected a URL such as http://localhost:4317"),
        }
    }
}

struct Ratio(f64);
shown!(Ratio, self => self.0);

impl FromStr for Ratio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .map(Self)
            .ok_or("expected a number from 0 to 1")
    }
}

struct Attributes(Vec<(String, String)>);
shown!(Attributes, self => self.0.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","));

impl FromStr for Attributes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pair = |entry: &str| match entry.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("expected key=value, not {entry:?}")),
        };
        text.split(',').filter(|entry| !entry.trim().is_empty()).map(pair).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
