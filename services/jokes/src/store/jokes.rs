//! Jokes. Every statement names the user: nobody reads or changes another's.

use chrono::{DateTime, Utc};
use mesh_store::page::Position;
use mesh_store::{System, execute, on, retry};
use sqlx::FromRow;
use sqlx::types::Json;

use super::ledger::{Rest, bind_rest, give_back};
use super::{Result, Store};
use crate::domain::{Joke, Params, Sentiment, Style, Told, Usage};

/// A joke as it lies in the database.
#[derive(FromRow)]
struct Row {
    id: String,
    user_id: String,
    setup: String,
    punchline: String,
    topic: String,
    params: Json<Params>,
    model: String,
    provider: String,
    latency_ms: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_nanos: i64,
    sentiment: Option<String>,
    sentiment_score: Option<f64>,
    rating: Option<i64>,
    cached: bool,
    fallback: bool,
    trace_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) style: Option<Style>,
    pub(crate) model: Option<String>,
}

/// How a joke was liked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Feedback {
    /// 1 or -1.
    pub(crate) rating: i32,
    pub(crate) comment: Option<String>,
}

/// When a joke was rated, and when that is to be told, if it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rated {
    pub(crate) at: DateTime<Utc>,
    pub(crate) due: Option<DateTime<Utc>>,
}

/// All that a joke has, `FROM` the table, and what follows.
macro_rules! select_joke {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, setup, punchline, topic, params, model, provider, latency_ms, input_tokens, output_tokens, \
             cost_nanos, sentiment, sentiment_score, rating, cached, fallback, trace_id, created_at FROM jokes ",
            $rest
        )
    };
}

/// The statement that keeps a joke.
macro_rules! insert_joke {
    () => {
        "INSERT INTO jokes (id, user_id, setup, punchline, topic, style, params, model, provider, latency_ms, input_tokens, \
         output_tokens, cost_nanos, sentiment, sentiment_score, cached, fallback, trace_id, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
    };
}

/// Keeps a joke and gives back what it left of its reservation. Of Postgres only.
const KEEP: &str = concat!(
    "WITH bill AS (",
    give_back!(
        "($23, $24, $20, $21, $22), ($25, $26, $20, $21, $22), ($27, $28, $20, $21, $22), ($29, $30, $20, $21, $22)"
    ),
    ") ",
    insert_joke!()
);

impl Store {
    /// A joke of a user.
    pub(crate) async fn joke(&self, id: &str, user_id: &str) -> Result<Option<Joke>> {
        let row: Option<Row> = on!(self.db.read(), "SELECT jokes", |e| {
            sqlx::query_as(select_joke!("WHERE id = $1 AND user_id = $2"))
                .bind(id)
                .bind(user_id)
                .fetch_optional(e)
                .await
        })?;
        Ok(row.map(Joke::from))
    }

    /// A page of a user's jokes, newest first.
    pub(crate) async fn jokes(
        &self,
        user_id: &str,
        filter: &Filter,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Joke>> {
        let rows: Vec<Row> = on!(self.db.read(), "SELECT jokes", |e| {
            sqlx::query_as(select_joke!(
                "WHERE user_id = $1 AND (created_at, id) < ($2, $3) AND ($4 = '' OR style = $4)
                 AND ($5 = '' OR model = $5) ORDER BY created_at DESC, id DESC LIMIT $6"
            ))
            .bind(user_id)
            .bind(after.created_at)
            .bind(&after.id)
            .bind(filter.style.map_or("", Style::name))
            .bind(filter.model.as_deref().unwrap_or_default())
            .bind(limit)
            .fetch_all(e)
            .await
        })?;
        Ok(rows.into_iter().map(Joke::from).collect())
    }

    /// Deletes a joke of a user; whether there was one.
    pub(crate) async fn delete_joke(&self, id: &str, user_id: &str) -> Result<bool> {
        execute!(
            self.db.write(),
            "DELETE jokes",
            sqlx::query("DELETE FROM jokes WHERE id = $1 AND user_id = $2").bind(id).bind(user_id)
        )
        .map(|rows| rows == 1)
    }

    /// Rates a joke of a user; whether there is one. Of a joke without a trace nothing is told.
    pub(crate) async fn rate_joke(
        &self,
        id: &str,
        user_id: &str,
        feedback: &Feedback,
        rated: Rated,
    ) -> Result<bool> {
        execute!(
            self.db.write(),
            "UPDATE jokes",
            sqlx::query(
                "UPDATE jokes SET rating = $3, rating_comment = $4, rated_at = $5,
                    score_due_at = CASE WHEN trace_id IS NULL THEN NULL ELSE $6 END
                 WHERE id = $1 AND user_id = $2"
            )
            .bind(id)
            .bind(user_id)
            .bind(i64::from(feedback.rating))
            .bind(&feedback.comment)
            .bind(rated.at)
            .bind(rated.due)
        )
        .map(|rows| rows == 1)
    }

    /// Keeps a joke, and gives back the rest of its reservation. SQLite, which knows no statement for both, does the latter first.
    pub(crate) async fn keep(&self, joke: &Joke, rest: Option<Rest<'_>>) -> Result<()> {
        match (self.db.system(), rest) {
            (System::Postgres, Some(rest)) => retry(|| self.insert_joke(KEEP, joke, Some(rest))).await,
            (System::Sqlite, Some(rest)) => {
                retry(|| self.give_back(rest)).await?;
                self.insert_joke(insert_joke!(), joke, None).await
            }
            (_, None) => self.insert_joke(insert_joke!(), joke, None).await,
        }
    }

    async fn insert_joke(&self, sql: &'static str, joke: &Joke, rest: Option<Rest<'_>>) -> Result<()> {
        let sentiment = joke.sentiment.as_ref();
        on!(self.db.write(), "INSERT jokes", |e| {
            let query = sqlx::query(sql)
                .bind(&joke.id)
                .bind(&joke.user_id)
                .bind(&joke.told.setup)
                .bind(&joke.told.punchline)
                .bind(&joke.topic)
                .bind(joke.params.style.name())
                .bind(Json(&joke.params))
                .bind(&joke.model)
                .bind(&joke.provider)
                .bind(i64::from(joke.latency_ms))
                .bind(i64::from(joke.usage.input_tokens))
                .bind(i64::from(joke.usage.output_tokens))
                .bind(joke.usage.cost_nanos)
                .bind(sentiment.map(|s| s.label.as_str()))
                .bind(sentiment.map(|s| s.score))
                .bind(joke.cached)
                .bind(joke.fallback)
                .bind(&joke.trace_id)
                .bind(joke.created_at);
            let query = match rest {
                Some(rest) => bind_rest!(query, rest),
                None => query,
            };
            query.execute(e).await.map(|_| ())
        })
    }
}

impl From<Row> for Joke {
    fn from(row: Row) -> Self {
        let small = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            id: row.id,
            user_id: row.user_id,
            told: Told { setup: row.setup, punchline: row.punchline },
            topic: row.topic,
            params: row.params.0,
            model: row.model,
            provider: row.provider,
            latency_ms: small(row.latency_ms),
            usage: Usage {
                input_tokens: small(row.input_tokens),
                output_tokens: small(row.output_tokens),
                cost_nanos: row.cost_nanos,
            },
            sentiment: row
                .sentiment
                .map(|label| Sentiment { label, score: row.sentiment_score.unwrap_or_default() }),
            rating: row.rating.and_then(|rating| i32::try_from(rating).ok()),
            cached: row.cached,
            fallback: row.fallback,
            created_at: row.created_at,
            trace_id: row.trace_id,
        }
    }
}
