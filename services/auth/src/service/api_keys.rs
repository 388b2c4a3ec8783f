//! API keys.

use aws_lc_rs::constant_time;
use chrono::{DateTime, Duration, DurationRound, Utc};
use mesh_identity::{RevokedSubject, Scopes};
use mesh_store::page::{Page, PageRequest};
use mesh_store::{Tx, retry};
use mesh_telemetry::audit::Outcome;

use super::{Auth, Caller};
use crate::audit::{Actor, Entry};
use crate::domain::api_key::{self, MOST_KEYS};
use crate::error::{AuthError, Result};
use crate::store::api_keys::{self, ApiKey};
use crate::store::sessions;
use crate::store::users::{self, User};
use crate::tokens::hash;
use crate::{metrics, store};

/// A key that somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// What became of a new key.
enum Inserted {
    Done,
    TooMany,
    /// The session or key that was to make it has ended, or its user may not sign in.
    MakerEnded,
}

impl Auth {
    /// Makes a key of the caller's; gives it and, this once, the whole key.
    pub(crate) async fn create_api_key(&self, caller: &Caller, new: NewKey) -> Result<(ApiKey, String)> {
        let result = self.try_create_api_key(caller, new).await;
        metrics::count("create_api_key", &result);
        result
    }

    async fn try_create_api_key(&self, caller: &Caller, new: NewKey) -> Result<(ApiKey, String)> {
        let now = self.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthError::field("expires_at", "must be in the future"));
        }
        if !new.scopes.is_subset(&caller.scopes) {
            return Err(AuthError::ScopeNotGranted);
        }
        self.outlives_no_parent(caller, &new).await?;
        let secret = self.tokens.api_secret();
        let key = ApiKey {
            id: self.tokens.id(),
            user_id: self.me(caller).await?.id,
            name: new.name,
            secret_hash: secret.hash,
            scopes: new.scopes.to_string(),
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        match retry(|| self.insert_key(caller, &key, now)).await? {
            Inserted::Done => {}
            Inserted::TooMany => return Err(AuthError::TooManyKeys),
            Inserted::MakerEnded => return Err(AuthError::SessionEnded),
        }
        let whole = api_key::format(&key.id, &secret.secret);
        Ok((key, whole))
    }

    /// A key must not make another that lives longer, or a short-lived one would be worth as much as one for ever.
    async fn outlives_no_parent(&self, caller: &Caller, new: &NewKey) -> Result<()> {
        let parent = self.store.api_key(&caller.session_id).await?;
        match parent.and_then(|parent| parent.expires_at) {
            Some(end) if new.expires_at.is_none_or(|wanted| wanted > end) => {
                Err(AuthError::field("expires_at", "must not be later than that of the key that makes it"))
            }
            _ => Ok(()),
        }
    }

    async fn insert_key(&self, caller: &Caller, key: &ApiKey, now: DateTime<Utc>) -> store::Result<Inserted> {
        let entry = caller.event(now, "api_key.create", &key.id).detail(format!("scopes={}", key.scopes));
        let mut tx = self.store.begin().await?;
        if !maker_lives(&mut tx, caller, now).await? {
            return Ok(Inserted::MakerEnded);
        }
        if !api_keys::insert(&mut tx, key, MOST_KEYS).await? {
            return Ok(Inserted::TooMany);
        }
        self.record(&mut tx, &entry).await?;
        self.finish(tx, &entry, &[]).await?;
        Ok(Inserted::Done)
    }

    /// The caller's keys, newest first.
    pub(crate) async fn list_api_keys(&self, caller: &Caller, request: &PageRequest) -> Result<Page<ApiKey>> {
        let context = format!("api keys of {}", caller.user_id);
        let after = self.pages.begin(request, &context)?;
        let rows = self.store.api_keys(&caller.user_id, &after, request.size.limit()).await?;
        Ok(self.pages.page(request, &context, rows, ApiKey::position)?)
    }

    /// Ends one of the caller's keys, and the tokens that were made with it; again is no error.
    pub(crate) async fn revoke_api_key(&self, caller: &Caller, id: &str) -> Result<()> {
        let result = self.try_revoke_api_key(caller, id).await;
        metrics::count("revoke_api_key", &result);
        result
    }

    async fn try_revoke_api_key(&self, caller: &Caller, id: &str) -> Result<()> {
        let now = self.clock.now();
        let entry = caller.event(now, "api_key.revoke", id);
        let mut tx = self.store.begin().await?;
        if !api_keys::delete(&mut tx, id, &caller.user_id).await? {
            drop(tx);
            let done = self.is_done_already(&entry).await?;
            return if done { Ok(()) } else { Err(AuthError::NotFound("API key")) };
        }
        self.record(&mut tx, &entry).await?;
        let revoked = [RevokedSubject::Session(id.to_owned())];
        self.revoke(&mut tx, &revoked, now).await?;
        self.finish(tx, &entry, &revoked).await?;
        Ok(())
    }

    /// Whose a key is and what it may do now. A key that cannot be one of ours costs no query.
    pub(crate) async fn verify_api_key(&self, actor: &Actor, key: &str) -> Result<(ApiKey, User)> {
        let result = self.try_verify_api_key(actor, key).await;
        metrics::count("verify_api_key", &result);
        result
    }

    async fn try_verify_api_key(&self, actor: &Actor, key: &str) -> Result<(ApiKey, User)> {
        let parsed = api_key::parse(key).ok_or(AuthError::InvalidApiKey)?;
        let now = self.clock.now();
        let secret = hash(parsed.secret);
        let key = self.store.api_key(parsed.id).await?.filter(|key| {
            let matches = constant_time::verify_slices_are_equal(&key.secret_hash, &secret).is_ok();
            matches && key.expires_at.is_none_or(|end| end > now)
        });
        let user = match &key {
            Some(key) => self.store.user(&key.user_id).await?.filter(|user| !user.disabled),
            None => None,
        };
        let (Some(mut key), Some(user)) = (key, user) else {
            Entry::new(now, "api_key.use", Outcome::Failure, actor, parsed.id).log();
            return Err(AuthError::InvalidApiKey);
        };
        self.touch(&mut key, now).await?;
        // As far as the owner still has them.
        key.scopes = key.scopes().intersection(&user.roles.scopes()).to_string();
        Ok((key, user))
    }

    /// One write a minute, not one a use.
    async fn touch(&self, key: &mut ApiKey, now: DateTime<Utc>) -> Result<()> {
        let minute = now.duration_trunc(Duration::minutes(1)).map_err(AuthError::internal)?;
        if key.last_used_at.is_none_or(|used| used < minute) {
            self.store.touch_api_key(&key.id, minute).await?;
            key.last_used_at = Some(minute);
        }
        Ok(())
    }
}

/// Whether what makes a key is still good. It stays locked, as the user does, so neither can end before the key is there.
async fn maker_lives(tx: &mut Tx, caller: &Caller, now: DateTime<Utc>) -> store::Result<bool> {
    let (maker, user) = (&caller.session_id, &caller.user_id);
    Ok(users::lock_enabled(tx, user).await?
        && (sessions::lock(tx, maker, user).await? || api_keys::lock(tx, maker, user, now).await?))
}
