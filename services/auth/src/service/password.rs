//! Change of a password.

use mesh_identity::RevokedSubject;
use mesh_store::retry;
use mesh_telemetry::audit::Outcome;

use super::{Auth, Caller};
use crate::audit::Entry;
use crate::domain::{Email, Password};
use crate::error::{AuthError, Result};
use crate::store::users::{self, User};
use crate::store::{self, sessions};
use crate::{metrics, service::throttled};

/// A password that is to take the place of the one that was looked at.
struct Change<'a> {
    user: &'a User,
    hash: &'a str,
    account: &'a [u8],
}

impl Auth {
    /// Replaces the caller's password and ends all other sessions of the account. Guesses are slowed down here too, for a
    /// stolen access token must not become a password; they count per account and apart from those at sign-in.
    pub(crate) async fn change_password(&self, caller: &Caller, current: Password, new: &str) -> Result<()> {
        let result = self.try_change_password(caller, current, new).await;
        metrics::count("change_password", &result);
        result
    }

    async fn try_change_password(&self, caller: &Caller, current: Password, new: &str) -> Result<()> {
        let place = self.hasher.admit()?;
        let now = self.clock.now();
        let user = self.me(caller).await?;
        let email = Email::parse(&user.email).map_err(AuthError::internal)?;
        let new =
            Password::choose(new, Some(&email)).map_err(|fault| AuthError::field("new_password", fault))?;
        let account = self.tokens.account(&email, Some("change of password"));
        self.count_attempt(&account, now).await?;
        let verified = self.hasher.verify(&place, current, Some(user.password_hash.clone())).await?;
        if !verified.matches {
            let now = self.clock.now();
            self.note(Entry::new(now, "password.change", Outcome::Failure, &caller.actor, &user.id)).await?;
            return Err(AuthError::field("current_password", "is not the password of the account"));
        }
        let hash = self.hasher.hash(&place, new).await?;
        let change = Change { user: &user, hash: &hash, account: &account };
        let done = retry(|| self.put_password(caller, &change)).await?;
        // Somebody else changed it in between.
        if done { Ok(()) } else { Err(throttled(chrono::Duration::seconds(1))) }
    }

    async fn put_password(&self, caller: &Caller, change: &Change<'_>) -> store::Result<bool> {
        let Change { user, hash, account } = *change;
        let mut tx = self.store.begin().await?;
        if !users::replace_password(&mut tx, &user.id, &user.password_hash, hash).await? {
            return Ok(false);
        }
        // Only now: hashing takes a while, and until here tokens could be issued.
        let now = self.clock.now();
        let ended = sessions::delete_others(&mut tx, &user.id, &caller.session_id).await?;
        let entry =
            caller.event(now, "password.change", &user.id).detail(format!("sessions_ended={}", ended.len()));
        store::attempts::forgive(&mut tx, account).await?;
        self.record(&mut tx, &entry).await?;
        let ended: Vec<_> = ended.into_iter().map(RevokedSubject::Session).collect();
        self.revoke(&mut tx, &ended, now).await?;
        self.finish(tx, &entry, &ended).await?;
        Ok(true)
    }
}
