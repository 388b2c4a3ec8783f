//! What jokes and chats cost, and what may be spent, as JSON.

use mesh_error::Error;
use mesh_proto::jokes::v1;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{incomplete, time};

/// The largest number that every reader of JSON keeps exactly.
const EXACT: i64 = (1 << 53) - 1;

/// A price of one token in billionths of a dollar is a thousandth of that of a million tokens in dollars.
const NANOS_PER_MILLION: f64 = 1e3;

/// Billionths in a dollar.
const NANOS: f64 = 1e9;

/// What a call used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Tokens of the prompt.
    input_tokens: u32,
    /// Tokens of the answer, those of hidden reasoning included.
    output_tokens: u32,
    /// In US dollars.
    cost: f64,
}

/// A model that can be asked.
#[derive(Serialize, ToSchema)]
pub(crate) struct JokeModel {
    /// Unique.
    name: String,
    /// Who runs it.
    provider: String,
    /// Whether it answers when a request names none.
    default: bool,
    /// What it costs.
    prices: Prices,
}

/// In US dollars.
#[derive(Serialize, ToSchema)]
pub(crate) struct Prices {
    /// For a million tokens of prompts.
    input_per_million: f64,
    /// For a million tokens of answers.
    output_per_million: f64,
}

/// The models that can be asked.
#[derive(Serialize, ToSchema)]
pub(crate) struct JokeModels {
    /// The default one first.
    pub(crate) models: Vec<JokeModel>,
}

/// What the caller may use, and has used.
#[derive(Serialize, ToSchema)]
pub(crate) struct Budgets {
    /// Of the user and of the credential that was used, by day and by month.
    pub(crate) budgets: Vec<Budget>,
}

/// Of one day or month (UTC).
#[derive(Serialize, ToSchema)]
pub(crate) struct Budget {
    /// "user" or "credential".
    scope: String,
    /// "day" or "month".
    period: String,
    /// When the count begins anew.
    #[schema(format = "date-time")]
    ends_at: String,
    /// Calls to providers.
    calls: Count,
    /// Tokens, in and out.
    tokens: Count,
    /// US dollars.
    cost: Money,
}

/// A figure of a budget that is counted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Count {
    /// What has been used or is reserved for calls under way.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    used: i64,
    /// What may be used; null when there is no limit.
    #[schema(required, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    limit: Option<i64>,
}

/// A figure of a budget in US dollars.
#[derive(Serialize, ToSchema)]
pub(crate) struct Money {
    /// What has been used or is reserved for calls under way.
    used: f64,
    /// What may be used; null when there is no limit.
    #[schema(required)]
    limit: Option<f64>,
}

/// Dollars of billionths: sixteen digits of money are enough.
fn dollars(nanos: i64) -> f64 {
    nanos as f64 / NANOS
}

impl From<v1::Usage> for Usage {
    fn from(usage: v1::Usage) -> Self {
        let v1::Usage { input_tokens, output_tokens, cost_nanos } = usage;
        Self { input_tokens, output_tokens, cost: dollars(cost_nanos) }
    }
}

impl From<v1::Model> for JokeModel {
    fn from(model: v1::Model) -> Self {
        let price = |nanos: i64| nanos as f64 / NANOS_PER_MILLION;
        let prices = Prices {
            input_per_million: price(model.input_price_nanos),
            output_per_million: price(model.output_price_nanos),
        };
        Self { name: model.name, provider: model.provider, default: model.default, prices }
    }
}

impl TryFrom<v1::GetUsageResponse> for Budgets {
    type Error = Error;

    fn try_from(usage: v1::GetUsageResponse) -> Result<Self, Error> {
        let budgets = usage.budgets.into_iter().map(Budget::try_from).collect::<Result<_, _>>()?;
        Ok(Self { budgets })
    }
}

impl TryFrom<v1::Budget> for Budget {
    type Error = Error;

    fn try_from(budget: v1::Budget) -> Result<Self, Error> {
        let count = |spent: Option<v1::Spent>| {
            let spent = spent.unwrap_or_default();
            Count { used: spent.used.min(EXACT), limit: spent.limit.map(|limit| limit.min(EXACT)) }
        };
        let cost = budget.cost_nanos.unwrap_or_default();
        Ok(Self {
            scope: budget.scope,
            period: budget.period,
            ends_at: time(&budget.ends_at.ok_or_else(|| incomplete("end"))?),
            calls: count(budget.calls),
            tokens: count(budget.tokens),
            cost: Money { used: dollars(cost.used), limit: cost.limit.map(dollars) },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_and_costs_are_dollars() {
        let model = v1::Model { input_price_nanos: 150, output_price_nanos: 600, ..v1::Model::default() };
        let prices = serde_json::to_value(JokeModel::from(model)).unwrap()["prices"].clone();
        assert_eq!(prices, json!({"input_per_million": 0.15, "output_per_million": 0.6}));
        assert_eq!(dollars(1_234_567), 0.001_234_567);
    }
}
