//! What administrators do to other accounts.

use chrono::DateTime;
use mesh_identity::RevokedSubject;
use mesh_store::page::{Page, PageRequest};
use mesh_store::retry;

use super::{Auth, Caller};
use crate::domain::Roles;
use crate::error::{AuthError, Result};
use crate::metrics;
use crate::store::users::{self, User};
use crate::store::{self, sessions};

/// A user's tokens are bad up to so many seconds after the change. Sessions are ended by name, which no token outruns; the
/// keys of the user live on, and an exchange that read the account just before the commit, or on a replica whose clock is
/// ahead, dates its token a little later than the change. New tokens are dated after the margin, so it must stay well
/// below the leeway of verifiers (5 s).
const MARGIN: i64 = 2;

/// What is to be different about an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) roles: Option<Roles>,
    pub(crate) disabled: Option<bool>,
}

/// What became of a change.
enum Changed {
    Done(User),
    NotFound,
    LastAdmin,
}

impl Auth {
    /// Accounts, newest first.
    pub(crate) async fn list_users(&self, caller: &Caller, request: &PageRequest) -> Result<Page<User>> {
        let context = format!("users for {}", caller.user_id);
        let after = self.pages.begin(request, &context)?;
        let rows = self.store.users(&after, request.size.limit()).await?;
        Ok(self.pages.page(request, &context, rows, User::position)?)
    }

    /// One account.
    pub(crate) async fn get_user(&self, id: &str) -> Result<User> {
        self.store.user(id).await?.ok_or(AuthError::NotFound("user"))
    }

    /// Changes the roles of an account or disables it. A real change ends its sessions and all its tokens; asking for what
    /// is so already changes nothing.
    pub(crate) async fn update_user(&self, caller: &Caller, id: &str, changes: &Changes) -> Result<User> {
        let changed = retry(|| self.try_update_user(caller, id, changes)).await;
        let result = match changed {
            Ok(Changed::Done(user)) => Ok(user),
            Ok(Changed::NotFound) => Err(AuthError::NotFound("user")),
            Ok(Changed::LastAdmin) => Err(AuthError::LastAdmin),
            Err(error) => Err(error.into()),
        };
        metrics::count("update_user", &result);
        result
    }

    async fn try_update_user(&self, caller: &Caller, id: &str, changes: &Changes) -> store::Result<Changed> {
        let mut tx = self.store.begin().await?;
        let Some(before) = users::lock_for_admin(&mut tx, id).await? else { return Ok(Changed::NotFound) };
        let mut after = before.clone();
        if let Some(roles) = &changes.roles {
            after.roles = roles.clone();
        }
        after.disabled = changes.disabled.unwrap_or(before.disabled);
        if after.roles == before.roles && after.disabled == before.disabled {
            return Ok(Changed::Done(before));
        }
        let governs = |user: &User| user.roles.is_admin() && !user.disabled;
        if governs(&before) && !governs(&after) && users::other_admins(&mut tx, id).await? == 0 {
            return Ok(Changed::LastAdmin);
        }
        let revoked = sessions::delete_others(&mut tx, id, "").await?;
        // Late, so that little time is left until the commit; see MARGIN.
        let now = self.clock.now();
        after.revoked_at = (now.timestamp() + MARGIN).max(before.revoked_at + 1);
        users::update(&mut tx, &after).await?;
        let entry = caller.event(now, "account.update", id).detail(format!(
            "roles={} disabled={} sessions_ended={}",
            after.roles,
            after.disabled,
            revoked.len()
        ));
        self.record(&mut tx, &entry).await?;
        let mut revoked: Vec<_> = revoked.into_iter().map(RevokedSubject::Session).collect();
        revoked.push(RevokedSubject::User(id.to_owned()));
        let revoked_at = DateTime::from_timestamp(after.revoked_at, 0).unwrap_or(now);
        self.revoke(&mut tx, &revoked, revoked_at).await?;
        self.finish(tx, &entry, &revoked).await?;
        Ok(Changed::Done(after))
    }
}
