//! Every service as its own process, as in production: Postgres, Redis, certificates in files, traces to a collector.

use std::process::Command;

use mesh_testkit::CollectedSpan;
use quipu_e2e::{ADMIN_PASSWORD, LIMIT, PASSWORD, Setup, answer, programs};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_calls_work_with_every_service_a_process_of_its_own() {
    let mesh = Setup::new().servers().start().await;
    let mut person = mesh.person();
    person.register("ada").await;
    person.sign_in("ada", PASSWORD).await;
    let (status, found) = person.post("/v1/sentiment", &json!({"text": "What a lovely day!"})).await;
    assert_eq!((status.as_u16(), &found["label"]), (200, &json!("positive")), "{found}");
    let texts = json!({"texts": ["Lovely!", "", "Terrible."]});
    let (status, found) = person.post("/v1/sentiment/batch", &texts).await;
    assert_eq!((status.as_u16(), found["results"].as_array().map(Vec::len)), (200, Some(3)), "{found}");
    let lines = "{\"id\":\"a\",\"text\":\"Wonderful!\"}\n{\"text\":\"Awful.\"}\n";
    let stream =
        person.request(Method::POST, "/v1/sentiment/stream").header("content-type", "application/x-ndjson");
    let text = stream.body(lines).send().await.unwrap().text().await.unwrap();
    let answers: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&answers[0]["label"], &answers[1]["label"]), (&json!("positive"), &json!("negative")));

    let key = json!({"name": "ci", "scopes": ["sentiment:analyze"]});
    let (status, made) = person.post("/v1/auth/api-keys", &key).await;
    assert_eq!(status, 201, "{made}");
    let with_key = mesh.person().with_token(made["secret"].as_str().unwrap());
    assert_eq!(with_key.post("/v1/sentiment", &json!({"text": "Fine."})).await.0, 200);

    let admin = mesh.administrator().await;
    assert_eq!(admin.get("/v1/users").await.0, 200);
    let (_, shown) = admin.get("/v1/mesh").await;
    assert!(shown.to_string().contains("quipu.sentiment.v1.SentimentService"), "{shown}");

    // Limits are shared through Redis: a login too many is refused with the time to wait.
    let wrong = json!({"email": "ada@example.com", "password": "not the password"});
    let mut refused = None;
    for _ in 0..60 {
        let request = mesh.person().request(Method::POST, "/v1/auth/login").json(&wrong);
        let response = request.send().await.unwrap();
        if response.status() == 429 {
            refused = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
            break;
        }
    }
    assert!(refused.is_some_and(|r| r.parse::<u32>().is_ok()), "no limit held");

    assert_eq!(mesh.end().await, [Some(0); 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_is_one_trace_from_rest_to_sql_and_its_logs_name_it() {
    let mesh = Setup::new().servers().start().await;
    let mut person = mesh.person();
    person.register("ada").await;
    person.sign_in("ada", PASSWORD).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let me = person.request(Method::GET, "/v1/auth/me").header("traceparent", &parent);
    assert_eq!(answer(me).await.0, 200);
    let analyze = person.request(Method::POST, "/v1/sentiment").header("traceparent", &parent);
    assert_eq!(answer(analyze.json(&json!({"text": "What a lovely day!"}))).await.0, 200);
    let text = json!({"text": ""});
    let bad = person.request(Method::POST, "/v1/sentiment").header("traceparent", &parent).json(&text);
    let (status, problem) = answer(bad).await;
    assert_eq!((status.as_u16(), &problem["trace_id"]), (400, &json!(trace)), "{problem}");

    let whole = |spans: &[CollectedSpan]| {
        let of = |service: &str| {
            spans.iter().filter(|s| s.trace_id == trace && s.service.ends_with(service)).count()
        };
        let sql = spans.iter().any(|s| s.trace_id == trace && s.attributes.contains_key("db.query.summary"));
        sql && of("gateway") >= 4 && of("auth") >= 2 && of("sentiment") >= 1
    };
    mesh.collector.wait_for(LIMIT, whole).await.unwrap();
    let spans = mesh.collector.trace(trace);
    let sql = spans.iter().find(|s| s.attributes.contains_key("db.query.summary")).unwrap();
    let path: Vec<_> =
        std::iter::successors(Some(sql), |span| spans.iter().find(|s| s.span_id == span.parent_span_id))
            .map(|s| (s.service.trim_start_matches("quipu-").to_owned(), s.kind))
            .collect();
    // SQL ← (inner spans of auth) ← auth's server ← the gateway's client ← the gateway's server.
    assert_eq!(path.first(), Some(&("auth".to_owned(), 3)), "{path:?}");
    assert!(path.contains(&("auth".to_owned(), 2)) && path.contains(&("gateway".to_owned(), 3)), "{path:?}");
    assert_eq!(path.last(), Some(&("gateway".to_owned(), 2)), "{path:?}");

    let logged = mesh.processes.iter().map(quipu_e2e::Process::log).collect::<String>();
    let line = logged.lines().find(|l| l.contains(trace)).expect("a log line of the trace");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["trace_id"], trace);
    assert!(!logged.contains(PASSWORD) && !logged.contains(ADMIN_PASSWORD), "a password is in a log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_configuration_names_every_fault_and_exits_with_64() {
    for name in ["quipu-auth", "quipu-sentiment", "quipu-gateway"] {
        let mut command = Command::new(programs().join(name));
        command.env_clear().env("QUIPU_LISTEN", "nowhere").env("QUIPU_TYPO", "1");
        let out = command.output().unwrap();
        let text = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(64), "{name}: {text}");
        for fault in ["QUIPU_LISTEN", "QUIPU_TLS_DIR", "QUIPU_POLICY_FILE", "QUIPU_TYPO"] {
            assert!(text.lines().any(|l| l.contains(fault)), "{name}: {fault} is missing in\n{text}");
        }
    }
}
