//! The files of recordings: their names, their form, their bounds.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ports::{Finish, ModelError, Piece, Prompt, Role, Tokens};

/// No recording is longer, in bytes.
const MOST: u64 = 1024 * 1024;
/// A run of so many hexadecimal digits in the instructions is a canary.
const CANARY: usize = 32;

/// What stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    pieces: Vec<Recorded>,
}

/// A piece as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Recorded {
    Text(String),
    End { finish: Ending, input_tokens: Option<u32>, output_tokens: Option<u32> },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Stop,
    Length,
    Filtered,
}

/// Names the recording of a prompt: the SHA-256, in hexadecimal digits, of all of it but its task, which is only told to
/// models that follow rules. Every run of 32 or more hexadecimal digits in the instructions counts as one and the same.
#[must_use]
pub fn key(prompt: &Prompt) -> String {
    let role = |role| match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let turns: Vec<_> = prompt.turns.iter().map(|turn| json!([role(turn.role), turn.text])).collect();
    let all = json!([
        without_canaries(&prompt.system),
        turns,
        prompt.schema.map(sorted),
        prompt.max_output_tokens,
        prompt.temperature,
        prompt.seed,
    ]);
    let hash = digest::digest(&digest::SHA256, all.to_string().as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds a piece to a recording.
pub(super) fn keep(pieces: &mut Vec<Recorded>, piece: &Piece) {
    pieces.push(match piece {
        Piece::Text(text) => Recorded::Text(text.clone()),
        Piece::End { finish, tokens } => Recorded::End {
            finish: match finish {
                Finish::Stop => Ending::Stop,
                Finish::Length => Ending::Length,
                Finish::Filtered => Ending::Filtered,
            },
            input_tokens: tokens.map(|tokens| tokens.input),
            output_tokens: tokens.map(|tokens| tokens.output),
        },
    });
}

/// Writes a recording: another reader sees all of it or nothing.
///
/// # Errors
/// A text that names the file.
pub(super) async fn write(folder: &Path, key: &str, pieces: Vec<Recorded>) -> Result<(), String> {
    let path = path(folder, key);
    let part = folder.join(format!(".{key}.{}.part", Uuid::new_v4().simple()));
    let named = path.display().to_string();
    let written = blocking(move || {
        let text = serde_json::to_vec_pretty(&Recording { pieces })?;
        if u64::try_from(text.len()).is_ok_and(|length| length > MOST) {
            return Err(io::Error::other("it is too long"));
        }
        let moved = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, path));
        moved.inspect_err(|_| {
            // The first error is the one that counts.
            let _ = std::fs::remove_file(&part);
        })
    });
    written.await.map_err(|error| format!("{named}: {error}"))
}

/// Reads a recording.
///
/// # Errors
/// [`ModelError::Rejected`] when there is none, and others that name the file.
pub(super) async fn read(folder: &Path, key: &str) -> Result<Vec<Piece>, ModelError> {
    let path = path(folder, key);
    let named = path.display().to_string();
    let wrong = |what: &str| ModelError::Malformed(format!("{named}: {what}"));
    let read = blocking(move || {
        let mut text = Vec::new();
        std::fs::File::open(path)?.take(MOST + 1).read_to_end(&mut text)?;
        Ok(text)
    });
    let text = match read.await {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ModelError::Rejected("not recorded".to_owned()));
        }
        Err(error) => return Err(ModelError::Unavailable(format!("{named}: {error}"))),
    };
    if u64::try_from(text.len()).is_ok_and(|length| length > MOST) {
        return Err(wrong("it is too long"));
    }
    let recording: Recording = serde_json::from_slice(&text)
        .map_err(|error| wrong(&format!("line {}, column {}", error.line(), error.column())))?;
    let pieces: Vec<Piece> = recording.pieces.into_iter().map(piece).collect();
    let ends = |piece: &Piece| matches!(piece, Piece::End { .. });
    match pieces.split_last() {
        Some((last, others)) if ends(last) && !others.iter().any(ends) => Ok(pieces),
        _ => Err(wrong("it does not end with its only end")),
    }
}

fn piece(recorded: Recorded) -> Piece {
    match recorded {
        Recorded::Text(text) => Piece::Text(text),
        Recorded::End { finish, input_tokens, output_tokens } => Piece::End {
            finish: match finish {
                Ending::Stop => Finish::Stop,
                Ending::Length => Finish::Length,
                Ending::Filtered => Finish::Filtered,
            },
            tokens: input_tokens.zip(output_tokens).map(|(input, output)| Tokens { input, output }),
        },
    }
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.json"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn without_canaries(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
        let (run, after) = from.split_at(length);
        all.push_str(before);
        all.push_str(if length < CANARY { run } else { "*" });
        rest = after;
    }
    all + rest
}

/// The same value has the same text, however its maps are kept.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.into_iter().collect()
        }
        plain => plain.clone(),
    }
}
