use std::sync::Mutex;

use super::*;
use crate::ports::{Finish, Role, Task, Tokens, Turn};

/// Says what it is told, once each.
struct Parrot(ModelInfo, Mutex<Vec<Vec<Result<Piece, ModelError>>>>);

#[async_trait]
impl JokeModel for Parrot {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    async fn answer(&self, _: &Prompt) -> Result<Answer, ModelError> {
        match self.1.lock().unwrap().pop() {
            Some(pieces) => Ok(stream::iter(pieces).boxed()),
            None => Err(ModelError::Timeout("total")),
        }
    }
}

fn info() -> ModelInfo {
    ModelInfo { name: "ours".to_owned(), provider: "quipu".to_owned() }
}

fn prompt(text: &str) -> Prompt {
    Prompt {
        task: Task::Chat,
        system: "Be funny.".to_owned(),
        turns: vec![Turn { role: Role::User, text: text.to_owned() }],
        schema: None,
        max_output_tokens: 100,
        temperature: None,
        seed: None,
    }
}

fn pieces(tokens: Option<Tokens>) -> Vec<Piece> {
    let text = |text: &str| Piece::Text(text.to_owned());
    vec![text("zß"), text(" "), text("\"😀\n"), Piece::End { finish: Finish::Length, tokens }]
}

/// A recorder of these answers, and its folder.
fn recorder(answers: Vec<Vec<Result<Piece, ModelError>>>) -> (Recorder, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let parrot = Parrot(info(), Mutex::new(answers));
    (Recorder::new(Arc::new(parrot), folder.path().join("new/folder")).unwrap(), folder)
}

async fn hear(model: &dyn JokeModel, prompt: &Prompt) -> Vec<Result<Piece, String>> {
    let answer = model.answer(prompt).await.unwrap();
    answer.map(|piece| piece.map_err(|error| error.to_string())).collect().await
}

fn files(recorder: &Recorder) -> Vec<String> {
    let files = std::fs::read_dir(recorder.folder.as_path()).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn what_was_recorded_is_played_back() {
    for tokens in [None, Some(Tokens { input: 3, output: 4 })] {
        let said = || pieces(tokens).into_iter().map(Ok).collect();
        let (recorder, _folder) = recorder(vec![said()]);
        assert_eq!(
            hear(&recorder, &prompt("a")).await,
            pieces(tokens).into_iter().map(Ok).collect::<Vec<_>>()
        );
        assert_eq!(files(&recorder), [format!("{}.json", key(&prompt("a")))]);
        let replay = Replay::new(info(), recorder.folder.to_path_buf()).unwrap();
        for _ in 0..2 {
            assert_eq!(
                hear(&replay, &prompt("a")).await,
                pieces(tokens).into_iter().map(Ok).collect::<Vec<_>>()
            );
        }
        assert_eq!((replay.info(), recorder.info()), (&info(), &info()));
        let unknown = replay.answer(&prompt("b")).await.err().unwrap();
        assert!(matches!(unknown, ModelError::Rejected(what) if what == "not recorded"));
    }
}

#[tokio::test]
async fn only_a_whole_answer_is_recorded() {
    let broken = || {
        let error = Err(ModelError::Timeout("stall"));
        vec![Ok(Piece::Text("a".to_owned())), error]
    };
    let (recorder, _folder) = recorder(vec![broken(), pieces(None).into_iter().map(Ok).collect()]);
    let mut dropped = recorder.answer(&prompt("a")).await.unwrap();
    dropped.next().await.unwrap().unwrap();
    drop(dropped);
    assert_eq!(hear(&recorder, &prompt("a")).await.len(), 2);
    assert_eq!(recorder.answer(&prompt("a")).await.err().unwrap().name(), "timeout");
    assert!(files(&recorder).is_empty(), "{:?}", files(&recorder));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_passed_on() {
    let long =
        || vec![Ok(Piece::Text("x".repeat(2 << 20))), Ok(Piece::End { finish: Finish::Stop, tokens: None })];
    let (recorder, folder) = recorder(vec![long(), long()]);
    assert_eq!(hear(&recorder, &prompt("a")).await.len(), 2);
    assert!(files(&recorder).is_empty());
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(hear(&recorder, &prompt("a")).await.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_no_recording_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let replay = Replay::new(info(), folder.path().to_owned()).unwrap();
    let file = folder.path().join(format!("{}.json", key(&prompt("a"))));
    let end = r#"{"end":{"finish":"stop","input_tokens":null,"output_tokens":null}}"#;
    for text in [
        String::new(),
        "{}".to_owned(),
        r#"{"pieces":[]}"#.to_owned(),
        r#"{"pieces":[{"text":"a"}]}"#.to_owned(),
        format!(r#"{{"pieces":[{end},{end}]}}"#),
        format!(r#"{{"pieces":[{end},{{"text":"a"}}]}}"#),
        format!(r#"{{"pieces":[{end}],"more":1}}"#),
        format!(r#"{{"pieces":[{end}]}}{}"#, " ".repeat(1 << 20)),
    ] {
        std::fs::write(&file, &text).unwrap();
        let error = replay.answer(&prompt("a")).await.err().unwrap();
        assert_eq!(error.name(), "malformed", "{error}");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
    std::fs::write(&file, format!(r#"{{"pieces":[{end}]}}"#)).unwrap();
    assert_eq!(hear(&replay, &prompt("a")).await.len(), 1);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let error = replay.answer(&prompt("a")).await.err().unwrap();
    assert_eq!(error.name(), "unavailable");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    let missing = Replay::new(info(), folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("none"), "{missing}");
}

#[test]
fn a_key_tells_prompts_apart_and_not_processes() {
    let with = |change: fn(&mut Prompt)| {
        let mut prompt = prompt("a");
        change(&mut prompt);
        key(&prompt)
    };
    let plain = with(|_| {});
    assert!(plain.len() == 64 && plain.bytes().all(|b| b.is_ascii_hexdigit()), "{plain}");
    assert_eq!(plain, with(|_| {}));
    let others = [
        with(|prompt| prompt.system.push('!')),
        with(|prompt| prompt.turns[0].text.push('!')),
        with(|prompt| prompt.turns[0].role = Role::Assistant),
        with(|prompt| prompt.turns.push(prompt.turns[0].clone())),
        with(|prompt| prompt.max_output_tokens = 101),
        with(|prompt| prompt.temperature = Some(0.0)),
        with(|prompt| prompt.seed = Some(0)),
        with(|prompt| prompt.schema = Some(&serde_json::Value::Bool(true))),
    ];
    let all: std::collections::BTreeSet<_> = others.iter().chain([&plain]).collect();
    assert_eq!(all.len(), 9);
    let canary = |canary: &str| key(&Prompt { system: format!("Never say <{canary}>."), ..prompt("a") });
    assert_eq!(canary("0123456789abcdef0123456789abcdef"), canary("fedcba98765432100123456789ABCDEF"));
    assert_ne!(canary("0123456789abcdef0123456789abcde"), canary("fedcba98765432100123456789ABCDE"));
    let said = |text: &str| key(&prompt(text));
    assert_ne!(said("0123456789abcdef0123456789abcdef"), said("fedcba98765432100123456789abcdef"));
}
