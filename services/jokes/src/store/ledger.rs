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

/// Takes an amount from each of these accounts unless that would be more than its limits; all of it is to be undone if one of
/// them has too little: the first such one. The first amount of a period has to be within the limits by itself
/// ([`crate::budget::Limits::hold`]).
///
/// The rows are taken in the order of the accounts, which is the same for everybody, so that two calls never wait for each other
/// in a circle.
pub(crate) async fn take<'a>(
    tx: &mut Tx,
    accounts: &'a [Account; 4],
    amount: &Amount,
) -> Result<Option<&'a Account>> {
    if let Some(small) = accounts.iter().find(|account| !account.limits.hold(amount)) {
        return Ok(Some(small));
    }
    let most = |limit: Option<i64>| limit.unwrap_or(i64::MAX);
    let taken: Vec<(String, String)> = on!(tx.conn(), "UPSERT ledger", |e| {
        let mut query = sqlx::query_as(
            "INSERT INTO ledger (subject, period, calls, tokens, cost_nanos)
             VALUES ($4, $5, $1, $2, $3), ($9, $10, $1, $2, $3), ($14, $15, $1, $2, $3), ($19, $20, $1, $2, $3)
             ON CONFLICT (subject, period) DO UPDATE
             SET calls = ledger.calls + excluded.calls, tokens = ledger.tokens + excluded.tokens,
                 cost_nanos = ledger.cost_nanos + excluded.cost_nanos
             WHERE EXISTS (
                 SELECT 1 FROM (VALUES ($4, $5, $6, $7, $8), ($9, $10, $11, $12, $13), ($14, $15, $16, $17, $18),
                                       ($19, $20, $21, $22, $23)) AS most
                 WHERE most.column1 = ledger.subject AND most.column2 = ledger.period
                   AND ledger.calls <= most.column3 - excluded.calls AND ledger.tokens <= most.column4 - excluded.tokens
                   AND ledger.cost_nanos <= most.column5 - excluded.cost_nanos)
             RETURNING subject, period",
        )
        .bind(amount.calls)
        .bind(amount.tokens)
        .bind(amount.cost_nanos);
        for Account { subject, period_name, limits, .. } in accounts {
            query = query.bind(subject).bind(period_name);
            query = query.bind(most(limits.calls)).bind(most(limits.tokens)).bind(most(limits.cost_nanos));
        }
        query.fetch_all(e).await
    })?;
    let is_taken = |account: &&Account| {
        taken.iter().any(|(subject, period)| (subject, period) == (&account.subject, &account.period_name))
    };
    Ok(accounts.iter().find(|account| !is_taken(account)))
}

/// Gives back what was taken from each of these accounts and not used, in their order. Their rows are there: a period is not
/// forgotten before it has long ended.
pub(crate) async fn give_back(tx: &mut Tx, accounts: &[Account; 4], amount: &Amount) -> Result<()> {
    on!(tx.conn(), "UPDATE ledger", |e| {
        let mut query = sqlx::query(
            "INSERT INTO ledger (subject, period, calls, tokens, cost_nanos)
             VALUES ($4, $5, $1, $2, $3), ($6, $7, $1, $2, $3), ($8, $9, $1, $2, $3), ($10, $11, $1, $2, $3)
             ON CONFLICT (subject, period) DO UPDATE
             SET calls = ledger.calls - excluded.calls, tokens = ledger.tokens - excluded.tokens,
                 cost_nanos = ledger.cost_nanos - excluded.cost_nanos",
        )
        .bind(amount.calls)
        .bind(amount.tokens)
        .bind(amount.cost_nanos);
        for account in accounts {
            query = query.bind(&account.subject).bind(&account.period_name);
        }
        query.execute(e).await.map(|_| ())
    })
}
