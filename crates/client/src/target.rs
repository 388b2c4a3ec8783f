//! Where workloads listen.

use std::{collections::BTreeMap, fmt, net::SocketAddr, str::FromStr};

/// Where one workload listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At these addresses, for ever.
    Static(Vec<SocketAddr>),
    /// At whatever addresses the name has, looked up again and again.
    Dns {
        /// The name.
        host: String,
        /// The port at each address.
        port: u16,
    },
}

/// Where the workloads listen, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints(pub BTreeMap<String, Target>);

/// A target that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither dns://HOST:PORT nor a list of ADDRESS:PORT separated by commas")]
pub struct InvalidTarget(String);

const DNS: &str = "dns://";

impl Endpoints {
    /// No workload is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workload, or moves it.
    #[must_use]
    pub fn with(mut self, workload: impl Into<String>, target: impl Into<Target>) -> Self {
        self.0.insert(workload.into(), target.into());
        self
    }

    /// Where a workload listens.
    #[must_use]
    pub fn get(&self, workload: &str) -> Option<&Target> {
        self.0.get(workload)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Static(vec![address])
    }
}

impl From<Vec<SocketAddr>> for Target {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self::Static(addresses)
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTarget(text.to_owned());
        if let Some(name) = text.strip_prefix(DNS) {
            let (host, port) = name.rsplit_once(':').ok_or_else(invalid)?;
            let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if host.is_empty() || !host.chars().all(is_name) {
                return Err(invalid());
            }
            return Ok(Self::Dns { host: host.to_owned(), port });
        }
        let addresses: Result<Vec<SocketAddr>, _> = text.split(',').map(|a| a.trim().parse()).collect();
        addresses.map(Self::Static).map_err(|_| invalid())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { host, port } => write!(f, "{DNS}{host}:{port}"),
            Self::Static(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
                f.write_str(&addresses.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_printed() {
        for text in ["dns://auth.quipu.svc:50051", "127.0.0.1:50051", "127.0.0.1:1,[::1]:2"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "auth:50051",
            "dns://auth",
            "dns://:1",
            "dns://a:0",
            "dns://a/b:1",
            "127.0.0.1",
            "127.0.0.1:1,",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
