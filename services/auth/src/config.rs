//! Settings of the service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_config::{Reader, Reported, Seconds, Secret};
use mesh_identity::Profile;
use mesh_server::ListenConfig;
use mesh_store::{DatabaseUrl, StoreConfig};

pub use crate::keys::KeyStore;

use crate::domain::throttle::AccountLimits;
use crate::domain::{Email, Password};
use crate::hashing::HashSettings;
use crate::service::Rules;

const DAY: Duration = Duration::from_secs(24 * 3_600);

// What counts where nothing else was said.
const KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);
const ACCESS_LIFE: Duration = Duration::from_secs(600);
const SESSION_IDLE: Duration = Duration::from_secs(30 * 24 * 3_600);
const SESSION_LIFE: Duration = Duration::from_secs(90 * 24 * 3_600);
const AUDIT_LIFE: Duration = Duration::from_secs(180 * 24 * 3_600);
const SOURCE_FAILURES: u32 = 100;

/// Settings of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: ListenConfig,
    /// Its database.
    pub store: StoreConfig,
    /// Its signing keys.
    pub keys: KeyStore,
    /// In a [`KeyStore::Folder`], how long a key signs before the next one takes over.
    pub key_life: Duration,
    /// Password hashing.
    pub hashing: HashSettings,
    /// The first administrator.
    pub admin: AdminSeed,
    /// What its tokens say of themselves.
    pub profile: Profile,
    /// Life of an access token; at most an hour, for verifiers believe no longer one.
    pub access_life: Duration,
    /// Life of a session that is not refreshed.
    pub session_idle: Duration,
    /// Life of a session in all.
    pub session_life: Duration,
    /// How long audit records are kept.
    pub audit_life: Duration,
    /// Failed sign-ins in an hour from one address (IPv6: /64), over all accounts, before it has to wait.
    pub source_failures: u32,
}

/// Where the first administrator comes from. Nothing is done when there is one.
#[derive(Clone, Debug)]
pub enum AdminSeed {
    /// From nowhere: somebody sees to it in the database.
    None,
    /// From the settings.
    Given {
        /// The address.
        email: String,
        /// The password.
        password: Secret,
    },
    /// A password is made up, which [`App::initial_admin`](crate::App::initial_admin) gives once.
    Generated {
        /// The address.
        email: String,
    },
}

impl Config {
    /// Everything in one folder, with a generated administrator: a mesh on one machine.
    #[must_use]
    pub fn local(folder: &Path, listen: ListenConfig) -> Self {
        let store = StoreConfig::new(DatabaseUrl::sqlite(folder.join("auth.db")));
        let keys = KeyStore::Folder(folder.join("signing-keys"));
        let admin = AdminSeed::Generated { email: "admin@quipu.local".to_owned() };
        Self::new(listen, store, keys, admin)
    }

    /// The defaults, with what has none.
    #[must_use]
    pub fn new(listen: ListenConfig, store: StoreConfig, keys: KeyStore, admin: AdminSeed) -> Self {
        Self {
            listen,
            store,
            keys,
            key_life: KEY_LIFE,
            hashing: HashSettings::default(),
            admin,
            profile: Profile::default(),
            access_life: ACCESS_LIFE,
            session_idle: SESSION_IDLE,
            session_life: SESSION_LIFE,
            audit_life: AUDIT_LIFE,
            source_failures: SOURCE_FAILURES,
        }
    }

    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// Faults are recorded in the reader.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let listen = ListenConfig::read(reader, 50_051, 9_101);
        let store = StoreConfig::read(reader);
        let keys = read_keys(reader);
        let key_life =
            span(reader, "QUIPU_AUTH_KEY_LIFE", KEY_LIFE, "how long a key of QUIPU_AUTH_KEY_DIR signs");
        let hashing = read_hashing(reader);
        let admin = read_admin(reader);
        let profile = Profile::read(reader);
        let access = span(reader, "QUIPU_AUTH_ACCESS_LIFE", ACCESS_LIFE, "life of an access token");
        let access = access.and_then(|life| {
            let valid = if life <= Duration::from_secs(3_600) { Ok(life) } else { Err("must be at most 1h") };
            reader.check("QUIPU_AUTH_ACCESS_LIFE", valid)
        });
        let idle =
            span(reader, "QUIPU_AUTH_SESSION_IDLE", SESSION_IDLE, "life of a session that is not refreshed");
        let life = span(reader, "QUIPU_AUTH_SESSION_LIFE", SESSION_LIFE, "life of a session in all");
        let audit = span(reader, "QUIPU_AUTH_AUDIT_LIFE", AUDIT_LIFE, "how long audit records are kept");
        let failures = reader.or(
            "QUIPU_AUTH_SOURCE_FAILURES",
            SOURCE_FAILURES,
            "failed sign-ins an hour from one address before it waits",
        );
        Ok(Self {
            listen: listen?,
            store: store?,
            keys: keys?,
            key_life: key_life?,
            hashing: hashing?,
            admin: admin?,
            profile: profile?,
            access_life: access?,
            session_idle: idle?,
            session_life: life?,
            audit_life: audit?,
            source_failures: failures?,
        })
    }

    /// In the terms of the service.
    pub(crate) fn rules(&self) -> Rules {
        let span =
            |span: Duration| chrono::Duration::from_std(span).unwrap_or(chrono::Duration::days(36_500));
        Rules {
            access_life: span(self.access_life),
            idle_life: span(self.session_idle),
            session_life: span(self.session_life),
            grace: chrono::Duration::seconds(10),
            audit_life: span(self.audit_life),
            accounts: AccountLimits::default(),
            source_failures: self.source_failures.max(1),
        }
    }
}

fn span(
    reader: &mut Reader,
    name: &'static str,
    default: Duration,
    help: &'static str,
) -> Result<Duration, Reported> {
    let value = reader.or(name, Seconds(default), help)?;
    let whole = value.0.as_secs() > 0 && value.0 <= 3_650 * DAY;
    reader.check(name, if whole { Ok(value.0) } else { Err("must be 1s to 87600h") })
}

fn read_keys(reader: &mut Reader) -> Result<KeyStore, Reported> {
    // The file's path is needed besides its content, for it is read again when it changes.
    let file = reader
        .optional::<String>("QUIPU_AUTH_SIGNING_KEY_FILE", "file of the signing keys, reloaded on change");
    let given = reader.secret(
        "QUIPU_AUTH_SIGNING_KEY",
        "signing keys: PEM (PKCS#8, Ed25519), one after the other; the first signs, all are published",
    );
    let folder = reader.optional::<String>(
        "QUIPU_AUTH_KEY_DIR",
        "instead: folder in which one process makes and rotates its own signing keys",
    );
    let store = match (file?, given?, folder?) {
        (Some(file), _, None) => Ok(KeyStore::File(PathBuf::from(file))),
        (None, Some(given), None) => Ok(KeyStore::Given(given)),
        (None, None, Some(folder)) => Ok(KeyStore::Folder(PathBuf::from(folder))),
        _ => Err(
            "set exactly one of QUIPU_AUTH_SIGNING_KEY, QUIPU_AUTH_SIGNING_KEY_FILE and QUIPU_AUTH_KEY_DIR",
        ),
    };
    reader.check("QUIPU_AUTH_SIGNING_KEY", store)
}

fn read_hashing(reader: &mut Reader) -> Result<HashSettings, Reported> {
    let defaults = HashSettings::default();
    let memory = reader.or("QUIPU_AUTH_ARGON2_MEMORY_KIB", defaults.memory_kib, "argon2id memory (m)");
    let iterations = reader.or("QUIPU_AUTH_ARGON2_ITERATIONS", defaults.iterations, "argon2id passes (t)");
    let lanes = reader.or("QUIPU_AUTH_ARGON2_LANES", defaults.lanes, "argon2id lanes (p)");
    let threads = reader.or("QUIPU_AUTH_HASH_THREADS", defaults.threads, "passwords hashed at once");
    let queue = reader.or("QUIPU_AUTH_HASH_QUEUE", defaults.queue, "callers that may wait for it");
    let settings = HashSettings {
        memory_kib: memory?,
        iterations: iterations?,
        lanes: lanes?,
        threads: threads?,
        queue: queue?,
    };
    let mut bound = |name, holds, fault| reader.check(name, if holds { Ok(()) } else { Err(fault) });
    let weak = "is weaker than OWASP's choices, e.g. 19456 KiB with 2 passes";
    let strong = bound("QUIPU_AUTH_ARGON2_MEMORY_KIB", settings.is_strong(), weak);
    let payable = settings.memory_kib <= 4_194_304 && settings.iterations <= 100;
    let payable = bound("QUIPU_AUTH_ARGON2_MEMORY_KIB", payable, "is more than 4 GiB or 100 passes");
    let lanes = bound("QUIPU_AUTH_ARGON2_LANES", (1..=16).contains(&settings.lanes), "must be 1 to 16");
    let threads = bound("QUIPU_AUTH_HASH_THREADS", (1..=256).contains(&settings.threads), "must be 1 to 256");
    let queue = bound("QUIPU_AUTH_HASH_QUEUE", settings.queue <= 10_000, "must be at most 10000");
    strong.and(payable).and(lanes).and(threads).and(queue).map(|()| settings)
}

fn read_admin(reader: &mut Reader) -> Result<AdminSeed, Reported> {
    let email = reader
        .optional::<String>("QUIPU_AUTH_ADMIN_EMAIL", "address of the first administrator, if there is none");
    let password = reader.secret("QUIPU_AUTH_ADMIN_PASSWORD", "password of the first administrator");
    let (email, password) = match (email?, password?) {
        (None, None) => return Ok(AdminSeed::None),
        (Some(email), Some(password)) => (email, password),
        _ => {
            let together: Result<AdminSeed, _> =
                Err("needs QUIPU_AUTH_ADMIN_EMAIL and QUIPU_AUTH_ADMIN_PASSWORD together");
            return reader.check("QUIPU_AUTH_ADMIN_EMAIL", together);
        }
    };
    let address = reader.check("QUIPU_AUTH_ADMIN_EMAIL", Email::parse(&email));
    let chosen = Password::choose(password.expose(), address.as_ref().ok());
    let chosen = reader.check("QUIPU_AUTH_ADMIN_PASSWORD", chosen);
    address.and(chosen.map(|_| AdminSeed::Given { email, password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 2] =
        [("QUIPU_DATABASE_URL", "sqlite:///tmp/unused.db"), ("QUIPU_AUTH_KEY_DIR", "/tmp/unused")];

    fn faults(extra: &[(&str, &str)]) -> Vec<String> {
        let mut reader = Reader::from_pairs(GOOD.iter().chain(extra).copied());
        let _config = Config::read(&mut reader);
        match reader.finish() {
            Ok(_) => vec![],
            Err(faults) => faults.0.into_iter().map(|fault| fault.name).collect(),
        }
    }

    #[test]
    fn the_defaults_are_valid_and_strong() {
        assert_eq!(faults(&[]), Vec::<String>::new());
        let mut reader = Reader::from_pairs(GOOD);
        let config = Config::read(&mut reader).unwrap();
        assert!(config.hashing.is_strong());
        assert_eq!(config.access_life, Duration::from_secs(600));
    }

    #[test]
    fn each_bad_value_is_named() {
        for (name, value) in [
            ("QUIPU_AUTH_ARGON2_MEMORY_KIB", "64"),
            ("QUIPU_AUTH_ARGON2_LANES", "0"),
            ("QUIPU_AUTH_HASH_THREADS", "0"),
            ("QUIPU_AUTH_HASH_QUEUE", "10001"),
            ("QUIPU_AUTH_ACCESS_LIFE", "2h"),
            ("QUIPU_AUTH_SESSION_IDLE", "0"),
            ("QUIPU_AUTH_ADMIN_EMAIL", "root@example.com"),
            ("QUIPU_DATABASE_URL", "mysql://x"),
            ("QUIPU_AUTH_KEY_LIFE", "soon"),
        ] {
            assert_eq!(faults(&[(name, value)]), [name], "{value}");
        }
    }

    #[test]
    fn signing_keys_come_from_exactly_one_place() {
        assert_eq!(faults(&[("QUIPU_AUTH_SIGNING_KEY", "x")]), ["QUIPU_AUTH_SIGNING_KEY"]);
        let mut reader = Reader::from_pairs([("QUIPU_DATABASE_URL", "sqlite:///tmp/unused.db")]);
        assert!(Config::read(&mut reader).is_err());
    }

    #[test]
    fn a_common_password_is_none_for_an_administrator() {
        let admin =
            [("QUIPU_AUTH_ADMIN_EMAIL", "root@example.com"), ("QUIPU_AUTH_ADMIN_PASSWORD", "password1")];
        assert_eq!(faults(&admin), ["QUIPU_AUTH_ADMIN_PASSWORD"]);
    }
}
