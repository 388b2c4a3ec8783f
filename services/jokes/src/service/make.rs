//! Making a joke or an answer, from the wish to what is kept.

use std::sync::Arc;
use std::time::Duration;

use chrono::SubsecRound as _;
use mesh_resilience::Deadline;
use mesh_telemetry::propagation;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::ask::Until;
use super::say::{Manner, Said};
use super::{Caller, ChatEnd, Event, Jokes, prompt, trace};
use crate::cache::Cached;
use crate::domain::{Conversation, Joke, JokeRequest, Told, Usage};
use crate::error::{JokesError, Result};
use crate::metrics;
use crate::models::Entry;
use crate::ports::Prompt;
use crate::structured::{self, Unfit};

/// What comes of a call, as it comes; whoever drops it has left.
pub(crate) type Events = mpsc::Receiver<Result<Event>>;

/// Events that wait for a slow reader; then the provider waits too.
const WAITING: usize = 16;
/// How long the last word waits for a slow reader.
const LAST_WORD: Duration = Duration::from_secs(5);
/// What a caller's deadline leaves for the end: the joke is kept and sent.
const FOR_THE_END: Duration = Duration::from_millis(500);

/// What is asked for.
pub(crate) struct Order {
    pub(crate) caller: Caller,
    /// Name of a model, or empty.
    pub(crate) model: String,
    pub(crate) deadline: Option<Deadline>,
    /// Whether the caller reads along.
    pub(crate) streams: bool,
}

/// A joke that is asked for, and its making.
struct Wish {
    request: JokeRequest,
    /// Of the joke, and of its trace in Opik.
    id: String,
    begun: Instant,
}

/// A joke that was told, by whom, and what it cost.
struct Made {
    told: Told,
    model: String,
    provider: String,
    /// None from the cache.
    said: Option<Said>,
}

impl Jokes {
    /// Begins a joke. What is wrong with the wish is said at once; everything else comes as events.
    pub(crate) fn make_joke(self: &Arc<Self>, order: Order, request: JokeRequest) -> Result<Events> {
        let audience = ("params.audience", request.params.audience.as_str());
        let fields = [("topic", request.topic.as_str()), audience];
        let (chain, name) = self.admit(&order, &fields)?;
        let (until, events) = self.until(&order);
        let jokes = Arc::clone(self);
        mesh_server::go_on(async move {
            let wish = Wish { request, id: new_id(), begun: Instant::now() };
            let span = trace::answer("joke", &wish.id);
            let joke = jokes.joke(&order, &chain, &wish, &until).instrument(span.clone()).await;
            trace::end(&span, &joke);
            if jokes.rules.captures {
                trace::told(&span, &wish.request, &joke);
            }
            metrics::answered(&name, &joke);
            last_word(&until, joke.map(|joke| Event::Joke(Box::new(joke)))).await;
        });
        Ok(events)
    }

    /// Begins an answer, as [`Self::make_joke`] does a joke.
    pub(crate) fn chat(self: &Arc<Self>, order: Order, conversation: &Conversation) -> Result<Events> {
        let fields: Vec<_> = conversation
            .turns()
            .iter()
            .enumerate()
            .map(|(n, turn)| (format!("messages[{n}].content"), &turn.text))
            .collect();
        let fields: Vec<_> = fields.iter().map(|(field, text)| (field.as_str(), text.as_str())).collect();
        let (chain, name) = self.admit(&order, &fields)?;
        let prompt = prompt::chat(conversation, self.rules.chat_tokens, &self.canary);
        let (until, events) = self.until(&order);
        let jokes = Arc::clone(self);
        mesh_server::go_on(async move {
            let span = trace::answer("chat", &new_id());
            let end = jokes.answer(&order, &chain, &prompt, &until).instrument(span.clone()).await;
            trace::end(&span, &end);
            metrics::answered(&name, &end);
            last_word(&until, end.map(Event::ChatEnd)).await;
        });
        Ok(events)
    }

    /// The models that may answer, and the name of the first, of which the call is counted; or what the guards refuse.
    fn admit(&self, order: &Order, fields: &[(&str, &str)]) -> Result<(Vec<Arc<Entry>>, String)> {
        let chain = self.models.chain(&order.model)?;
        let name = chain.first().map(|entry| entry.info().name.clone()).unwrap_or_default();
        for (field, text) in fields {
            let refused = |refusal| JokesError::RefusedInput { field: (*field).to_owned(), refusal };
            let guarded = self.guards.input(text).map_err(refused);
            if guarded.is_err() {
                metrics::answered(&name, &guarded);
            }
            guarded?;
        }
        Ok((chain, name))
    }

    fn until(&self, order: &Order) -> (Until, Events) {
        let (events, receiver) = mpsc::channel(WAITING);
        let own = Instant::now() + self.rules.total;
        let callers =
            order.deadline.map(|deadline| deadline.instant() - FOR_THE_END.min(deadline.remaining() / 2));
        (Until { end: callers.map_or(own, |end| end.min(own)), events }, receiver)
    }

    async fn answer(
        &self,
        order: &Order,
        chain: &[Arc<Entry>],
        prompt: &Prompt,
        until: &Until,
    ) -> Result<ChatEnd> {
        let manner = Manner { is_joke: false, streams: true };
        let asked = self.ask(&order.caller, chain, prompt, until).await?;
        let said = self.say(asked, prompt, &manner, until).await?;
        self.settle(&said.reservation, said.used).await?;
        Ok(ChatEnd { model: said.entry.info().name.clone(), usage: said.usage, truncated: said.truncated })
    }

    async fn joke(&self, order: &Order, chain: &[Arc<Entry>], wish: &Wish, until: &Until) -> Result<Joke> {
        let model = chain.first().map(|entry| entry.info().name.as_str()).unwrap_or_default();
        let key = self.cache.key(&order.caller.user_id, model, &wish.request, self.guards.version());
        let made = match self.cache.get(&key).await {
            Some(Cached { told, model, provider }) => {
                if order.streams {
                    until.send(Event::Delta(structured::spoken(&told))).await?;
                }
                Made { told, model, provider, said: None }
            }
            None => self.tell(order, chain, &prompt::joke(&wish.request, &self.canary), until).await?,
        };
        let joke = self.keep(order, wish, &made).await?;
        if made.said.as_ref().is_some_and(|said| !said.fallback) {
            let Made { told, model, provider, .. } = made;
            self.cache.put(&key, &Cached { told, model, provider }).await;
        }
        Ok(joke)
    }

    /// Has a joke told. What is no joke is asked for once more, if the caller has seen nothing of it.
    async fn tell(
        &self,
        order: &Order,
        chain: &[Arc<Entry>],
        prompt: &Prompt,
        until: &Until,
    ) -> Result<Made> {
        let manner = Manner { is_joke: true, streams: order.streams };
        let asked = self.ask(&order.caller, chain, prompt, until).await?;
        let said = self.say(asked, prompt, &manner, until).await?;
        let fault = match self.read(&said) {
            Ok(told) => return Ok(Made::by(told, said)),
            Err(fault) => fault,
        };
        self.settle(&said.reservation, said.used).await?;
        let fault = match fault {
            JokesError::Unfit(fault) if !said.is_seen => fault,
            fault => return Err(fault),
        };
        let again = prompt::repair(prompt, &said.text, &fault.0);
        let asked = self.ask(&order.caller, &[Arc::clone(&said.entry)], &again, until).await?;
        let fallback = said.fallback;
        let said = Said { fallback, ..self.say(asked, &again, &manner, until).await? };
        match self.read(&said) {
            Ok(told) => Ok(Made::by(told, said)),
            Err(fault) => {
                self.settle(&said.reservation, said.used).await?;
                Err(fault)
            }
        }
    }

    /// The joke in an answer. Its text has passed the guards as it came; what is read now is judged as it will be shown.
    fn read(&self, said: &Said) -> Result<Told> {
        if said.truncated {
            return Err(JokesError::Unfit(Unfit("it was cut at its longest".to_owned())));
        }
        let told = structured::parse(&said.text).map_err(JokesError::Unfit)?;
        let mut window = self.guards.window("");
        let judged = window.push(&structured::spoken(&told)).and_then(|_| window.finish());
        judged.map_err(JokesError::RefusedAnswer).map(|_| told)
    }

    /// Keeps a joke and bills it.
    async fn keep(&self, order: &Order, wish: &Wish, made: &Made) -> Result<Joke> {
        let said = made.said.as_ref();
        let sentiment = self.feelings.of(&structured::spoken(&made.told)).await;
        let joke = Joke {
            id: wish.id.clone(),
            user_id: order.caller.user_id.clone(),
            told: made.told.clone(),
            topic: wish.request.topic.as_str().to_owned(),
            params: wish.request.params.clone(),
            model: made.model.clone(),
            provider: made.provider.clone(),
            latency_ms: u32::try_from(wish.begun.elapsed().as_millis()).unwrap_or(u32::MAX),
            usage: said.map_or_else(Usage::default, |said| said.usage),
            sentiment,
            rating: None,
            cached: said.is_none(),
            fallback: said.is_some_and(|said| said.fallback),
            created_at: self.clock.now().trunc_subsecs(6),
            trace_id: propagation::trace_id(),
        };
        self.store.keep(&joke, said.map(|said| said.reservation.rest(said.used))).await?;
        Ok(joke)
    }
}

impl Made {
    fn by(told: Told, said: Said) -> Self {
        let info = said.entry.info().clone();
        Self { told, model: info.name, provider: info.provider, said: Some(said) }
    }
}

/// An id that sorts by its time.
fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// The last word of a call, if somebody still listens.
async fn last_word(until: &Until, word: Result<Event>) {
    // Whoever left does not want to know.
    let _ = until.events.send_timeout(word, LAST_WORD).await;
}
