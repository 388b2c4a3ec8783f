//! What was used, by whom and when. Every change is one statement, so that no two calls can both take the last of a budget, and
//! nothing that ends in between leaves half of it.

use mesh_store::{StoreError, StoreErrorKind, execute, on};

use super::{Result, Store};
use crate::budget::{Account, Amount};

/// What was reserved in these accounts and not used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest<'a> {
    pub(crate) accounts: &'a [Account; 4],
    pub(crate) amount: Amount,
}

/// The statement that gives a rest back, with the rows of it.
macro_rules! give_back {
    ($rows:literal) => {
        concat!(
            "INSERT INTO ledger (subject, period, calls, tokens, cost_nanos) VALUES ",
            $rows,
            " ON CONFLICT (subject, period) DO UPDATE SET calls = ledger.calls - excluded.calls, \
             tokens = ledger.tokens - excluded.tokens, cost_nanos = ledger.cost_nanos - excluded.cost_nanos"
        )
    };
}

/// Binds a rest: its amount, and then the subject and the period of each account.
macro_rules! bind_rest {
    ($query:expr, $rest:expr) => {{
        let Rest { accounts, amount } = $rest;
        let query = $query.bind(amount.calls).bind(amount.tokens).bind(amount.cost_nanos);
        accounts.iter().fold(query, |query, account| query.bind(&account.subject).bind(&account.period_name))
    }};
}

pub(super) use {bind_rest, give_back};

impl Store {
    /// What has been used of an account, or is reserved.
    pub(crate) async fn used(&self, account: &Account) -> Result<Amount> {
        let used = on!(self.db.read(), "SELECT ledger", |e| {
            sqlx::query_as("SELECT calls, tokens, cost_nanos FROM ledger WHERE subject = $1 AND period = $2")
                .bind(&account.subject)
                .bind(&account.period_name)
                .fetch_optional(e)
                .await
        })?;
        Ok(used.unwrap_or_default())
    }

    /// Takes an amount from each of these accounts, or nothing when one of them has too little: the first such one.
    ///
    /// # Errors
    /// A conflict when an account had too little and has enough by now: to be done again.
    pub(crate) async fn take<'a>(
        &self,
        accounts: &'a [Account; 4],
        amount: &Amount,
    ) -> Result<Option<&'a Account>> {
        // The first amount of a period meets no row to be compared with.
        if let Some(small) = accounts.iter().find(|account| !account.limits.hold(amount)) {
            return Ok(Some(small));
        }
        match self.take_all_or_nothing(accounts, amount).await {
            Ok(true) => return Ok(None),
            Ok(false) => {}
            Err(error) if error.is_null() => {}
            Err(error) => return Err(error),
        }
        for account in accounts {
            let used = self.used(account).await?;
            if !account.limits.hold(&used.and(*amount)) {
                return Ok(Some(account));
            }
        }
        Err(StoreError::new(StoreErrorKind::Serialization, "a budget was spent, and given back"))
    }

    /// Looks first whether all accounts have enough, which refuses whoever comes late without a trace. A rival that takes the
    /// rest after that look is noticed at the row, which is locked then: it would become null, and the statement fails as a whole.
    ///
    /// The rows are taken in the order of the accounts, which is the same for everybody, so that two calls never wait for each
    /// other in a circle.
    async fn take_all_or_nothing(&self, accounts: &[Account; 4], amount: &Amount) -> Result<bool> {
        let most = |limit: Option<i64>| limit.unwrap_or(i64::MAX);
        let rows = on!(self.db.write(), "UPSERT ledger", |e| {
            let mut query = sqlx::query(
                "WITH most (subject, period, calls, tokens, cost_nanos) AS
                     (VALUES ($4, $5, $6, $7, $8), ($9, $10, $11, $12, $13), ($14, $15, $16, $17, $18), ($19, $20, $21, $22, $23))
                 INSERT INTO ledger (subject, period, calls, tokens, cost_nanos)
                 SELECT subject, period, $1, $2, $3 FROM most
                 WHERE NOT EXISTS (
                     SELECT 1 FROM most JOIN ledger USING (subject, period)
                     WHERE ledger.calls > most.calls - $1 OR ledger.tokens > most.tokens - $2
                        OR ledger.cost_nanos > most.cost_nanos - $3)
                 ON CONFLICT (subject, period) DO UPDATE
                 SET tokens = ledger.tokens + excluded.tokens, cost_nanos = ledger.cost_nanos + excluded.cost_nanos,
                     calls = (SELECT ledger.calls + excluded.calls FROM most
                              WHERE most.subject = ledger.subject AND most.period = ledger.period
                                AND ledger.calls <= most.calls - excluded.calls
                                AND ledger.tokens <= most.tokens - excluded.tokens
                                AND ledger.cost_nanos <= most.cost_nanos - excluded.cost_nanos)",
            )
            .bind(amount.calls)
            .bind(amount.tokens)
            .bind(amount.cost_nanos);
            for Account { subject, period_name, limits, .. } in accounts {
                query = query.bind(subject).bind(period_name);
                query =
                    query.bind(most(limits.calls)).bind(most(limits.tokens)).bind(most(limits.cost_nanos));
            }
            query.execute(e).await.map(|done| done.rows_affected())
        })?;
        Ok(rows > 0)
    }

    /// Gives a rest back, in the order of the accounts. Their rows are there: a period is not forgotten before it has long ended.
    pub(crate) async fn give_back(&self, rest: Rest<'_>) -> Result<()> {
        const GIVE_BACK: &str = give_back!(
            "($4, $5, $1, $2, $3), ($6, $7, $1, $2, $3), ($8, $9, $1, $2, $3), ($10, $11, $1, $2, $3)"
        );
        execute!(self.db.write(), "UPDATE ledger", bind_rest!(sqlx::query(GIVE_BACK), rest)).map(|_| ())
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
