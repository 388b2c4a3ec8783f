//! The answer to "may this caller call this method here", and on what terms.

use std::{fmt, time::Duration};

/// A rule that allows one caller one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The longest that a call may take; for a stream, from its beginning to its end.
    pub deadline: Duration,
    /// The longest silence on a stream; always there for streaming methods and never for others.
    pub idle: Option<Duration>,
    /// Which user the call must be made for.
    pub user: UserRule,
    /// Line of the file, counted from 1, that names the caller.
    pub line: usize,
    /// Column in characters, counted from 1, at which the caller is named.
    pub column: usize,
}

/// Which user a call must be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRule {
    /// None: the workload's own identity is enough and no token is looked at.
    None,
    /// A user with a valid token, which must have the scope if one is named.
    Required {
        /// The scope that the token must have.
        scope: Option<String>,
    },
}

/// What the policy says of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Allowed, on the terms of the rule.
    Allow(&'a Rule),
    /// Not allowed.
    Deny(Denial),
}

impl<'a> Decision<'a> {
    /// The rule, when the call is allowed.
    pub fn rule(self) -> Option<&'a Rule> {
        match self {
            Self::Allow(rule) => Some(rule),
            Self::Deny(_) => None,
        }
    }

    /// Whether the call is allowed.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// Why a call is denied. For logs and metrics; the caller is told only that it is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Denial {
    /// The caller's identity is not one of the policy's workloads.
    UnknownCaller,
    /// The callee serves no method with exactly this path.
    UnknownMethod,
    /// Caller and method are known, and no rule joins them.
    NoRule,
}

impl Denial {
    /// A short name for a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCaller => "unknown_caller",
            Self::UnknownMethod => "unknown_method",
            Self::NoRule => "no_rule",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::UnknownCaller => "the caller is no workload of the policy",
            Self::UnknownMethod => "the callee serves no such method",
            Self::NoRule => "no rule allows this caller this method",
        })
    }
}

/// One cell of the whole matrix: callee, caller, path, and what the policy says.
pub type Pair<'a> = (&'a str, &'a str, &'a str, Decision<'a>);
