//! Sign-in with a password.
//!
//! Whether an address has an account must not show: for an unknown address every step is done that is done for a known one,
//! with the same number of queries and a hash of the same cost, and the answer is the same.

use chrono::{DateTime, Utc};
use mesh_identity::RevokedSubject;
use mesh_store::retry;
use mesh_telemetry::audit::Outcome;

use super::{Auth, TokenPair};
use crate::audit::{Actor, Entry};
use crate::domain::{Email, Password, base62};
use crate::error::{AuthError, Result};
use crate::hashing::Place;
use crate::store::sessions::{self, Session};
use crate::store::users::{self, User};
use crate::store::{self, attempts, sources};
use crate::tokens::Issued;
use crate::{metrics, service::throttled};

/// Live sessions of a user; the oldest ends when there is one more.
const MOST_SESSIONS: i64 = 100;

/// An attempt that was counted.
struct Attempt<'a> {
    actor: &'a Actor,
    email: &'a Email,
    password: Password,
    account: Vec<u8>,
    /// Whether the account is known at that place.
    known: bool,
}

/// What a successful sign-in changes.
struct SignIn<'a> {
    user: &'a User,
    session: Session,
    attempt: &'a Attempt<'a>,
    /// The password's hash with the parameters of today, when the stored one has weaker ones.
    rehash: Option<String>,
}

impl Auth {
    /// Exchanges an address and a password for the tokens of a new session.
    pub(crate) async fn login(&self, actor: &Actor, email: &Email, password: Password) -> Result<TokenPair> {
        let result = self.try_login(actor, email, password).await;
        if let Err(AuthError::Throttled(_)) = &result {
            // Only a line: a row for each would let whoever is refused fill the table.
            let subject = self.pseudonym(email);
            Entry::new(self.clock.now(), "login", Outcome::Denied, actor, &subject).detail("throttled").log();
        }
        metrics::count("login", &result);
        result
    }

    async fn try_login(&self, actor: &Actor, email: &Email, password: Password) -> Result<TokenPair> {
        let place = self.hasher.admit()?;
        let now = self.clock.now();
        let source = actor.client.source();
        let mut user = self.store.user_by_email(email).await?;
        let known = self.store.knows_source(user.as_ref().map_or("", |user| &user.id), &source).await?;
        // An owner at a place she is known from is counted apart from everybody else, and does not wait for what others did
        // there: many may share one address.
        if !known {
            self.sources().check(&source, now).map_err(throttled)?;
        }
        let account = self.tokens.account(email, known.then(|| source.as_str()));
        self.count_attempt(&account, now).await?;
        let attempt = Attempt { actor, email, password, account, known };
        // An account that changed while its password was hashed is judged once more, as it is now.
        for _ in 0..2 {
            if let Some(tokens) = self.judge(&place, &attempt, user).await? {
                return Ok(tokens);
            }
            user = self.store.user_by_email(email).await?;
        }
        Err(AuthError::InvalidCredentials)
    }

    /// Signs in if the password is that of the account; none when the account changed meanwhile.
    async fn judge(
        &self,
        place: &Place,
        attempt: &Attempt<'_>,
        user: Option<User>,
    ) -> Result<Option<TokenPair>> {
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let verified = self.hasher.verify(place, attempt.password.clone(), stored).await?;
        let now = self.clock.now();
        let subject = user.as_ref().map_or_else(|| self.pseudonym(attempt.email), |user| user.id.clone());
        let Some(user) = user.filter(|user| verified.matches && !user.disabled) else {
            self.sources().fail(attempt.actor.client.source(), now);
            self.note(Entry::new(now, "login", Outcome::Failure, attempt.actor, &subject)).await?;
            return Err(AuthError::InvalidCredentials);
        };
        let rehash = match verified.outdated {
            true => Some(self.hasher.hash(place, attempt.password.clone()).await?),
            false => None,
        };
        let (session, refresh) = self.new_session(&user, attempt.actor, now);
        let sign_in = SignIn { user: &user, session, attempt, rehash };
        match retry(|| self.sign_in(&sign_in, now)).await? {
            true => self.pair(&user, &sign_in.session, refresh, now).map(Some),
            false => Ok(None),
        }
    }

    fn new_session(&self, user: &User, actor: &Actor, now: DateTime<Utc>) -> (Session, Issued) {
        let id = self.tokens.id();
        let refresh = self.tokens.refresh(&id);
        let session = Session {
            id,
            user_id: user.id.clone(),
            current_hash: refresh.hash.clone(),
            previous_hash: None,
            rotated_at: None,
            created_at: now,
            last_used_at: now,
            expires_at: now + self.rules.idle_life.min(self.rules.session_life),
            address: actor.client.address(),
            user_agent: actor.client.user_agent().to_owned(),
        };
        (session, refresh)
    }

    /// Whether the account was still the one that was judged.
    async fn sign_in(&self, sign_in: &SignIn<'_>, now: DateTime<Utc>) -> store::Result<bool> {
        let SignIn { user, attempt, .. } = *sign_in;
        let hash = sign_in.rehash.as_ref().unwrap_or(&user.password_hash);
        let entry = Entry::new(now, "login", Outcome::Success, attempt.actor, &user.id)
            .detail(format!("session={}", sign_in.session.id));
        let mut tx = self.store.begin().await?;
        if !users::confirm(&mut tx, user, hash).await? {
            return Ok(false);
        }
        sessions::insert(&mut tx, &sign_in.session).await?;
        let ended = sessions::delete_beyond(&mut tx, &user.id, MOST_SESSIONS).await?;
        sources::remember(&mut tx, &user.id, &attempt.actor.client.source(), now).await?;
        // Her own place forgives her all. At a new one only this attempt is taken back: others guess from such places, and a
        // success of hers must not give them twenty more.
        match attempt.known {
            true => attempts::forgive(&mut tx, &attempt.account).await?,
            false => attempts::take_back(&mut tx, &attempt.account).await?,
        }
        self.record(&mut tx, &entry).await?;
        let ended: Vec<_> = ended.into_iter().map(RevokedSubject::Session).collect();
        self.revoke(&mut tx, &ended, now).await?;
        self.finish(tx, &entry, &ended).await?;
        Ok(true)
    }

    /// Tokens of a session. The access token ends with the session at the latest.
    pub(super) fn pair(
        &self,
        user: &User,
        session: &Session,
        refresh: Issued,
        now: DateTime<Utc>,
    ) -> Result<TokenPair> {
        let mut grant = Self::grant(user, &session.id);
        grant.ends_at = Some(session.created_at + self.rules.session_life);
        let access = self.tokens.access(&grant, now)?;
        Ok(TokenPair { access: access.token, refresh: refresh.secret, expires_in: access.expires_in })
    }

    /// How the audit log calls an address that has no account: recognisable, not readable.
    fn pseudonym(&self, email: &Email) -> String {
        let account = self.tokens.account(email, None);
        format!("unknown:{}", base62::encode(account.get(..8).unwrap_or_default()))
    }
}
