//! What may be used, by whom and in which time; and what a call may cost at most.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveTime, Utc};

use crate::ports::{Prompt, Tokens};

/// Limits of one period. None is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls to providers.
    pub calls: Option<i64>,
    /// Tokens, in and out.
    pub tokens: Option<i64>,
    /// In billionths of a US dollar.
    pub cost_nanos: Option<i64>,
}

/// The budgets that everybody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Of a user, a day.
    pub user_day: Limits,
    /// Of a user, a month.
    pub user_month: Limits,
    /// Of a session or an API key, a day.
    pub credential_day: Limits,
    /// Of a session or an API key, a month.
    pub credential_month: Limits,
}

/// What one token costs, in billionths of a US dollar: dollars for a million tokens, times a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Of the prompt.
    pub input_nanos: i64,
    /// Of the answer.
    pub output_nanos: i64,
}

/// An amount that is taken from a budget, or was used of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Amount {
    pub(crate) calls: i64,
    pub(crate) tokens: i64,
    pub(crate) cost_nanos: i64,
}

/// Who pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payer {
    pub(crate) user: String,
    /// The session or API key that the caller used.
    pub(crate) credential: String,
}

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    User,
    Credential,
}

/// How long a budget lasts, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Period {
    Day,
    Month,
}

/// One budget of a payer: a row of the ledger and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) scope: Scope,
    pub(crate) period: Period,
    /// As in the ledger.
    pub(crate) subject: String,
    /// As in the ledger.
    pub(crate) period_name: String,
    pub(crate) limits: Limits,
    pub(crate) ends_at: DateTime<Utc>,
}

impl Budgets {
    /// The payer's accounts, always in the same order, so that two calls never wait for each other.
    pub(crate) fn accounts(&self, payer: &Payer, now: DateTime<Utc>) -> [Account; 4] {
        let all = [
            (Scope::User, Period::Day, self.user_day),
            (Scope::User, Period::Month, self.user_month),
            (Scope::Credential, Period::Day, self.credential_day),
            (Scope::Credential, Period::Month, self.credential_month),
        ];
        let account = |(scope, period, limits): (Scope, Period, Limits)| Account {
            scope,
            period,
            subject: match scope {
                Scope::User => format!("user:{}", payer.user),
                Scope::Credential => format!("credential:{}", payer.credential),
            },
            period_name: period.name(now),
            limits,
            ends_at: period.ends_at(now),
        };
        all.map(account)
    }
}

impl Limits {
    /// Whether `amount` alone is within.
    pub(crate) fn hold(&self, amount: &Amount) -> bool {
        let within = |limit: Option<i64>, value: i64| limit.is_none_or(|limit| value <= limit);
        within(self.calls, amount.calls)
            && within(self.tokens, amount.tokens)
            && within(self.cost_nanos, amount.cost_nanos)
    }
}

impl Price {
    /// What so many tokens cost.
    pub(crate) fn of(self, tokens: Tokens) -> i64 {
        let part = |count: u32, nanos: i64| i64::from(count).saturating_mul(nanos);
        part(tokens.input, self.input_nanos).saturating_add(part(tokens.output, self.output_nanos))
    }
}

impl Amount {
    /// One call with these tokens.
    pub(crate) fn call(tokens: Tokens, price: Price) -> Self {
        let count = i64::from(tokens.input) + i64::from(tokens.output);
        Self { calls: 1, tokens: count, cost_nanos: price.of(tokens) }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            cost_nanos: self.cost_nanos.saturating_add(other.cost_nanos),
        }
    }

    /// What is left of `self` when `other` was used.
    pub(crate) fn less(self, other: Self) -> Self {
        Self {
            calls: self.calls - other.calls,
            tokens: self.tokens - other.tokens,
            cost_nanos: self.cost_nanos - other.cost_nanos,
        }
    }
}

impl Scope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Credential => "credential",
        }
    }
}

impl Period {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// As in the ledger; those of days and of months each sort by age.
    pub(crate) fn name(self, now: DateTime<Utc>) -> String {
        match self {
            Self::Day => now.format("%Y-%m-%d").to_string(),
            Self::Month => now.format("%Y-%m").to_string(),
        }
    }

    /// The first moment that does not belong to it.
    fn ends_at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let today = now.date_naive();
        let next = match self {
            Self::Day => today.checked_add_days(Days::new(1)),
            Self::Month => today.with_day(1).and_then(|first| first.checked_add_months(Months::new(1))),
        };
        next.unwrap_or(today).and_time(NaiveTime::MIN).and_utc()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the {}", self.period.as_str(), self.scope.name())
    }
}

/// Tokens that a provider adds to each message, and to the prompt as a whole; OpenAI's are three.
const FRAMING: usize = 8;

/// The most tokens that a call can take. No tokenizer that works on bytes makes more tokens than there are bytes.
pub(crate) fn most(prompt: &Prompt) -> Tokens {
    let schema = prompt.schema.map_or(0, |schema| schema.to_string().len());
    let bytes: usize = prompt.turns.iter().map(|turn| turn.text.len() + FRAMING).sum();
    let input = prompt.system.len() + schema + bytes + 2 * FRAMING;
    Tokens { input: u32::try_from(input).unwrap_or(u32::MAX), output: prompt.max_output_tokens }
}

/// Counts the tokens of a text when the provider does not say: four characters of ASCII each, every other character one.
/// That is OpenAI's rule of thumb for English, and too many rather than too few elsewhere.
pub(crate) fn count(text: &str) -> u32 {
    let ascii = text.chars().filter(char::is_ascii).count();
    weigh((ascii, text.chars().count() - ascii))
}

/// As [`count`], of so many characters of ASCII and so many others.
pub(crate) fn weigh((ascii, other): (usize, usize)) -> u32 {
    u32::try_from(ascii.div_ceil(4) + other).unwrap_or(u32::MAX)
}

/// As [`count`], of a whole prompt.
pub(crate) fn count_prompt(prompt: &Prompt) -> u32 {
    let turns: u32 = prompt.turns.iter().map(|turn| count(&turn.text).saturating_add(3)).sum();
    count(&prompt.system).saturating_add(turns).saturating_add(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_where_the_next_begins() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-12-31T23:59:59Z");
        assert_eq!((Period::Day.name(now), Period::Month.name(now)), ("2026-12-31".into(), "2026-12".into()));
        assert_eq!(Period::Day.ends_at(now), at("2027-01-01T00:00:00Z"));
        assert_eq!(Period::Month.ends_at(at("2026-01-31T12:00:00Z")), at("2026-02-01T00:00:00Z"));
    }

    #[test]
    fn a_price_is_of_tokens() {
        // 0.15 and 0.60 dollars for a million.
        let price = Price { input_nanos: 150, output_nanos: 600 };
        assert_eq!(price.of(Tokens { input: 1_000_000, output: 0 }), 150_000_000);
        assert_eq!(
            Amount::call(Tokens { input: 10, output: 5 }, price),
            Amount { calls: 1, tokens: 15, cost_nanos: 4_500 }
        );
        let dear = Price { input_nanos: i64::MAX, output_nanos: 1 };
        assert_eq!(dear.of(Tokens { input: u32::MAX, output: u32::MAX }), i64::MAX);
    }

    #[test]
    fn an_own_count_is_never_more_than_the_most() {
        for text in ["", "a", "Why did the chicken cross the road?", "ありがとう", "😀😀"] {
            let prompt = Prompt {
                task: crate::ports::Task::Chat,
                system: "Be kind.".to_owned(),
                turns: vec![crate::ports::Turn { role: crate::ports::Role::User, text: text.to_owned() }],
                schema: None,
                max_output_tokens: 10,
                temperature: None,
                seed: None,
            };
            assert!(count_prompt(&prompt) <= most(&prompt).input, "{text}");
        }
    }
}
