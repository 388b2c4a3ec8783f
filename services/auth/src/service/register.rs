//! Registration.

use chrono::{DateTime, Utc};
use mesh_telemetry::audit::Outcome;

use super::Auth;
use crate::audit::{Actor, Entry};
use crate::domain::{Email, Password, Roles};
use crate::error::{AuthError, Result};
use crate::store::sources;
use crate::store::users::{self, User};
use crate::{metrics, store};

/// An account that somebody wants.
#[derive(Debug)]
pub(crate) struct NewAccount {
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) display_name: String,
}

impl Auth {
    /// Makes an account with the role "user".
    pub(crate) async fn register(&self, actor: &Actor, new: NewAccount) -> Result<User> {
        let result = self.make_account(actor, new, Roles::user()).await;
        metrics::count("register", &result);
        result
    }

    pub(super) async fn make_account(&self, actor: &Actor, new: NewAccount, roles: Roles) -> Result<User> {
        let place = self.hasher.admit()?;
        if self.store.user_by_email(&new.email).await?.is_some() {
            return Err(AuthError::EmailTaken);
        }
        let password_hash = self.hasher.hash(&place, new.password).await?;
        let now = self.clock.now();
        let user = User {
            id: self.tokens.id(),
            email: new.email.as_str().to_owned(),
            display_name: new.display_name,
            password_hash,
            roles,
            disabled: false,
            revoked_at: 0,
            created_at: now,
        };
        self.insert_account(actor, &user, now).await.map_err(|error| match error.is_unique() {
            true => AuthError::EmailTaken,
            false => error.into(),
        })?;
        Ok(user)
    }

    async fn insert_account(&self, actor: &Actor, user: &User, now: DateTime<Utc>) -> store::Result<()> {
        let entry = Entry::new(now, "account.register", Outcome::Success, actor, &user.id)
            .detail(format!("roles={}", user.roles));
        let mut tx = self.store.begin().await?;
        users::insert(&mut tx, user).await?;
        // Her first sign-in from there is not at the mercy of whoever guesses from elsewhere.
        sources::remember(&mut tx, &user.id, &actor.client.source(), now).await?;
        self.record(&mut tx, &entry).await?;
        self.finish(tx, &entry, &[]).await
    }
}
