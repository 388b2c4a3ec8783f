//! The embedded engine as a model: it speaks JSON and pieces as any other, so that there is one way for all.

use async_trait::async_trait;
use futures::stream;

use crate::budget;
use crate::ports::{Answer, Finish, JokeModel, ModelError, ModelInfo, Piece, Prompt, Task, Tokens};
use crate::puns;

/// Its name.
pub(crate) const NAME: &str = "puns";

/// The only language that it speaks.
const LANGUAGE: &str = "en";

/// The model.
pub(crate) struct Embedded(ModelInfo);

impl Embedded {
    pub(crate) fn new() -> Self {
        Self(ModelInfo { name: NAME.to_owned(), provider: "quipu".to_owned() })
    }
}

#[async_trait]
impl JokeModel for Embedded {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    async fn answer(&self, prompt: &Prompt) -> Result<Answer, ModelError> {
        let seed = prompt.seed.map_or_else(rand::random, u64::from);
        let text = match &prompt.task {
            Task::Joke(request) => {
                let language = request.params.language.as_str().to_ascii_lowercase();
                if language != LANGUAGE && !language.starts_with("en-") {
                    return Err(ModelError::Unable("params.language", "must be English for this model"));
                }
                serde_json::to_string(&puns::tell(request, seed))
                    .map_err(|e| ModelError::Malformed(e.to_string()))?
            }
            Task::Chat => puns::reply(prompt.turns.last().map_or("", |turn| &turn.text), seed),
        };
        let tokens = Some(Tokens { input: budget::count_prompt(prompt), output: budget::count(&text) });
        let pieces = [Piece::Text(text), Piece::End { finish: Finish::Stop, tokens }];
        Ok(Box::pin(stream::iter(pieces.map(Ok))))
    }
}
