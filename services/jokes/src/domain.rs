//! What the service speaks of: a wish for a joke, a joke, a conversation. Every value is checked where it is made.

pub mod chat;
pub mod joke;
pub mod request;

pub use chat::Conversation;
pub use joke::{Joke, Sentiment, Told, Usage};
pub use request::{Audience, JokeRequest, Language, Length, Params, Style, Temperature, Topic};
