//! Exchange of one credential for another (RFC 8693), never for more than it is worth.

use chrono::{DateTime, Utc};
use mesh_identity::Scopes;

use super::Auth;
use crate::audit::Actor;
use crate::error::{AuthError, Result};
use crate::metrics;
use crate::tokens::{AccessToken, Grant};

/// An access token and what it may do.
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    pub(crate) access: AccessToken,
    pub(crate) scopes: Scopes,
}

impl Auth {
    /// An access token with the scopes of an API key, as far as its owner still has them; or with fewer.
    pub(crate) async fn exchange_api_key(
        &self,
        actor: &Actor,
        key: &str,
        wanted: &Scopes,
    ) -> Result<Exchanged> {
        let result = self.try_exchange_api_key(actor, key, wanted).await;
        metrics::count("exchange_api_key", &result);
        result
    }

    async fn try_exchange_api_key(&self, actor: &Actor, key: &str, wanted: &Scopes) -> Result<Exchanged> {
        // Before the account is read: a token is no younger than what is known of its user.
        let now = self.clock.now();
        let (key, user) = self.verify_api_key(actor, key).await?;
        let mut grant = Self::grant(&user, &key.id);
        grant.scopes = narrow(key.scopes(), wanted)?;
        grant.ends_at = key.expires_at;
        self.exchanged(grant, now)
    }

    /// An access token of the same user and session with fewer scopes, which ends when the one given ends.
    pub(crate) async fn exchange_access_token(&self, token: &str, wanted: &Scopes) -> Result<Exchanged> {
        let result = self.try_exchange_access_token(token, wanted).await;
        metrics::count("exchange_access_token", &result);
        result
    }

    async fn try_exchange_access_token(&self, token: &str, wanted: &Scopes) -> Result<Exchanged> {
        let now = self.clock.now();
        let claims = self.verifier.verify(token).await.map_err(AuthError::InvalidToken)?;
        let issued_at = i64::try_from(claims.iat).map_err(AuthError::internal)?;
        // The token was good a moment ago; whether it still is, the database knows.
        if !self.feed.is_active(&claims.sid, &claims.sub, issued_at).await? {
            return Err(AuthError::SessionEnded);
        }
        // And again of the account that the new token speaks for: it may have changed in between.
        let user = self.store.user(&claims.sub).await?;
        let user = user.filter(|user| !user.disabled && issued_at > user.revoked_at);
        let user = user.ok_or(AuthError::SessionEnded)?;
        let end = i64::try_from(claims.exp).map_err(AuthError::internal)?;
        let mut grant = Self::grant(&user, &claims.sid);
        grant.scopes = narrow(claims.scope.intersection(&user.roles.scopes()), wanted)?;
        grant.ends_at = DateTime::from_timestamp(end, 0);
        self.exchanged(grant, now)
    }

    fn exchanged(&self, grant: Grant, now: DateTime<Utc>) -> Result<Exchanged> {
        let access = self.tokens.access(&grant, now)?;
        Ok(Exchanged { access, scopes: grant.scopes })
    }
}

/// What was wanted of what there is; nothing wanted means all.
fn narrow(has: Scopes, wanted: &Scopes) -> Result<Scopes> {
    match wanted {
        wanted if wanted.is_empty() => Ok(has),
        wanted if wanted.is_subset(&has) => Ok(wanted.clone()),
        _ => Err(AuthError::ScopeNotGranted),
    }
}
