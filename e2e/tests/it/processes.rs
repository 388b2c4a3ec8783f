//! Every service as its own process, as in production: Postgres, Redis, certificates in files, traces to a collector.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use mesh_identity::DevCa;
use mesh_policy::{Contract, Policy};
use mesh_testkit::{CollectedSpan, OtlpReceiver, Postgres, PostgresDatabase, Redis};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{LIMIT, PASSWORD, Person, answer, eventually};

/// A process that is stopped with the test.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(name: &str, folder: &Path, env: &[(&str, String)]) -> Self {
        let program = programs().join(name);
        assert!(program.exists(), "{} is missing: run `cargo build --workspace` first", program.display());
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(program);
        command.env_clear().envs(env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to end and gives its exit code.
    async fn end(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let wait = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        tokio::time::timeout(LIMIT, wait).await.expect("the drain is bounded").unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// The mesh as processes.
struct Mesh {
    processes: Vec<Process>,
    rest: String,
    collector: OtlpReceiver,
    _redis: Redis,
    _database: PostgresDatabase,
    _folder: TempDir,
}

/// The password of the first administrator, from a file as in production.
const ADMIN_PASSWORD: &str = "administrators knot their own cords";

impl Mesh {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_owned();
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        let redis = Redis::start().await.unwrap();
        let collector = OtlpReceiver::start().await.unwrap();
        identities(&at);
        fs::write(at.join("admin-password"), ADMIN_PASSWORD).unwrap();
        fs::write(at.join("mesh.yaml"), quipu::POLICY).unwrap();
        let [auth, auth_admin, sentiment, sentiment_admin, gateway, gateway_admin] = free_ports();
        let common = |workload: &str, listen: u16, admin: u16| {
            vec![
                ("QUIPU_LISTEN", format!("127.0.0.1:{listen}")),
                ("QUIPU_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
                ("QUIPU_TLS_DIR", at.join(workload).display().to_string()),
                ("QUIPU_POLICY_FILE", at.join("mesh.yaml").display().to_string()),
                ("QUIPU_DRAIN_ENDPOINTS", "0s".into()),
                ("QUIPU_LOG", "debug".into()),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ]
        };
        let auth_at = ("QUIPU_ENDPOINT_AUTH", format!("127.0.0.1:{auth}"));
        let mut env = common("auth", auth, auth_admin);
        env.push(("QUIPU_DATABASE_URL", database.url().to_owned()));
        env.push(("QUIPU_AUTH_KEY_DIR", at.join("keys").display().to_string()));
        env.push(("QUIPU_AUTH_ADMIN_EMAIL", "root@example.com".into()));
        env.push(("QUIPU_AUTH_ADMIN_PASSWORD_FILE", at.join("admin-password").display().to_string()));
        let mut processes = vec![Process::start("quipu-auth", &at, &env)];
        let mut env = common("sentiment", sentiment, sentiment_admin);
        env.push(auth_at.clone());
        processes.push(Process::start("quipu-sentiment", &at, &env));
        let mut env = common("gateway", gateway, gateway_admin);
        env.extend([auth_at, ("QUIPU_ENDPOINT_SENTIMENT", format!("127.0.0.1:{sentiment}"))]);
        env.push(("QUIPU_REDIS_URL", redis.url()));
        processes.push(Process::start("quipu-gateway", &at, &env));
        for admin in [auth_admin, sentiment_admin, gateway_admin] {
            let ready = || async move {
                reqwest::get(format!("http://127.0.0.1:{admin}/readyz"))
                    .await
                    .is_ok_and(|r| r.status().is_success())
            };
            if !eventually(LIMIT, ready).await {
                let logs: Vec<_> = processes.iter().map(Process::log).collect();
                panic!("not ready:\n{}", logs.join("\n----\n"));
            }
        }
        let rest = format!("http://127.0.0.1:{gateway}");
        Self { processes, rest, collector, _redis: redis, _database: database, _folder: folder }
    }

    fn person(&self) -> Person {
        Person::at(&self.rest)
    }
}

fn identities(at: &Path) {
    let policy = Policy::parse("mesh.yaml", quipu::POLICY, Contract::quipu()).unwrap();
    let ca = DevCa::open_or_create(&at.join("ca"), policy.trust_domain()).unwrap();
    for workload in ["gateway", "auth", "sentiment"] {
        let id = policy.id_of(workload).unwrap();
        ca.issue(&id, Duration::from_secs(3600)).unwrap().write(&at.join(workload), "tls").unwrap();
    }
}

/// Ports that were free a moment ago; the services cannot tell each other theirs.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|l| l.local_addr().unwrap().port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_calls_work_with_every_service_a_process_of_its_own() {
    let mesh = Mesh::start().await;
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

    let mut admin = mesh.person();
    admin.sign_in_as("root@example.com", ADMIN_PASSWORD).await;
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

    for process in mesh.processes {
        assert_eq!(process.end().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_is_one_trace_from_rest_to_sql_and_its_logs_name_it() {
    let mesh = Mesh::start().await;
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

    let logged = mesh.processes.iter().map(Process::log).collect::<String>();
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
