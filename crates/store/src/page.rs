//! Keyset pages: sizes, and opaque tokens that only this service can make.
//!
//! A token holds the position after which the next page begins. It is authenticated together with a context (which list
//! of which user), so it cannot be made up, changed, or carried to another list or another user.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use mesh_error::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of the authentication tag, a truncated HMAC-SHA-256 (RFC 2104 §5 allows half of the output).
const TAG: usize = 16;
/// A token of this service is far shorter; anything longer is refused unread.
const LONGEST: usize = 1_024;

/// How many items a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// When the caller leaves it open.
    pub const DEFAULT: Self = Self(50);
    /// At most.
    pub const MAX: Self = Self(200);

    /// From the field `page_size`: 1 to 200, or 0 for the default.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` otherwise.
    pub fn new(value: i32) -> Result<Self, Error> {
        match u16::try_from(value) {
            Ok(0) => Ok(Self::DEFAULT),
            Ok(size) if size <= Self::MAX.0 => Ok(Self(size)),
            _ => Err(Error::invalid_field("page_size", "must be 1 to 200, or 0 for 50")),
        }
    }

    /// For LIMIT: one more than the page holds, which tells whether there is a next page.
    #[must_use]
    pub fn limit(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Cuts what LIMIT gave down to the page, and says whether there is more.
    #[must_use]
    pub fn cut<T>(self, mut items: Vec<T>) -> (Vec<T>, bool) {
        let more = items.len() > usize::from(self.0);
        items.truncate(usize::from(self.0));
        (items, more)
    }
}

/// A place in a list that is ordered by age, newest first, and by id among those of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// When the item before it was made.
    pub created_at: DateTime<Utc>,
    /// The id of that item.
    pub id: String,
}

impl Position {
    /// Before everything: where the first page begins.
    #[must_use]
    pub fn newest() -> Self {
        // 9999-01-01, which both databases and their texts still order rightly.
        let far = DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { created_at: far, id: String::new() }
    }
}

/// A page that was asked for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// How many items it holds.
    pub size: PageSize,
    /// Of the page before, or empty for the first.
    pub token: String,
}

impl PageRequest {
    /// From the fields `page_size` and `page_token`.
    ///
    /// # Errors
    ///
    /// As [`PageSize::new`].
    pub fn new(size: i32, token: String) -> Result<Self, Error> {
        Ok(Self { size: PageSize::new(size)?, token })
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The token of the next page; empty on the last.
    pub next: String,
}

/// The key of a service's page tokens. All replicas need the same one.
#[derive(Clone)]
pub struct PageKey(hmac::Key);

impl PageKey {
    /// From at least 32 secret bytes; they are used for nothing else.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Makes the token of a position. `context` says which list of whom, unambiguously.
    ///
    /// # Errors
    ///
    /// The position has no JSON form.
    pub fn seal<T: Serialize>(&self, position: &T, context: &str) -> Result<String, Error> {
        let mut token = serde_json::to_vec(position).map_err(Error::internal)?;
        let tag = self.tag(&token, context);
        token.extend(tag.as_ref().iter().take(TAG));
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Reads a token back.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when it is not one of this key and context.
    pub fn open<T: DeserializeOwned>(&self, token: &str, context: &str) -> Result<T, Error> {
        self.read(token, context)
            .ok_or_else(|| Error::invalid_field("page_token", "not a token of this list"))
    }

    /// Where the page that was asked for begins.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn begin(&self, request: &PageRequest, context: &str) -> Result<Position, Error> {
        if request.token.is_empty() { Ok(Position::newest()) } else { self.open(&request.token, context) }
    }

    /// Cuts `rows`, which LIMIT gave, down to the page that was asked for.
    ///
    /// # Errors
    ///
    /// As [`Self::seal`].
    pub fn page<T>(
        &self,
        request: &PageRequest,
        context: &str,
        rows: Vec<T>,
        position: impl Fn(&T) -> Position,
    ) -> Result<Page<T>, Error> {
        let (items, more) = request.size.cut(rows);
        let next = match items.last() {
            Some(last) if more => self.seal(&position(last), context)?,
            _ => String::new(),
        };
        Ok(Page { items, next })
    }

    fn read<T: DeserializeOwned>(&self, token: &str, context: &str) -> Option<T> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (position, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let expected = self.tag(position, context);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref().get(..TAG)?, tag).ok()?;
        serde_json::from_slice(position).ok()
    }

    /// The length keeps context and position apart.
    fn tag(&self, position: &[u8], context: &str) -> hmac::Tag {
        let mut with = hmac::Context::with_key(&self.0);
        with.update(&u64::try_from(context.len()).unwrap_or(u64::MAX).to_be_bytes());
        with.update(context.as_bytes());
        with.update(position);
        with.sign()
    }
}

impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageKey([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PageKey {
        PageKey::new(&[7; 32])
    }

    #[test]
    fn a_token_comes_back_as_its_position() {
        let token = key().seal(&("2026-01-01", "abc"), "users").unwrap();
        let position: (String, String) = key().open(&token, "users").unwrap();
        assert_eq!(position, ("2026-01-01".to_owned(), "abc".to_owned()));
    }

    #[test]
    fn every_changed_character_is_refused() {
        let token = key().seal(&("2026-01-01", "abc"), "users").unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key().open::<(String, String)>(&changed, "users").is_err(), "position {at}");
        }
    }

    #[test]
    fn another_list_user_or_key_is_refused() {
        let token = key().seal(&1, "sessions of u1").unwrap();
        assert!(key().open::<i32>(&token, "sessions of u2").is_err());
        assert!(key().open::<i32>(&token, "api keys of u1").is_err());
        assert!(PageKey::new(&[8; 32]).open::<i32>(&token, "sessions of u1").is_err());
    }

    #[test]
    fn junk_is_refused_and_empty_is_the_first_page() {
        for junk in ["A", "====", "\u{0}", "Zm9v", &"A".repeat(10_000)] {
            assert!(key().open::<i32>(junk, "users").is_err());
        }
        let first = PageRequest::new(0, String::new()).unwrap();
        assert_eq!(key().begin(&first, "users").unwrap(), Position::newest());
    }

    #[test]
    fn pages_follow_each_other_to_the_last() {
        let rows = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let at = |id: &String| Position { id: id.clone(), ..Position::newest() };
        let mut request = PageRequest::new(2, String::new()).unwrap();
        let page = key().page(&request, "users", rows(&["c", "b", "a"]), at).unwrap();
        assert_eq!(page.items, ["c", "b"]);
        request.token = page.next;
        assert_eq!(key().begin(&request, "users").unwrap().id, "b");
        let page = key().page(&request, "users", rows(&["a"]), at).unwrap();
        assert_eq!((page.items.len(), page.next.as_str()), (1, ""));
    }

    #[test]
    fn sizes_have_a_default_and_a_bound() {
        assert_eq!(PageSize::new(0).unwrap(), PageSize::DEFAULT);
        assert_eq!(PageSize::new(200).unwrap(), PageSize::MAX);
        for bad in [-1, 201, i32::MIN, i32::MAX] {
            assert!(PageSize::new(bad).is_err(), "{bad}");
        }
        assert_eq!(PageSize::new(2).unwrap().cut(vec![1, 2, 3]), (vec![1, 2], true));
        assert_eq!(PageSize::new(2).unwrap().cut(vec![1, 2]), (vec![1, 2], false));
    }
}
