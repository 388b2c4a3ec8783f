//! The gateway's settings.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use mesh_config::{Reader, Reported, Seconds, Secret};
use mesh_identity::token::Profile;
use mesh_server::ListenConfig;
use mesh_telemetry::RecentTraces;

use crate::{Origin, Quota, TrustedProxies, rate::Class};

/// Everything that the gateway is told, besides what the mesh is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where REST is served.
    pub listen: SocketAddr,
    /// Where probes and metrics are served.
    pub admin_listen: SocketAddr,
    /// Folder with `tls.crt` and `tls.key` for the outside; none means plain HTTP (behind something that ends TLS).
    pub tls_dir: Option<PathBuf>,
    /// Redis, by which replicas share limits and idempotency keys; none means that each counts alone.
    pub redis_url: Option<Secret>,
    /// Origins of web pages that may read answers.
    pub cors_origins: Vec<Origin>,
    /// Networks of proxies whose word about the client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// How often who may call.
    pub rates: Rates,
    /// Limits of connections.
    pub listener: Listener,
    /// What access tokens must be.
    pub profile: Profile,
    /// The newest traces of this process, for `/v1/traces` of a local mesh.
    pub recent_traces: Option<RecentTraces>,
}

/// A quota for each class of caller; none means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Nobody signed in, per client address.
    pub anonymous: Option<Quota>,
    /// Signed in, per user with all API keys.
    pub user: Option<Quota>,
    /// Sign-in, registration and refresh, per client address.
    pub login: Option<Quota>,
    /// API keys not seen of late, per client address.
    pub exchange: Option<Quota>,
    /// Jokes and chats, per user with all API keys.
    pub generation: Option<Quota>,
}

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// At most so many connections at once; more wait in the backlog of the system.
    pub max_connections: usize,
    /// For the headers of a request, from its first byte.
    pub header_timeout: Duration,
    /// Without a request.
    pub idle_timeout: Duration,
    /// Without the peer reading any of an answer.
    pub unread_timeout: Duration,
    /// After which a connection is ended politely, so that new replicas get their share.
    pub max_age: Duration,
}

impl Default for Config {
    /// Loopback, plain HTTP, everything in process.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9100)),
            tls_dir: None,
            redis_url: None,
            cors_origins: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            rates: Rates::default(),
            listener: Listener::default(),
            profile: Profile::default(),
            recent_traces: None,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            anonymous: Some(Quota::per_minute(120)),
            user: Some(Quota::per_minute(600)),
            login: Some(Quota::per_minute(20)),
            exchange: Some(Quota::per_minute(60)),
            generation: Some(Quota::per_minute(5)),
        }
    }
}

impl Rates {
    /// No limit for anybody, for measurements.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { anonymous: None, user: None, login: None, exchange: None, generation: None }
    }

    pub(crate) const fn of(&self, class: Class) -> Option<Quota> {
        match class {
            Class::Anonymous => self.anonymous,
            Class::User => self.user,
            Class::Login => self.login,
            Class::Exchange => self.exchange,
            Class::Generation => self.generation,
        }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            unread_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(900),
        }
    }
}

/// "60/1m", or "off".
#[derive(Clone, Copy)]
struct Rate(Option<Quota>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" { Ok(Self(None)) } else { text.parse().map(|quota| Self(Some(quota))) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(quota) => quota.fmt(f),
            None => f.write_str("off"),
        }
    }
}

/// Origins with commas between them.
#[derive(Default)]
struct Origins(Vec<Origin>);

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

impl Config {
    /// Reads every setting; each fault is kept by the reader.
    ///
    /// # Errors
    /// When any is wrong.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let ports = ListenConfig::read(reader, 8080, 9100);
        let tls_dir = reader.optional::<String>(
            "QUIPU_GATEWAY_TLS_DIR",
            "folder with tls.crt and tls.key for the REST port; without it plain HTTP is served",
        );
        let redis_url = mesh_redis::read_url(reader, "redis://… shared by all replicas of the gateway");
        let origins = reader.or(
            "QUIPU_GATEWAY_CORS_ORIGINS",
            Origins::default(),
            "origins of web pages that may read answers, with commas between them",
        );
        let proxies = reader.or(
            "QUIPU_GATEWAY_TRUSTED_PROXIES",
            TrustedProxies::default(),
            "networks of proxies whose X-Forwarded-For is believed, with commas between them",
        );
        let rates = Rates::read(reader);
        let listener = Listener::read(reader);
        let profile = Profile::read(reader);
        let ports = ports?;
        Ok(Self {
            listen: ports.listen,
            admin_listen: ports.admin_listen,
            tls_dir: tls_dir?.map(PathBuf::from),
            redis_url: redis_url?,
            cors_origins: origins?.0,
            trusted_proxies: proxies?,
            rates: rates?,
            listener: listener?,
            profile: profile?,
            recent_traces: None,
        })
    }
}

impl Rates {
    fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let own = Self::default();
        let mut rate = |name, default, help| reader.or(name, Rate(default), help).map(|rate| rate.0);
        let anonymous = rate(
            "QUIPU_GATEWAY_RATE_ANONYMOUS",
            own.anonymous,
            "calls per window of one address that is not signed in, or off",
        );
        let user = rate(
            "QUIPU_GATEWAY_RATE_USER",
            own.user,
            "calls per window of one user with all API keys, or off",
        );
        let login = rate(
            "QUIPU_GATEWAY_RATE_LOGIN",
            own.login,
            "sign-ins, registrations and refreshes per window of one address, or off",
        );
        let exchange = rate(
            "QUIPU_GATEWAY_RATE_EXCHANGE",
            own.exchange,
            "API keys not seen of late per window of one address, or off",
        );
        let generation = rate(
            "QUIPU_GATEWAY_RATE_GENERATION",
            own.generation,
            "jokes and chats per window of one user with all API keys, or off",
        );
        let (anonymous, user, login) = (anonymous?, user?, login?);
        Ok(Self { anonymous, user, login, exchange: exchange?, generation: generation? })
    }
}

impl Listener {
    fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let own = Self::default();
        let connections = reader.or(
            "QUIPU_GATEWAY_MAX_CONNECTIONS",
            own.max_connections,
            "connections at once; more wait in the system's backlog",
        );
        let connections = match connections {
            Ok(0) => reader.check("QUIPU_GATEWAY_MAX_CONNECTIONS", Err("must be at least 1")),
            other => other,
        };
        let mut seconds =
            |name, default, help| reader.or(name, Seconds(default), help).map(|seconds| seconds.0);
        let header = seconds(
            "QUIPU_GATEWAY_HEADER_TIMEOUT",
            own.header_timeout,
            "time for the headers of a request, and for the first request of a connection",
        );
        let idle = seconds("QUIPU_GATEWAY_IDLE_TIMEOUT", own.idle_timeout, "time without a request");
        Ok(Self { max_connections: connections?, header_timeout: header?, idle_timeout: idle?, ..own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let mut reader = Reader::from_pairs([
            ("QUIPU_LISTEN", "127.0.0.1:0"),
            ("QUIPU_GATEWAY_RATE_USER", "off"),
            ("QUIPU_GATEWAY_RATE_LOGIN", "5/10s"),
            ("QUIPU_GATEWAY_RATE_GENERATION", "off"),
            ("QUIPU_GATEWAY_CORS_ORIGINS", "https://a.example, https://b.example"),
            ("QUIPU_GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8"),
        ]);
        let config = Config::read(&mut reader).unwrap();
        assert_eq!((config.rates.user, config.rates.generation), (None, None));
        assert_eq!(config.rates.login, Some(Quota::new(5, Duration::from_secs(10)).unwrap()));
        assert_eq!(config.cors_origins.len(), 2);
        assert!(reader.finish().is_ok());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut reader = Reader::from_pairs([
            ("QUIPU_GATEWAY_RATE_USER", "many"),
            ("QUIPU_GATEWAY_CORS_ORIGINS", "*"),
            ("QUIPU_GATEWAY_TRUSTED_PROXIES", "everybody"),
            ("QUIPU_GATEWAY_MAX_CONNECTIONS", "0"),
            ("QUIPU_REDIS_URL", "http://redis"),
        ]);
        assert!(Config::read(&mut reader).is_err());
        let faults = reader.finish().unwrap_err();
        assert_eq!(faults.0.len(), 5, "{faults:?}");
    }
}
