//! What was used, by whom and when. Every change is one conditional statement, so that no two calls can both take the last
//! of a budget.

use mesh_store::{Tx, execute, on};
use sqlx::FromRow;

use super::{Result, Store};
use crate::budget::{Account, Amount};

/// What a subject has used in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub(crate) struct Used {
    pub(crate) calls: i64,
    pub(crate) tokens: i64,
    pub(crate) cost_nanos: i64,
}

impl Store {
    /// What has been used of an account, or is reserved.
    pub(crate) async fn used(&self, account: &Account) -> Result<Used> {
        let used = on!(self.db.read(), "SELECT ledger", |e| {
            sqlx::query_as("SELECT calls, tokens, cost_nanos FROM ledger WHERE subject = $1 AND period = $2")
                .bind(&account.subject)
                .bind(&account.period_name)
                .fetch_optional(e)
                .await
        })?;
        Ok(used.unwrap_or_default())
    }

    /// Forgets periods that ended before the given day, a few at a time; how many.
    pub(crate) async fn sweep_ledger(&self, before: &str, most: i64) -> Result<u64> {
        execute!(
            self.db.write(),
            "DELETE ledger",
            sqlx::query(
                "DELETE FROM ledger WHERE (subject, period) IN
                 (SELECT subject, period FROM ledger WHERE period < $1 LIMIT $2)",
            )
            .bind(before)
            .bind(most)
        )
    }
}

/// Takes an amount from an account unless that would be more than its limits; whether it did. The first amount of a period has
/// to be within the limits by itself ([`crate::budget::Limits::hold`]).
pub(crate) async fn take(tx: &mut Tx, account: &Account, amount: &Amount) -> Result<bool> {
    if !account.limits.hold(amount) {
        return Ok(false);
    }
    let most = |limit: Option<i64>| limit.unwrap_or(i64::MAX);
    execute!(
        tx.conn(),
        "UPSERT ledger",
        sqlx::query(
            "INSERT INTO ledger (subject, period, calls, tokens, cost_nanos) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (subject, period) DO UPDATE
             SET calls = ledger.calls + excluded.calls, tokens = ledger.tokens + excluded.tokens,
                 cost_nanos = ledger.cost_nanos + excluded.cost_nanos
             WHERE ledger.calls <= $6 - excluded.calls AND ledger.tokens <= $7 - excluded.tokens
               AND ledger.cost_nanos <= $8 - excluded.cost_nanos",
        )
        .bind(&account.subject)
        .bind(&account.period_name)
        .bind(amount.calls)
        .bind(amount.tokens)
        .bind(amount.cost_nanos)
        .bind(most(account.limits.calls))
        .bind(most(account.limits.tokens))
        .bind(most(account.limits.cost_nanos))
    )
    .map(|rows| rows == 1)
}

/// Gives back what was taken and not used.
pub(crate) async fn give_back(tx: &mut Tx, account: &Account, amount: &Amount) -> Result<()> {
    execute!(
        tx.conn(),
        "UPDATE ledger",
        sqlx::query(
            "UPDATE ledger SET calls = calls - $3, tokens = tokens - $4, cost_nanos = cost_nanos - $5
             WHERE subject = $1 AND period = $2",
        )
        .bind(&account.subject)
        .bind(&account.period_name)
        .bind(amount.calls)
        .bind(amount.tokens)
        .bind(amount.cost_nanos)
    )
    .map(|_| ())
}
