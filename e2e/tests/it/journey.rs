//! What a person does on the first day: register, sign in, analyse, make a key, come back after a restart.

use std::time::Duration;

use mesh_lifecycle::Outcome;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use quipu_e2e::{LIMIT, Mesh, PASSWORD, answer, eventually};

/// Within this time a revocation holds everywhere.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_registers_signs_in_and_gets_a_sentiment() {
    let mesh = Mesh::start().await;
    let mut person = mesh.person();
    let user = person.register("ada").await;
    assert_eq!(user["user"]["email"], "ada@example.com");
    assert_eq!(user["user"]["roles"], json!(["user"]));
    let tokens = person.sign_in("ada", PASSWORD).await;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(600)));
    let (status, me) = person.get("/v1/auth/me").await;
    assert_eq!((status.as_u16(), &me["user"]["id"]), (200, &user["user"]["id"]));

    let body = json!({"text": "I love this phone, the battery lasts forever.", "explain": true});
    let (status, found) = person.post("/v1/sentiment", &body).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(found["label"], "positive");
    let probability = found["probabilities"]["positive"].as_f64().unwrap();
    assert!((probability - 0.98075).abs() < 1e-4, "{found}");
    let love = &found["words"][1];
    assert_eq!((&love["text"], &love["start"], &love["end"]), (&json!("love"), &json!(2), &json!(6)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_text_does_not_fail_a_batch() {
    let mesh = Mesh::start().await;
    let person = mesh.signed_in("ada").await;
    let (status, found) =
        person.post("/v1/sentiment/batch", &json!({"texts": ["Lovely!", "", "Terrible."]})).await;
    assert_eq!(status, 200, "{found}");
    let results = found["results"].as_array().unwrap();
    assert_eq!((&results[0]["label"], &results[2]["label"]), (&json!("positive"), &json!("negative")));
    assert!(results[1]["error"].is_object(), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_answers_while_the_request_is_still_being_sent() {
    let mesh = Mesh::start().await;
    let person = mesh.signed_in("ada").await;
    let (lines, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let request = person
        .request(Method::POST, "/v1/sentiment/stream")
        .header("content-type", "application/x-ndjson")
        .body(Body::wrap_stream(ReceiverStream::new(body)));
    let sending = tokio::spawn(request.send());
    lines.send(Ok("{\"id\":\"1\",\"text\":\"Wonderful!\"}\n".into())).await.unwrap();
    let response = sending.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let mut answers = response.bytes_stream();
    // The first answer is here and the request is not yet complete.
    let first = tokio::time::timeout(LIMIT, answers.next()).await.unwrap().unwrap().unwrap();
    let first: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((&first["id"], &first["label"]), (&json!("1"), &json!("positive")));
    lines.send(Ok("{\"id\":\"2\",\"text\":\"Awful.\"}\n".into())).await.unwrap();
    drop(lines);
    let second = tokio::time::timeout(LIMIT, answers.next()).await.unwrap().unwrap().unwrap();
    let second: Value = serde_json::from_slice(&second).unwrap();
    assert_eq!((&second["id"], &second["label"]), (&json!("2"), &json!("negative")));
    assert!(tokio::time::timeout(LIMIT, answers.next()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_works_until_it_is_revoked() {
    let mesh = Mesh::start().await;
    let person = mesh.signed_in("ada").await;
    let (status, made) =
        person.post("/v1/auth/api-keys", &json!({"name": "ci", "scopes": ["sentiment:analyze"]})).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("qp_"));
    let program = mesh.person();
    let with_key = |path: &str| program.request(Method::POST, path).header("x-api-key", &secret);
    let text = json!({"text": "Splendid work."});
    assert_eq!(answer(with_key("/v1/sentiment").json(&text)).await.0, 200);
    let bearer = program.with_token(&secret);
    assert_eq!(bearer.post("/v1/sentiment", &text).await.0, 200);
    let keys = json!({"name": "more", "scopes": ["sentiment:analyze"]});
    let (status, refused) = answer(with_key("/v1/auth/api-keys").json(&keys)).await;
    assert_eq!(status, 403, "a key has only its own scopes: {refused}");

    let id = made["api_key"]["id"].as_str().unwrap();
    assert_eq!(person.delete(&format!("/v1/auth/api-keys/{id}")).await.0, 204);
    let refused = || async { answer(with_key("/v1/sentiment").json(&text)).await.0 == 401 };
    assert!(eventually(REVOKED_WITHIN, refused).await, "a revoked key still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_ended_is_refused_everywhere_within_the_bound() {
    let mesh = Mesh::start().await;
    let mut person = mesh.person();
    person.register("ada").await;
    let tokens = person.sign_in("ada", PASSWORD).await;
    assert_eq!(person.get("/v1/auth/me").await.0, 200);
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    assert_eq!(mesh.person().post("/v1/auth/logout", &refresh).await.0, 204);
    assert_eq!(mesh.person().post("/v1/auth/refresh", &refresh).await.0, 401);
    let text = json!({"text": "Still here?"});
    let refused = || async { person.post("/v1/sentiment", &text).await.0 == 401 };
    assert!(eventually(REVOKED_WITHIN, refused).await, "an ended session still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_finds_its_data_and_shows_no_administrator_again() {
    let mesh = Mesh::start().await;
    assert!(mesh.admin.is_some());
    let person = mesh.signed_in("ada").await;
    let (outcome, data) = mesh.stop().await;
    assert!(matches!(outcome, Outcome::Clean), "{outcome:?}");

    let mesh = Mesh::start_in(data).await;
    assert!(mesh.admin.is_none());
    let mut again = mesh.person();
    again.sign_in("ada", PASSWORD).await;
    assert_eq!(again.get("/v1/auth/me").await.0, 200);
    // The signing key was kept too: the token from before the restart is still good.
    assert_eq!(again.with_token(&person.token.unwrap()).get("/v1/auth/me").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_disables_an_account() {
    let mesh = Mesh::start().await;
    let person = mesh.signed_in("ada").await;
    assert_eq!(person.get("/v1/users").await.0, 403);
    let admin = mesh.administrator().await;
    let (status, users) = admin.get("/v1/users").await;
    assert_eq!(status, 200, "{users}");
    let ada = users["users"].as_array().unwrap().iter().find(|u| u["email"] == "ada@example.com").unwrap();
    let path = format!("/v1/users/{}", ada["id"].as_str().unwrap());
    let (status, changed) =
        answer(admin.request(Method::PATCH, &path).json(&json!({"disabled": true}))).await;
    assert_eq!((status.as_u16(), &changed["user"]["disabled"]), (200, &json!(true)), "{changed}");
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(mesh.person().post("/v1/auth/login", &login).await.0, 401);
    let refused = || async { person.get("/v1/auth/me").await.0 == 401 };
    assert!(eventually(REVOKED_WITHIN, refused).await, "a disabled account still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mesh_shows_itself_to_administrators() {
    let mesh = Mesh::start().await;
    assert_eq!(mesh.signed_in("ada").await.get("/v1/mesh").await.0, 403);
    let (status, shown) = mesh.administrator().await.get("/v1/mesh").await;
    assert_eq!(status, 200, "{shown}");
    let text = shown.to_string();
    for part in ["gateway", "auth", "jokes", "sentiment", "quipu.sentiment.v1.SentimentService"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_data_folder_serves_one_mesh() {
    let mesh = Mesh::start().await;
    let options = quipu::up::Options {
        data: mesh.data().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        policy: None,
        free_ports: true,
        sentiment_models: None,
        joke_models: quipu_jokes::ModelsConfig::default(),
        observed: quipu_jokes::ObservedConfig::default(),
        recent_traces: None,
    };
    let lifecycle = mesh_lifecycle::Lifecycle::new(mesh_lifecycle::Drain::default());
    let refused = quipu::up::LocalMesh::start(&options, &lifecycle).await.err().unwrap();
    assert!(refused.to_string().contains("another `quipu up` uses this data folder"), "{refused}");
}
