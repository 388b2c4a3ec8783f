//! A call is paid before it is made: the most that it can cost is reserved, and what was not used is given back. A process that
//! dies in between leaves the reservation as it is: a budget is never spent twice.

use mesh_store::{Tx, retry};

use super::{Caller, Jokes};
use crate::budget::{Account, Amount, Price};
use crate::error::{JokesError, Result};
use crate::metrics;
use crate::ports::Tokens;
use crate::store;
use crate::store::ledger;

/// What is reserved for one call.
#[derive(Debug)]
pub(super) struct Reservation {
    accounts: [Account; 4],
    amount: Amount,
    most: Tokens,
    price: Price,
}

impl Jokes {
    /// Reserves the most that a call can cost, in every budget of the caller or in none.
    pub(super) async fn reserve(&self, caller: &Caller, most: Tokens, price: Price) -> Result<Reservation> {
        let now = self.clock.now();
        let accounts = self.budgets.accounts(&caller.payer(), now);
        let amount = Amount::call(most, price);
        match retry(|| self.take_from_all(&accounts, &amount)).await? {
            None => Ok(Reservation { accounts, amount, most, price }),
            Some(spent) => {
                let ends_in = (spent.ends_at - now).to_std().unwrap_or_default();
                Err(JokesError::BudgetSpent { account: spent.to_string(), ends_in })
            }
        }
    }

    /// The account that has too little, if one has.
    async fn take_from_all<'a>(
        &self,
        accounts: &'a [Account; 4],
        amount: &Amount,
    ) -> store::Result<Option<&'a Account>> {
        let mut tx = self.store.begin().await?;
        let spent = ledger::take(&mut tx, accounts, amount).await?;
        match spent {
            None => tx.commit().await?,
            Some(_) => tx.rollback().await?,
        }
        Ok(spent)
    }

    /// Bills what a call used and gives back the rest.
    pub(super) async fn settle(&self, reservation: &Reservation, used: Amount) -> Result<()> {
        let settled = retry(|| async {
            let mut tx = self.store.begin().await?;
            reservation.settle_in(&mut tx, used).await?;
            tx.commit().await
        });
        Ok(settled.await?)
    }
}

impl Reservation {
    /// What these tokens cost: never more than was reserved, so that a provider that does not keep to its limits cannot spend
    /// more than the budget.
    pub(super) fn bill(&self, model: &str, tokens: Tokens) -> (Amount, Tokens) {
        let within =
            Tokens { input: tokens.input.min(self.most.input), output: tokens.output.min(self.most.output) };
        if within != tokens {
            metrics::overrun(model);
        }
        (Amount::call(within, self.price), within)
    }

    /// Gives back what was not used, as part of a larger change.
    pub(super) async fn settle_in(&self, tx: &mut Tx, used: Amount) -> store::Result<()> {
        ledger::give_back(tx, &self.accounts, &self.amount.less(used)).await
    }
}
