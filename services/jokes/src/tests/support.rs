//! The fixture: the service over a real database, and a model that does as it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream;
use mesh_store::{Db, StoreConfig, execute};
use mesh_testkit::{Postgres, SqliteFile};

use crate::budget::{Budgets, Limits, Price};
use crate::cache::{Cache, Mode};
use crate::domain::{Joke, JokeRequest, Params, Sentiment, Topic};
use crate::error::Result;
use crate::guard::{GuardPolicy, Guards};
use crate::models::{Entry, Models};
use crate::ports::{
    Answer, Clock, Feelings, Finish, JokeModel, ModelError, ModelInfo, Piece, Prompt, Tokens,
};
use crate::service::{Caller, Event, Events, Jokes, Order, Parts, Rules};
use crate::store::Store;

/// A joke as models say it.
pub(crate) const GOOD: &str =
    r#"{"setup": "Why did the cat sit on the computer?", "punchline": "To watch the mouse."}"#;
/// A tenth of a cent for a thousand tokens.
pub(crate) const PRICE: Price = Price { input_nanos: 1_000, output_nanos: 2_000 };
/// What the model says that a call took.
pub(crate) const TOKENS: Tokens = Tokens { input: 100, output: 20 };

/// How long it takes to know how a joke feels.
pub(crate) const FEELS: Duration = Duration::from_millis(10);

/// What a scripted model does when it is asked once.
#[derive(Clone)]
pub(crate) enum Act {
    /// Says this, in pieces of so many characters, and ends.
    Say(String, usize),
    /// As it says, without counting what was used: it says nothing of it, or this.
    SayUncounted(String, Option<Tokens>),
    /// Fails before the first word.
    Fail(fn() -> ModelError),
    /// Says this and breaks off.
    BreakOff(String),
    /// Says this and never more.
    Hang(String),
    /// Never says a word.
    Silent,
    /// Talks without end.
    Endless,
    /// Says everything that it was told.
    Echo,
}

/// A model that does as it is told, then the last thing again and again.
pub(crate) struct Scripted {
    info: ModelInfo,
    acts: Mutex<VecDeque<Act>>,
    pub(crate) asked: Mutex<Vec<Prompt>>,
    /// Answers that somebody still listens to.
    pub(crate) under_way: Arc<AtomicUsize>,
}

/// Counts an answer for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scripted {
    pub(crate) fn new(name: &str, acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        let info = ModelInfo { name: name.to_owned(), provider: "test".to_owned() };
        let acts = Mutex::new(acts.into_iter().collect());
        Arc::new(Self { info, acts, asked: Mutex::default(), under_way: Arc::default() })
    }

    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn next(&self) -> Act {
        let mut acts = self.acts.lock().unwrap();
        if acts.len() > 1 { acts.pop_front().unwrap() } else { acts.front().unwrap().clone() }
    }
}

#[async_trait]
impl JokeModel for Scripted {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn answer(&self, prompt: &Prompt) -> std::result::Result<Answer, ModelError> {
        self.asked.lock().unwrap().push(prompt.clone());
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(Arc::clone(&self.under_way));
        let text = |text: &str| Ok(Piece::Text(text.to_owned()));
        let end = |tokens| Ok(Piece::End { finish: Finish::Stop, tokens });
        let pieces: Answer = match self.next() {
            Act::Say(said, size) => {
                let chars: Vec<char> = said.chars().collect();
                let mut pieces: Vec<_> =
                    chars.chunks(size).map(|c| text(&c.iter().collect::<String>())).collect();
                pieces.push(end(Some(TOKENS)));
                Box::pin(stream::iter(pieces))
            }
            Act::SayUncounted(said, tokens) => Box::pin(stream::iter([text(&said), end(tokens)])),
            Act::Fail(error) => return Err(error()),
            Act::BreakOff(said) => {
                Box::pin(stream::iter([text(&said), Err(ModelError::Unavailable("broken off".into()))]))
            }
            Act::Hang(said) => {
                use futures::StreamExt as _;
                Box::pin(stream::iter([text(&said)]).chain(stream::pending()))
            }
            Act::Silent => {
                let _alive = alive;
                std::future::pending::<()>().await;
                unreachable!()
            }
            Act::Endless => Box::pin(stream::repeat_with(move || text("And then some more. "))),
            Act::Echo => {
                let turns: Vec<_> = prompt.turns.iter().map(|turn| turn.text.as_str()).collect();
                let all = format!("{}\n{}", prompt.system, turns.join("\n"));
                let said = match prompt.schema {
                    Some(_) => serde_json::json!({"setup": all, "punchline": "That is all."}).to_string(),
                    None => all,
                };
                Box::pin(stream::iter([text(&said), end(Some(TOKENS))]))
            }
        };
        Ok(Box::pin(futures::StreamExt::map(pieces, move |piece| {
            let _ = &alive;
            piece
        })))
    }
}

/// A clock that stands still.
pub(crate) struct TestClock(Mutex<DateTime<Utc>>);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

impl TestClock {
    pub(crate) fn forward(&self, by: chrono::Duration) {
        *self.0.lock().unwrap() += by;
    }
}

/// Everything feels good, unless nobody knows.
struct Feeling(bool);

#[async_trait]
impl Feelings for Feeling {
    async fn of(&self, _: &str) -> Option<Sentiment> {
        tokio::time::sleep(FEELS).await;
        self.0.then(|| Sentiment { label: "positive".to_owned(), score: 0.5 })
    }
}

/// A database on which services are made.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<TestClock>,
    _file: Option<SqliteFile>,
}

/// What a service of a test is made of.
pub(crate) struct Setup {
    pub(crate) models: Vec<Arc<Scripted>>,
    pub(crate) budgets: Budgets,
    pub(crate) cache: Mode,
    pub(crate) knows_feelings: bool,
    pub(crate) total: Duration,
}

impl Setup {
    /// A model, no limits, no cache.
    pub(crate) fn of(model: &Arc<Scripted>) -> Self {
        let total = Duration::from_secs(20);
        let models = vec![Arc::clone(model)];
        Self { models, budgets: Budgets::default(), cache: Mode::Off, knows_feelings: true, total }
    }

    pub(crate) fn user_day(mut self, limits: Limits) -> Self {
        self.budgets.user_day = limits;
        self
    }
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let file = SqliteFile::new().unwrap();
        Self::start(&file.url(), Some(file)).await
    }

    /// Fails when Postgres is not installed: both databases are always tested.
    pub(crate) async fn postgres() -> Self {
        let cluster = Postgres::shared().await.expect("these tests need the programs of a Postgres server");
        let database = cluster.database().await.unwrap();
        Self::start(database.url(), None).await
    }

    async fn start(url: &str, file: Option<SqliteFile>) -> Self {
        let mut config = StoreConfig::new(url.parse().unwrap());
        // The machine that tests may be busy; what happens when there is no connection in time is tested with the store.
        config.acquire_timeout = Duration::from_secs(20);
        config.lock_timeout = Duration::from_secs(9);
        config.statement_timeout = Duration::from_secs(9);
        let store = Store::new(Db::connect(&config).await.unwrap());
        store.migrate().await.unwrap();
        let now = DateTime::from_timestamp(1_790_000_000, 123_456_000).unwrap();
        Self { store, clock: Arc::new(TestClock(Mutex::new(now))), _file: file }
    }

    /// Makes a joke one whose trace was recorded.
    pub(crate) async fn recorded(&self, id: &str) {
        let changed = execute!(
            self.store.db().write(),
            "UPDATE jokes",
            sqlx::query("UPDATE jokes SET trace_id = 'a' WHERE id = $1").bind(id)
        );
        assert_eq!(changed.unwrap(), 1);
    }

    pub(crate) async fn service(&self, setup: Setup) -> Arc<Jokes> {
        let root = self.store.db().root_key().await.unwrap();
        let fallback = setup.models.iter().skip(1).map(|model| model.info.name.clone()).collect();
        let entries = setup.models.into_iter().map(|model| Entry::new(model, PRICE)).collect();
        let parts = Parts {
            store: self.store.clone(),
            models: Models::new(entries, fallback),
            guards: Guards::new(&GuardPolicy::default()).unwrap(),
            cache: Cache::in_process(setup.cache, Duration::from_secs(60)),
            budgets: setup.budgets,
            feelings: Arc::new(Feeling(setup.knows_feelings)),
            clock: Arc::<TestClock>::clone(&self.clock),
            rules: Rules { total: setup.total, chat_tokens: 200, captures: false, scores: true },
        };
        Arc::new(Jokes::new(parts, &root))
    }
}

pub(crate) fn somebody(name: &str) -> Caller {
    Caller { user_id: name.to_owned(), credential: format!("session of {name}") }
}

pub(crate) fn wish(topic: &str) -> JokeRequest {
    JokeRequest { topic: Topic::parse(topic).unwrap(), params: Params::default() }
}

pub(crate) fn order(name: &str, streams: bool) -> Order {
    Order { caller: somebody(name), model: String::new(), deadline: None, streams }
}

/// What comes of a call, to its end.
pub(crate) async fn all(mut events: Events) -> (String, Result<Event>) {
    let mut text = String::new();
    loop {
        match events.recv().await.expect("a call has an end") {
            Ok(Event::Delta(delta)) => text.push_str(&delta),
            last => return (text, last),
        }
    }
}

/// A joke for somebody.
pub(crate) async fn joke(jokes: &Arc<Jokes>, name: &str, streams: bool) -> (String, Result<Joke>) {
    match jokes.make_joke(order(name, streams), wish("cats")) {
        Ok(events) => match all(events).await {
            (text, Ok(Event::Joke(joke))) => (text, Ok(*joke)),
            (_, Ok(other)) => panic!("no joke but {other:?}"),
            (text, Err(error)) => (text, Err(error)),
        },
        Err(error) => (String::new(), Err(error)),
    }
}
