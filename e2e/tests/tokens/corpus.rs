//! Every kind of bad credential, each made from a good one by one change, and the published vectors.
//!
//! The classes are those of the reliability plan (§6.2), of RFC 8725, and of the published attacks on JOSE libraries.

pub(crate) mod claims;
pub(crate) mod header;
pub(crate) mod key;
pub(crate) mod shape;
pub(crate) mod signature;
pub(crate) mod wycheproof;

use http::{HeaderName, header::AUTHORIZATION};

use crate::{
    forger::Forger,
    wire::{Shown, bearer},
};

/// What a credential of a class is answered with over REST. Directly, each is `UNAUTHENTICATED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Expect {
    /// 401, as every token that is not good.
    Token,
    /// 401, as every API key that is not good.
    Key,
    /// 401, as somebody who shows nothing where credentials belong.
    Nobody,
    /// 400: two credentials contradict each other.
    Twice,
    /// 431: the headers are too large to be read.
    Large,
}

impl Expect {
    /// The HTTP status.
    pub(crate) fn status(self) -> i32 {
        match self {
            Self::Token | Self::Key | Self::Nobody => 401,
            Self::Twice => 400,
            Self::Large => 431,
        }
    }
}

/// A bad credential.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Cases of one class are timed together.
    pub(crate) class: &'static str,
    pub(crate) name: String,
    pub(crate) shown: Shown,
    pub(crate) expect: Expect,
    /// The token, when it is one that a verifier may be given.
    pub(crate) token: Option<String>,
}

impl Case {
    /// A bearer token.
    pub(crate) fn token(class: &'static str, name: impl Into<String>, token: impl Into<String>) -> Self {
        let token = token.into();
        let shown = bearer(&token);
        Self { class, name: name.into(), shown, expect: Expect::Token, token: Some(token) }
    }

    /// The value of an `Authorization` header.
    pub(crate) fn authorization(name: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::headers("scheme", name, vec![(AUTHORIZATION, value.into())], Expect::Token)
    }

    /// Any headers.
    pub(crate) fn headers(class: &'static str, name: &str, shown: Shown, expect: Expect) -> Self {
        Self { class, name: name.to_owned(), shown, expect, token: None }
    }
}

/// A header by its name.
pub(crate) fn named(name: &'static str, value: &str) -> (HeaderName, Vec<u8>) {
    (HeaderName::from_static(name), value.as_bytes().to_vec())
}

/// All forged tokens but the confusions of keys.
pub(crate) fn all(forger: &Forger) -> Vec<Case> {
    [header::cases(forger), claims::cases(forger), signature::cases(forger), shape::cases(forger)].concat()
}
