//! A user's own account and sessions.

use mesh_identity::RevokedSubject;
use mesh_store::page::{Page, PageRequest};

use super::{Auth, Caller};
use crate::error::{AuthError, Result};
use crate::metrics;
use crate::store::sessions::{self, Session};
use crate::store::users::User;

impl Auth {
    /// The caller's account.
    pub(crate) async fn me(&self, caller: &Caller) -> Result<User> {
        let user = self.store.user(&caller.user_id).await?;
        user.filter(|user| !user.disabled).ok_or(AuthError::SessionEnded)
    }

    /// The caller's live sessions, newest first.
    pub(crate) async fn list_sessions(
        &self,
        caller: &Caller,
        request: &PageRequest,
    ) -> Result<Page<Session>> {
        let context = format!("sessions of {}", caller.user_id);
        let after = self.pages.begin(request, &context)?;
        let now = self.clock.now();
        let rows = self.store.sessions(&caller.user_id, now, &after, request.size.limit()).await?;
        Ok(self.pages.page(request, &context, rows, Session::position)?)
    }

    /// Ends one of the caller's sessions; again is no error.
    pub(crate) async fn end_session(&self, caller: &Caller, id: &str) -> Result<()> {
        let result = self.try_end_session(caller, id).await;
        metrics::count("end_session", &result);
        result
    }

    async fn try_end_session(&self, caller: &Caller, id: &str) -> Result<()> {
        let now = self.clock.now();
        let entry = caller.event(now, "session.end", &caller.user_id).detail(format!("session={id}"));
        let mut tx = self.store.begin().await?;
        if !sessions::delete(&mut tx, id, &caller.user_id).await? {
            drop(tx);
            let done = self.is_done_already(&entry).await?;
            return if done { Ok(()) } else { Err(AuthError::NotFound("session")) };
        }
        self.record(&mut tx, &entry).await?;
        let revoked = [RevokedSubject::Session(id.to_owned())];
        self.revoke(&mut tx, &revoked, now).await?;
        self.finish(tx, &entry, &revoked).await?;
        Ok(())
    }
}
