//! The list itself, without locks or waiting.
//!
//! An entry is kept for as long as a token that it concerns can live, counted from when it was heard, so no step of
//! the wall clock can shorten it. Invariant: memory is bounded and nothing revoked is ever forgotten early. When the
//! list is full its oldest eighth is replaced by one rule for everybody: tokens as old as these are bad. Their owners
//! refresh them.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{Revocation, RevokedSubject};
use crate::token::{Claims, MAX_ID_BYTES, MAX_LIFETIME};

/// About 20 MiB with the longest ids.
const CAPACITY: usize = 100_000;
/// The longest life of a token and a minute for clocks that disagree.
const KEPT: Duration = MAX_LIFETIME.saturating_add(Duration::from_secs(60));
const SWEEP: Duration = Duration::from_secs(60);
/// A session that is folded away loses its name, and a token of it may be dated a little after its end: by a call that
/// was under way, or by another replica's clock. As much as the leeway of the token profile.
const SLACK_SECONDS: u64 = 5;

pub(super) struct List {
    capacity: usize,
    sessions: HashMap<Box<str>, Held>,
    users: HashMap<Box<str>, Held>,
    everybody: Option<Held>,
    cursor: i64,
    heard_at: Option<Instant>,
    swept_at: Instant,
}

#[derive(Clone, Copy)]
struct Held {
    /// Seconds since 1970.
    revoked_at: u64,
    until: Instant,
}

impl Held {
    fn join(&mut self, other: Self) {
        self.revoked_at = self.revoked_at.max(other.revoked_at);
        self.until = self.until.max(other.until);
    }

    fn covers(&self, claims: &Claims) -> bool {
        claims.iat <= self.revoked_at
    }
}

impl Default for List {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl List {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            sessions: HashMap::new(),
            users: HashMap::new(),
            everybody: None,
            cursor: 0,
            heard_at: None,
            swept_at: Instant::now(),
        }
    }

    pub(super) fn apply(&mut self, revocation: Revocation) {
        self.cursor = self.cursor.max(revocation.cursor);
        let (map, id) = match revocation.subject {
            RevokedSubject::Session(id) => (&mut self.sessions, id),
            RevokedSubject::User(id) => (&mut self.users, id),
        };
        if id.len() > MAX_ID_BYTES {
            return; // no token can name it
        }
        let held = Held { revoked_at: revocation.revoked_at, until: Instant::now() + KEPT };
        map.entry(id.into()).and_modify(|known| known.join(held)).or_insert(held);
        if self.swept_at.elapsed() >= SWEEP || self.len() > self.capacity {
            self.sweep();
        }
        if self.len() > self.capacity {
            self.fold_oldest();
        }
    }

    pub(super) fn heartbeat(&mut self, cursor: i64) {
        self.cursor = self.cursor.max(cursor);
        self.heard_at = Some(Instant::now());
    }

    pub(super) fn rewind(&mut self) {
        self.cursor = 0;
        self.heard_at = None;
    }

    pub(super) fn is_revoked(&self, claims: &Claims) -> bool {
        let user = self.users.get(claims.sub.as_str());
        self.sessions.contains_key(claims.sid.as_str())
            || [user, self.everybody.as_ref()].into_iter().flatten().any(|held| held.covers(claims))
    }

    pub(super) fn heard_within(&self, time: Duration) -> bool {
        self.heard_at.is_some_and(|at| at.elapsed() < time)
    }

    pub(super) fn cursor(&self) -> i64 {
        self.cursor
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.users.len()
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        self.sessions.retain(|_, held| held.until > now);
        self.users.retain(|_, held| held.until > now);
        self.everybody = self.everybody.filter(|held| held.until > now);
        self.swept_at = now;
    }

    fn fold_oldest(&mut self) {
        let mut seconds: Vec<u64> =
            self.sessions.values().chain(self.users.values()).map(|held| held.revoked_at).collect();
        let (_, limit, _) = seconds.select_nth_unstable(self.capacity / 8);
        let limit = *limit;
        let refused_up_to = limit.saturating_add(SLACK_SECONDS);
        self.sessions.retain(|_, held| held.revoked_at > limit);
        self.users.retain(|_, held| held.revoked_at > limit);
        let held = Held { revoked_at: refused_up_to, until: Instant::now() + KEPT };
        match &mut self.everybody {
            Some(known) => known.join(held),
            None => self.everybody = Some(held),
        }
        tracing::warn!(
            refused_up_to,
            "the list of revocations is full; all tokens issued up to this second are refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sid: &str, sub: &str, iat: u64) -> Claims {
        Claims {
            iss: String::new(),
            sub: sub.to_owned(),
            aud: String::new(),
            exp: iat + 600,
            iat,
            nbf: iat,
            jti: String::new(),
            sid: sid.to_owned(),
            scope: Default::default(),
            roles: vec![],
            client_id: None,
        }
    }

    fn session(id: impl Into<String>, revoked_at: u64, cursor: i64) -> Revocation {
        Revocation { subject: RevokedSubject::Session(id.into()), revoked_at, cursor }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_bad_for_ever_and_a_user_up_to_the_second() {
        let mut list = List::default();
        list.apply(session("s", 100, 1));
        list.apply(Revocation { subject: RevokedSubject::User("u".into()), revoked_at: 200, cursor: 2 });
        for (sid, sub, iat, bad) in [
            ("s", "x", 99, true),
            ("s", "x", 100, true),
            ("s", "x", 101, true),
            ("s", "x", 9_999, true),
            ("x", "u", 199, true),
            ("x", "u", 200, true),
            ("x", "u", 201, false),
            ("u", "s", 50, false),
            ("x", "x", 50, false),
        ] {
            assert_eq!(list.is_revoked(&claims(sid, sub, iat)), bad, "{sid} {sub} {iat}");
        }
        assert_eq!(list.cursor(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_revocation_does_not_weaken_a_newer_one() {
        let mut list = List::default();
        let user =
            |revoked_at, cursor| Revocation { subject: RevokedSubject::User("u".into()), revoked_at, cursor };
        list.apply(user(100, 5));
        list.apply(user(50, 3));
        assert!(list.is_revoked(&claims("x", "u", 100)));
        assert_eq!((list.cursor(), list.len()), (5, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_is_kept_as_long_as_a_token_can_live_and_no_longer() {
        let mut list = List::default();
        list.apply(session("s", 100, 1));
        tokio::time::advance(MAX_LIFETIME).await;
        list.apply(session("t", 100, 2));
        assert!(list.is_revoked(&claims("s", "x", 100)));
        tokio::time::advance(SWEEP).await;
        list.apply(session("v", 100, 3));
        assert!(!list.is_revoked(&claims("s", "x", 100)));
        assert_eq!(list.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_revocation_is_kept_as_long_as_the_first_was() {
        let mut list = List::default();
        list.apply(session("s", 100, 1));
        tokio::time::advance(MAX_LIFETIME).await;
        list.apply(session("s", 3_700, 2));
        tokio::time::advance(MAX_LIFETIME).await;
        list.apply(session("t", 7_300, 3));
        assert!(list.is_revoked(&claims("s", "x", 3_700)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_list_refuses_more_but_never_less() {
        let mut list = List::with_capacity(80);
        for i in 0..1_000 {
            list.apply(session(format!("s{i}"), 1_000 + i, i64::try_from(i).unwrap()));
            assert!(list.len() <= 80);
        }
        for i in 0..1_000 {
            assert!(list.is_revoked(&claims(&format!("s{i}"), "x", 1_000 + i)), "{i}");
        }
        assert!(list.is_revoked(&claims("another", "x", 1_000)));
        assert!(!list.is_revoked(&claims("another", "x", 1_990)));
        tokio::time::advance(KEPT).await;
        list.apply(session("t", 5_000, 1_001));
        assert!(!list.is_revoked(&claims("another", "x", 1_000)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_list_of_one_second_folds_into_one_rule() {
        let mut list = List::with_capacity(8);
        for i in 0..9 {
            list.apply(session(format!("s{i}"), 100, i));
        }
        assert_eq!(list.len(), 0);
        assert!(list.is_revoked(&claims("s0", "x", 105)) && !list.is_revoked(&claims("s0", "x", 106)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_that_no_token_can_have_takes_no_room() {
        let mut list = List::default();
        list.apply(session("s".repeat(MAX_ID_BYTES + 1), 100, 7));
        assert_eq!((list.len(), list.cursor()), (0, 7));
    }
}
