//! The settings of the service.

mod amounts;
mod models;
mod observed;

use std::path::Path;
use std::time::Duration;

use mesh_config::{Reader, Reported, Seconds, Secret};
use mesh_error::{Error, Kind, Result};
use mesh_identity::Profile;
use mesh_server::ListenConfig;
use mesh_store::{DatabaseUrl, StoreConfig};

use crate::budget::{Budgets, Limits};
use crate::cache::{Cache, Mode};
use crate::guard::{GuardPolicy, Guards};
use crate::service::Rules;

pub use models::{ModelsConfig, Names, OpenAiConfig, PriceList};
pub use observed::ObservedConfig;

/// Port of the service.
const GRPC_PORT: u16 = 50_053;
/// Port of probes and metrics.
const ADMIN_PORT: u16 = 9_103;
/// From the first look at a call to the end of its answer.
pub(crate) const TOTAL: Duration = Duration::from_secs(60);
/// Tokens of a chat's answer.
const CHAT_TOKENS: u32 = 800;
const CACHE_LIFE: Duration = Duration::from_secs(3_600);

/// The settings of the service; those of the mesh apart.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: ListenConfig,
    /// Its database.
    pub store: StoreConfig,
    /// The tokens that are accepted.
    pub profile: Profile,
    /// The models.
    pub models: ModelsConfig,
    /// The words and patterns that the guards refuse.
    pub guard_policy: GuardPolicy,
    /// The budgets that everybody has.
    pub budgets: Budgets,
    /// The cache of jokes.
    pub cache: CacheConfig,
    /// From the first look at a call to the end of its answer; the caller's deadline holds beside it.
    pub total: Duration,
    /// Tokens of a chat's answer, at most.
    pub chat_tokens: u32,
    /// Where answers are observed.
    pub observed: ObservedConfig,
}

/// The cache of jokes.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// How it is used.
    pub mode: Mode,
    /// How long a joke is kept.
    pub life: Duration,
    /// Where all replicas keep them; in process when there is none.
    pub redis: Option<Secret>,
}

impl Config {
    /// Everything in one folder, with the embedded model only: a mesh on one machine.
    #[must_use]
    pub fn local(folder: &Path, listen: ListenConfig) -> Self {
        Self::new(listen, StoreConfig::new(DatabaseUrl::sqlite(folder.join("jokes.db"))))
    }

    /// The defaults, with what has none.
    #[must_use]
    pub fn new(listen: ListenConfig, store: StoreConfig) -> Self {
        Self {
            listen,
            store,
            profile: Profile::default(),
            models: ModelsConfig::default(),
            guard_policy: GuardPolicy::default(),
            budgets: default_budgets(),
            cache: CacheConfig { mode: Mode::default(), life: CACHE_LIFE, redis: None },
            total: TOTAL,
            chat_tokens: CHAT_TOKENS,
            observed: ObservedConfig::default(),
        }
    }

    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// Faults are recorded in the reader.
    pub fn read(reader: &mut Reader) -> std::result::Result<Self, Reported> {
        let listen = ListenConfig::read(reader, GRPC_PORT, ADMIN_PORT);
        let store = StoreConfig::read(reader);
        let profile = Profile::read(reader);
        let models = ModelsConfig::read(reader);
        let guard_policy = read_guards(reader);
        let budgets = read_budgets(reader);
        let cache = CacheConfig::read(reader);
        let total = read_total(reader);
        let tokens = reader.or("QUIPU_JOKES_CHAT_TOKENS", CHAT_TOKENS, "tokens of a chat's answer, at most");
        let tokens = tokens.and_then(|tokens| {
            let fits = if (16..=8_192).contains(&tokens) { Ok(tokens) } else { Err("must be 16 to 8192") };
            reader.check("QUIPU_JOKES_CHAT_TOKENS", fits)
        });
        let observed = ObservedConfig::read(reader);
        Ok(Self {
            listen: listen?,
            store: store?,
            profile: profile?,
            models: models?,
            guard_policy: guard_policy?,
            budgets: budgets?,
            cache: cache?,
            total: total?,
            chat_tokens: tokens?,
            observed: observed?,
        })
    }

    /// The compiled guards.
    pub(crate) fn guards(&self) -> Result<Guards> {
        compiled(&self.guard_policy)
    }

    /// In the terms of the service.
    pub(crate) fn rules(&self) -> Rules {
        let ObservedConfig { opik, captures } = &self.observed;
        Rules {
            total: self.total,
            chat_tokens: self.chat_tokens,
            captures: *captures,
            scores: opik.is_some(),
        }
    }
}

impl CacheConfig {
    fn read(reader: &mut Reader) -> std::result::Result<Self, Reported> {
        let mode = reader.or(
            "QUIPU_JOKES_CACHE",
            Mode::default(),
            "cache of jokes: off, on, read_only or write_only",
        );
        let life = span(reader, "QUIPU_JOKES_CACHE_LIFE", CACHE_LIFE, "how long a joke is kept in the cache");
        let help = "Redis, where all replicas keep the cache [default: in process]";
        let redis = mesh_redis::read_url(reader, help);
        Ok(Self { mode: mode?, life: life?, redis: redis? })
    }

    /// The cache.
    pub(crate) fn build(&self) -> Result<Cache> {
        match &self.redis {
            Some(url) => Cache::in_redis(self.mode, self.life, url),
            None => Ok(Cache::in_process(self.mode, self.life)),
        }
    }
}

/// The compiled guards of a policy.
pub(crate) fn compiled(policy: &GuardPolicy) -> Result<Guards> {
    Guards::new(policy)
        .map_err(|fault| Error::new(Kind::FailedPrecondition, "GUARDS_NOT_LOADED", fault.to_string()))
}

/// What a person can use for pleasure, and no more than two dollars a day.
fn default_budgets() -> Budgets {
    const DOLLAR: i64 = 1_000_000_000;
    let day = Limits { calls: Some(500), tokens: Some(1_000_000), cost_nanos: Some(2 * DOLLAR) };
    let month = Limits { calls: Some(5_000), tokens: Some(10_000_000), cost_nanos: Some(20 * DOLLAR) };
    Budgets { user_day: day, user_month: month, ..Budgets::default() }
}

fn read_budgets(reader: &mut Reader) -> std::result::Result<Budgets, Reported> {
    let defaults = default_budgets();
    let mut read = |name, default, help| reader.or::<Limits>(name, default, help);
    let user_day = read(
        "QUIPU_JOKES_BUDGET_USER_DAY",
        defaults.user_day,
        "of a user a day: calls=N,tokens=N,cost=DOLLARS, or none",
    );
    let user_month = read("QUIPU_JOKES_BUDGET_USER_MONTH", defaults.user_month, "of a user a month");
    let credential_day =
        read("QUIPU_JOKES_BUDGET_CREDENTIAL_DAY", defaults.credential_day, "of a session or API key a day");
    let credential_month = read(
        "QUIPU_JOKES_BUDGET_CREDENTIAL_MONTH",
        defaults.credential_month,
        "of a session or API key a month",
    );
    Ok(Budgets {
        user_day: user_day?,
        user_month: user_month?,
        credential_day: credential_day?,
        credential_month: credential_month?,
    })
}

pub(crate) fn read_guards(reader: &mut Reader) -> std::result::Result<GuardPolicy, Reported> {
    const NAME: &str = "QUIPU_JOKES_GUARD_FILE";
    let file = reader
        .optional::<String>(NAME, "words and patterns that are refused [default: the built-in policy]")?;
    let Some(file) = file else { return Ok(GuardPolicy::default()) };
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"));
    let policy = text.and_then(|text| GuardPolicy::parse(&text).map_err(|fault| format!("{file}: {fault}")));
    let compiled = policy.and_then(|policy| match Guards::new(&policy) {
        Ok(_) => Ok(policy),
        Err(fault) => Err(format!("{file}: {fault}")),
    });
    reader.check(NAME, compiled)
}

pub(crate) fn read_total(reader: &mut Reader) -> std::result::Result<Duration, Reported> {
    span(reader, "QUIPU_JOKES_TOTAL_TIMEOUT", TOTAL, "longest time of a joke or an answer")
}

/// A time of more than zero and at most a day.
fn span(
    reader: &mut Reader,
    name: &'static str,
    default: Duration,
    help: &'static str,
) -> std::result::Result<Duration, Reported> {
    let value = reader.or(name, Seconds(default), help)?;
    let fits = !value.0.is_zero() && value.0 <= Duration::from_secs(24 * 3_600);
    reader.check(name, if fits { Ok(value.0) } else { Err("must be more than zero and at most 24h") })
}

#[cfg(test)]
mod tests;
