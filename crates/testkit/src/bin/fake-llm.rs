//! The scripted language model as a program, for demonstrations and load tests: it prints its base URL and serves until
//! it is killed.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use mesh_testkit::{Asked, FakeLlm, Reply, Result};

const CHAT: &str = "I would tell you a joke about gRPC, but you might not stream. ";
const JOKE: &str =
    r#"{"setup":"Why did the packet cross the mesh?","punchline":"It had a valid certificate."}"#;

/// Speaks the protocol of OpenAI's chat completions, and says what it is told to say.
#[derive(Parser)]
#[command(name = "fake-llm")]
struct Options {
    /// Where to listen; port 0 is a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Milliseconds before the first token.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Milliseconds between tokens.
    #[arg(long, default_value_t = 0)]
    pace_ms: u64,
    /// The text is repeated to so many tokens; without it, it is said once.
    #[arg(long)]
    tokens: Option<usize>,
    /// Bytes of a token.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    chunk: u16,
    /// What it says. Without it: a joke as JSON if a schema is asked for, and else a sentence.
    #[arg(long)]
    text: Option<String>,
    /// It says what it was told, the system's part too.
    #[arg(long, conflicts_with_all = ["text", "tokens"])]
    obedient: bool,
}

impl Options {
    fn reply(&self, asked: &Asked) -> Reply {
        let chunk = usize::from(self.chunk);
        let reply = if self.obedient { Reply::echo() } else { Reply::text(self.said(asked, chunk)) };
        reply
            .every(chunk)
            .before_first(Duration::from_millis(self.delay_ms))
            .between(Duration::from_millis(self.pace_ms))
    }

    fn said(&self, asked: &Asked, chunk: usize) -> String {
        let usual = if asked.body.get("response_format").is_some() { JOKE } else { CHAT };
        let text = self.text.as_deref().unwrap_or(usual);
        match self.tokens {
            None => text.to_owned(),
            Some(tokens) => {
                let bytes = tokens.saturating_mul(chunk);
                let mut said = text.repeat(bytes / text.len().max(1) + 1);
                said.truncate((0..=bytes).rev().find(|end| said.is_char_boundary(*end)).unwrap_or_default());
                said
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let server = FakeLlm::listen(options.listen).await?;
    writeln!(std::io::stdout(), "{}", server.base_url())?;
    server.respond_with(Arc::new(move |asked: &Asked| options.reply(asked)));
    std::future::pending().await
}
