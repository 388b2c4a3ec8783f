//! A call is paid before it is made: the most that it can cost is reserved, and what was not used is given back. A process that
//! dies in between leaves the reservation as it is: a budget is never spent twice.

use mesh_store::retry;

use super::{Caller, Jokes};
use crate::budget::{Account, Amount, Price};
use crate::error::{JokesError, Result};
use crate::metrics;
use crate::ports::Tokens;
use crate::store::ledger::Rest;

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
        match retry(|| self.store.take(&accounts, &amount)).await? {
            None => Ok(Reservation { accounts, amount, most, price }),
            Some(spent) => {
                let ends_in = (spent.ends_at - now).to_std().unwrap_or_default();
                Err(JokesError::BudgetSpent { account: spent.to_string(), ends_in })
            }
        }
    }

    /// Bills what a call used and gives back the rest.
    pub(super) async fn settle(&self, reservation: &Reservation, used: Amount) -> Result<()> {
        Ok(retry(|| self.store.give_back(reservation.rest(used))).await?)
    }
}

impl Reservation {
    /// What is left of it when so much was used.
    pub(super) fn rest(&self, used: Amount) -> Rest<'_> {
        Rest { accounts: &self.accounts, amount: self.amount.less(used) }
    }

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
}
