//! Jokes that are there already, and what was used.

use chrono::{DateTime, SubsecRound as _, Utc};
use mesh_store::page::{Page, PageRequest, Position};

use super::{Caller, Jokes};
use crate::budget::{Amount, Limits, Period, Scope};
use crate::domain::Joke;
use crate::error::{JokesError, Result};
use crate::scores;
use crate::store::jokes::{Feedback, Filter, Rated};

/// What a list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct ListWish {
    pub(crate) page: PageRequest,
    pub(crate) filter: Filter,
}

/// A budget and what was used of it.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) scope: Scope,
    pub(crate) period: Period,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) limits: Limits,
    pub(crate) used: Amount,
}

impl Jokes {
    /// A joke of the caller.
    pub(crate) async fn joke_of(&self, caller: &Caller, id: &str) -> Result<Joke> {
        self.store.joke(id, &caller.user_id).await?.ok_or(JokesError::NotFound("joke"))
    }

    /// The caller's jokes, newest first.
    pub(crate) async fn list(&self, caller: &Caller, wish: &ListWish) -> Result<Page<Joke>> {
        let style = wish.filter.style.map_or("", crate::domain::Style::name);
        let model = wish.filter.model.as_deref().unwrap_or_default();
        let context = format!("jokes of {} in {style} by {model}", caller.user_id);
        let after = self.pages.begin(&wish.page, &context)?;
        let limit = wish.page.size.limit();
        let rows = self.store.jokes(&caller.user_id, &wish.filter, &after, limit).await?;
        let position = |joke: &Joke| Position { created_at: joke.created_at, id: joke.id.clone() };
        Ok(self.pages.page(&wish.page, &context, rows, position)?)
    }

    /// Deletes a joke of the caller.
    pub(crate) async fn delete(&self, caller: &Caller, id: &str) -> Result<()> {
        match self.store.delete_joke(id, &caller.user_id).await? {
            true => Ok(()),
            false => Err(JokesError::NotFound("joke")),
        }
    }

    /// Rates a joke of the caller.
    pub(crate) async fn rate(&self, caller: &Caller, id: &str, feedback: &Feedback) -> Result<Joke> {
        let at = self.clock.now().trunc_subsecs(6);
        let rated = Rated { at, due: self.rules.scores.then(|| at + scores::FIRST) };
        match self.store.rate_joke(id, &caller.user_id, feedback, rated).await? {
            true => self.joke_of(caller, id).await,
            false => Err(JokesError::NotFound("joke")),
        }
    }

    /// What the caller has used of each budget.
    pub(crate) async fn usage(&self, caller: &Caller) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for account in self.budgets.accounts(&caller.payer(), self.clock.now()) {
            let used = self.store.used(&account).await?;
            let (scope, period, ends_at) = (account.scope, account.period, account.ends_at);
            figures.push(Figure { scope, period, ends_at, limits: account.limits, used });
        }
        Ok(figures)
    }
}
