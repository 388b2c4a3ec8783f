//! Refresh and sign-out: what a refresh token is good for.

use chrono::{DateTime, Utc};
use mesh_identity::RevokedSubject;
use mesh_store::retry;
use mesh_telemetry::audit::Outcome;

use super::{Auth, TokenPair};
use crate::audit::{Actor, Entry};
use crate::domain::refresh::{self, ParsedToken, Verdict};
use crate::error::{AuthError, Result};
use crate::store::sessions::{self, Rotation, Session};
use crate::store::sources;
use crate::tokens::{Issued, hash};
use crate::{metrics, store};

impl Auth {
    /// Exchanges a refresh token for the next tokens of its session.
    pub(crate) async fn refresh(&self, actor: &Actor, token: &str) -> Result<TokenPair> {
        let result = self.try_refresh(actor, token).await;
        metrics::count("refresh", &result);
        result
    }

    async fn try_refresh(&self, actor: &Actor, token: &str) -> Result<TokenPair> {
        let token = self.genuine(token).ok_or(AuthError::InvalidRefreshToken)?;
        // Who loses a race, here or at another replica, looks again and finds itself the direct predecessor.
        let mut turn = self.turns.try_take(token.session_id);
        for _ in 0..4 {
            let session =
                self.store.session(token.session_id).await?.ok_or(AuthError::InvalidRefreshToken)?;
            let now = self.clock.now();
            let next = match session.chain().judge(&hash(token.secret), now, self.rules.grace) {
                Verdict::Expired => return Err(AuthError::InvalidRefreshToken),
                Verdict::Reused => return self.end_family(actor, &session, now).await,
                Verdict::Rotate if turn.is_none() => {
                    turn = self.turns.take(token.session_id).await;
                    None
                }
                Verdict::Rotate => self.rotate(actor, &token, &session, now).await?,
                Verdict::Replay => {
                    let next = self.tokens.successor(&token, Some(&session.current_hash))?;
                    Some(next.ok_or(AuthError::InvalidRefreshToken)?)
                }
            };
            if let Some(next) = next {
                let user = self.store.user(&session.user_id).await?;
                let user = user.filter(|user| !user.disabled).ok_or(AuthError::InvalidRefreshToken)?;
                return self.pair(&user, &session, next, now);
            }
        }
        Err(AuthError::InvalidRefreshToken)
    }

    /// The next token, if it was this call that spent the present one.
    async fn rotate(
        &self,
        actor: &Actor,
        token: &ParsedToken<'_>,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<Option<Issued>> {
        let Some(next) = self.tokens.successor(token, None)? else { return Ok(None) };
        let end = session.created_at + self.rules.session_life;
        let rotation = Rotation {
            session_id: &session.id,
            spent: &session.current_hash,
            next: &next.hash,
            now,
            expires_at: end.min(now + self.rules.idle_life),
        };
        let spent = retry(|| self.spend(actor, &session.user_id, &rotation)).await?;
        Ok(spent.then_some(next))
    }

    /// Spends a token. Whoever has it is at home where she is, so her sign-ins from there are her own.
    async fn spend(&self, actor: &Actor, user_id: &str, rotation: &Rotation<'_>) -> store::Result<bool> {
        let mut tx = self.store.begin().await?;
        if !sessions::rotate(&mut tx, rotation).await? {
            return Ok(false);
        }
        sources::remember(&mut tx, user_id, &actor.client.source(), rotation.now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A token was used twice, so one of its users is a thief: nobody keeps the session.
    async fn end_family<T>(&self, actor: &Actor, session: &Session, now: DateTime<Utc>) -> Result<T> {
        metrics::refresh_reused();
        let entry = Entry::new(now, "refresh.reuse", Outcome::Denied, actor, &session.user_id)
            .detail(format!("session={}", session.id));
        self.end(session, &entry, now).await?;
        Err(AuthError::InvalidRefreshToken)
    }

    /// Ends the session of a refresh token. Any token of the session will do, for ending it harms nobody else; an unknown
    /// one is no error.
    pub(crate) async fn logout(&self, actor: &Actor, token: &str) -> Result<()> {
        let result = self.try_logout(actor, token).await;
        metrics::count("logout", &result);
        result
    }

    async fn try_logout(&self, actor: &Actor, token: &str) -> Result<()> {
        let Some(token) = self.genuine(token) else { return Ok(()) };
        let Some(session) = self.store.session(token.session_id).await? else { return Ok(()) };
        let now = self.clock.now();
        let entry = Entry::new(now, "logout", Outcome::Success, actor, &session.user_id)
            .detail(format!("session={}", session.id));
        self.end(&session, &entry, now).await?;
        Ok(())
    }

    async fn end(&self, session: &Session, entry: &Entry, now: DateTime<Utc>) -> store::Result<()> {
        let mut tx = self.store.begin().await?;
        if sessions::delete(&mut tx, &session.id, &session.user_id).await? {
            self.record(&mut tx, entry).await?;
            let revoked = [RevokedSubject::Session(session.id.clone())];
            self.revoke(&mut tx, &revoked, now).await?;
            self.finish(tx, entry, &revoked).await?;
        }
        Ok(())
    }

    /// The parts of a token that we have made.
    fn genuine<'a>(&self, token: &'a str) -> Option<ParsedToken<'a>> {
        refresh::parse(token).filter(|token| self.tokens.is_ours(token))
    }
}
