//! Making tokens: access tokens, refresh tokens and API keys, and the hashes by which the last two are known again.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hmac};
use chrono::{DateTime, Duration, Utc};
use mesh_identity::{Claims, Profile, Scopes};

use crate::domain::refresh::ParsedToken;
use crate::domain::{Email, api_key, base62, refresh};
use crate::error::{AuthError, Result};
use crate::keys::KeyRing;
use crate::ports::Random;

/// For whom and for what an access token is.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) user_id: String,
    /// Of a session or of an API key: claim `sid`.
    pub(crate) session_id: String,
    pub(crate) scopes: Scopes,
    pub(crate) roles: Vec<String>,
    /// The user's last revocation, in seconds: the token must be younger.
    pub(crate) revoked_at: i64,
    /// The credential behind it ends then, and so does the token.
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

/// An access token.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) token: String,
    /// Seconds.
    pub(crate) expires_in: u32,
}

/// Never shows the token.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A secret for the one who asked, and its hash for the database.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) secret: String,
    pub(crate) hash: Vec<u8>,
}

/// Makes tokens.
pub(crate) struct Tokens {
    keys: Arc<KeyRing>,
    random: Arc<dyn Random>,
    profile: Profile,
    life: Duration,
    marks: hmac::Key,
    accounts: hmac::Key,
}

impl Tokens {
    /// `root` are secret bytes of the database, the same for all replicas.
    pub(crate) fn new(
        keys: Arc<KeyRing>,
        random: Arc<dyn Random>,
        profile: Profile,
        life: Duration,
        root: &[u8],
    ) -> Self {
        let marks = hmac::Key::new(hmac::HMAC_SHA256, &derive(root, "refresh marks v1"));
        let accounts = hmac::Key::new(hmac::HMAC_SHA256, &derive(root, "accounts v1"));
        Self { keys, random, profile, life, marks, accounts }
    }

    /// Signs an access token; `now` is to be read before the account is. Verifiers refuse what was issued in the second of
    /// a user's revocation or before, so a token that follows one is dated one second later; their leeway covers that.
    pub(crate) fn access(&self, grant: &Grant, now: DateTime<Utc>) -> Result<AccessToken> {
        let issued = now.timestamp().max(grant.revoked_at.saturating_add(1));
        let end = issued + self.life.num_seconds();
        let end = grant.ends_at.map_or(end, |at| end.min(at.timestamp()));
        let life =
            u32::try_from(end - issued).ok().filter(|life| *life > 0).ok_or(AuthError::SessionEnded)?;
        let seconds = |time: i64| u64::try_from(time).map_err(AuthError::internal);
        let claims = Claims {
            iss: self.profile.issuer.clone(),
            sub: grant.user_id.clone(),
            aud: self.profile.audience.clone(),
            exp: seconds(end)?,
            iat: seconds(issued)?,
            nbf: seconds(issued)?,
            jti: self.id(),
            sid: grant.session_id.clone(),
            scope: grant.scopes.clone(),
            roles: grant.roles.clone(),
            client_id: None,
        };
        Ok(AccessToken { token: self.keys.sign(&claims)?, expires_in: life })
    }

    /// A new id: 128 random bits.
    pub(crate) fn id(&self) -> String {
        self.text::<{ refresh::ID_BYTES }>()
    }

    /// A password that nobody has to remember: 128 random bits.
    pub(crate) fn password(&self) -> String {
        self.text::<16>()
    }

    /// The first refresh token of a session.
    pub(crate) fn refresh(&self, session_id: &str) -> Issued {
        self.issue(session_id, &self.text::<{ refresh::SECRET_BYTES }>())
    }

    /// The refresh token that follows one. It depends on nothing but that token and a key of ours: whoever rotates the
    /// same token gets the same successor. With `expected` (the hash of the successor that was stored) the keys before
    /// the present one are tried too.
    pub(crate) fn successor(&self, of: &ParsedToken<'_>, expected: Option<&[u8]>) -> Result<Option<Issued>> {
        for key in self.keys.succession()? {
            let mut with = hmac::Context::with_key(&key);
            with.update(of.session_id.as_bytes());
            with.update(b"_");
            with.update(of.secret.as_bytes());
            let next = self.issue(of.session_id, &base62::encode(with.sign().as_ref()));
            if expected.is_none_or(|hash| hash == next.hash) {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Whether we have made this refresh token, now or earlier: made-up ones cost no query and end no session.
    pub(crate) fn is_ours(&self, token: &ParsedToken<'_>) -> bool {
        let mark = self.mark(token.session_id, token.secret);
        constant_time::verify_slices_are_equal(mark.as_bytes(), token.mark.as_bytes()).is_ok()
    }

    /// The secret part of a new API key.
    pub(crate) fn api_secret(&self) -> Issued {
        let secret = self.text::<{ api_key::SECRET_BYTES }>();
        Issued { hash: hash(&secret), secret }
    }

    /// How an address is counted by without being stored.
    pub(crate) fn account(&self, email: &Email, source: Option<&str>) -> Vec<u8> {
        let text = format!("{email}\n{}", source.unwrap_or_default());
        hmac::sign(&self.accounts, text.as_bytes()).as_ref().to_vec()
    }

    fn issue(&self, session_id: &str, secret: &str) -> Issued {
        let token = refresh::format(session_id, secret, &self.mark(session_id, secret));
        Issued { secret: token, hash: hash(secret) }
    }

    fn mark(&self, session_id: &str, secret: &str) -> String {
        let tag = hmac::sign(&self.marks, format!("{session_id}_{secret}").as_bytes());
        base62::encode(tag.as_ref().get(..refresh::MARK_BYTES).unwrap_or_default())
    }

    fn text<const BYTES: usize>(&self) -> String {
        let mut bytes = [0; BYTES];
        self.random.fill(&mut bytes);
        base62::encode(&bytes)
    }
}

/// SHA-256: what is stored of secrets that have 256 random bits, for which a slow hash would add nothing.
pub(crate) fn hash(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}

/// A key for one purpose from the root key.
pub(crate) fn derive(root: &[u8], purpose: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, root), purpose.as_bytes()).as_ref().to_vec()
}
