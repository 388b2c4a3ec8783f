mod otel;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::FakeOpik;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);
const JSON: &str = "content-type: application/json\r\n";

/// Sends one call; returns the status and the body, null if it is no JSON.
async fn send(fake: &FakeOpik, line: &str, headers: &str, body: &[u8]) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap();
    let length = body.len();
    let head =
        format!("{method} /api/v1/private/{path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n");
    let mut stream = TcpStream::connect(fake.addr).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let read = async {
        let mut all = Vec::new();
        loop {
            assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "{}", String::from_utf8_lossy(&all));
            let text = String::from_utf8_lossy(&all).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split("content-length: ").nth(1).map(|rest| rest.lines().next().unwrap());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let status = head[9..12].parse().unwrap();
                break (status, serde_json::from_str(body).unwrap_or_default());
            }
        }
    };
    tokio::time::timeout(LIMIT, read).await.unwrap()
}

async fn put(fake: &FakeOpik, line: &str, body: Value) -> u16 {
    send(fake, line, JSON, body.to_string().as_bytes()).await.0
}

#[tokio::test]
async fn the_key_and_the_workspace_are_asked_for() {
    let fake = FakeOpik::start_with("secret", "home").await.unwrap();
    let list = "GET traces?project_name=p";
    let (status, body) =
        send(&fake, list, "Authorization: Bearer secret\r\nComet-Workspace: home\r\n", b"").await;
    assert_eq!((status, &body["code"]), (401, &json!(401)));
    assert!(body["message"].is_string());
    assert_eq!(send(&fake, list, "Authorization: secret\r\n", b"").await.0, 403);
    let (status, body) = send(&fake, list, "Authorization: secret\r\nComet-Workspace: home\r\n", b"").await;
    assert_eq!((status, body), (200, json!({ "page": 1, "size": 0, "total": 0, "content": [] })));
}

fn trace(id: Uuid, thread: &str) -> Value {
    json!({
        "id": id, "project_name": "p", "name": "joke", "thread_id": thread, "input": { "topic": "cats" },
        "start_time": "2026-01-02T03:04:05.678Z", "end_time": "2026-01-02T03:04:06+00:00",
    })
}

#[tokio::test]
async fn traces_are_made_scored_and_found() {
    let fake = FakeOpik::start().await.unwrap();
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let traces: Vec<_> = ids.iter().zip(["a b", "c", "a b"]).map(|(id, thread)| trace(*id, thread)).collect();
    assert_eq!(put(&fake, "POST traces/batch", json!({ "traces": traces })).await, 204);
    let good = json!({ "name": "funny", "value": 0.5, "source": "sdk", "reason": "it is" });
    let line = format!("PUT traces/{}/feedback-scores", ids[0]);
    assert_eq!(put(&fake, &line, good.clone()).await, 204);
    let unknown = format!("PUT traces/{}/feedback-scores", Uuid::now_v7());
    assert_eq!(put(&fake, &unknown, good).await, 404);
    let again = json!({ "id": ids[0], "project_name": "p", "name": "funny", "value": 1, "source": "sdk" });
    let other = json!({ "id": ids[0], "project_name": "p", "name": "long", "value": 0, "source": "sdk" });
    assert_eq!(put(&fake, "PUT traces/feedback-scores", json!({ "scores": [again, other] })).await, 204);
    let filters =
        "%5B%7B%22field%22%3A%22thread_id%22%2C%22operator%22%3A%22%3D%22%2C%22value%22%3A%22a+b%22%7D%5D";
    let line = format!("GET traces?project_name=p&page=2&size=1&filters={filters}");
    let (status, page) = send(&fake, &line, "", b"").await;
    assert_eq!((status, &page["total"], &page["size"]), (200, &json!(2), &json!(1)));
    let row = &page["content"][0];
    assert_eq!((&row["id"], &row["thread_id"]), (&json!(ids[0]), &json!("a b")));
    assert_eq!(row["start_time"], "2026-01-02T03:04:05.678Z");
    let scores: Vec<_> =
        row["feedback_scores"].as_array().unwrap().iter().map(|s| s["value"].clone()).collect();
    assert_eq!(scores, [json!(1.0), json!(0.0)], "one of a name");
    let (_, none) = send(&fake, "GET traces?project_name=none", "", b"").await;
    assert_eq!(none["total"], 0);
    for bad in ["filters=%5B", "filters=%7B%7D", "page=0", "filters=[{%22field%22:%22x%22}]"] {
        assert_eq!(send(&fake, &format!("GET traces?project_name=p&{bad}"), "", b"").await.0, 400, "{bad}");
    }
    assert_eq!(send(&fake, "GET traces", "", b"").await.0, 400);
}

#[tokio::test]
async fn a_batch_with_one_fault_does_nothing() {
    let fake = FakeOpik::start().await.unwrap();
    let good = trace(Uuid::now_v7(), "t");
    for (field, bad) in [
        ("id", json!(Uuid::new_v4())),
        ("id", json!("7")),
        ("start_time", json!("yesterday")),
        ("start_time", Value::Null),
        ("end_time", json!("2026-01-02")),
        ("tags", json!("a")),
        ("error_info", json!({ "message": "x" })),
    ] {
        let mut faulty = good.clone();
        faulty[field] = bad;
        assert_eq!(
            put(&fake, "POST traces/batch", json!({ "traces": [good, faulty] })).await,
            400,
            "{field}"
        );
    }
    assert_eq!(put(&fake, "POST traces/batch", json!({ "traces": [] })).await, 400);
    assert!(fake.traces().is_empty());
    put(&fake, "POST traces/batch", json!({ "traces": [good] })).await;
    let line = format!("PUT traces/{}/feedback-scores", good["id"].as_str().unwrap());
    for bad in [
        json!({ "name": " ", "value": 1, "source": "sdk" }),
        json!({ "name": "n", "value": "1", "source": "sdk" }),
        json!({ "name": "n", "value": 1 }),
        json!({ "name": "n", "value": 1, "source": "nobody" }),
    ] {
        assert_eq!(put(&fake, &line, bad.clone()).await, 400, "{bad}");
    }
    assert!(fake.scores().is_empty());
}

#[tokio::test]
async fn an_experiment_joins_items_and_traces_that_there_are() {
    let fake = FakeOpik::start().await.unwrap();
    let dataset = json!({ "name": "jokes", "description": "topics" });
    assert_eq!(put(&fake, "POST datasets", dataset.clone()).await, 201);
    assert_eq!(put(&fake, "POST datasets", dataset).await, 409);
    let (item, answer, experiment) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let items = |name: &str| json!({ "dataset_name": name, "items": [{ "id": item, "source": "sdk", "data": { "topic": "cats" } }] });
    assert_eq!(put(&fake, "PUT datasets/items", items("none")).await, 404);
    assert_eq!(put(&fake, "PUT datasets/items", items("jokes")).await, 204);
    let body =
        json!({ "id": experiment, "name": "e", "dataset_name": "jokes", "metadata": { "model": "m" } });
    assert_eq!(put(&fake, "POST experiments", body.clone()).await, 201);
    assert_eq!(put(&fake, "POST experiments", body).await, 409);
    put(&fake, "POST traces/batch", json!({ "traces": [trace(answer, "t")] })).await;
    let pair = |experiment: Uuid, item: Uuid, trace: Uuid| {
        let pair = json!({
            "id": Uuid::now_v7(), "experiment_id": experiment, "dataset_item_id": item, "trace_id": trace
        });
        json!({ "experiment_items": [pair] })
    };
    let other = Uuid::now_v7();
    for (experiment, item, trace) in
        [(other, item, answer), (experiment, other, answer), (experiment, item, other)]
    {
        assert_eq!(put(&fake, "POST experiments/items", pair(experiment, item, trace)).await, 409);
    }
    assert_eq!(put(&fake, "POST experiments/items", pair(experiment, item, answer)).await, 204);
    let [made] = &fake.experiments()[..] else { panic!() };
    let pairs: Vec<_> = made.items.values().map(|pair| (pair.item, pair.trace)).collect();
    assert_eq!((made.dataset.as_str(), &pairs[..]), ("jokes", &[(item, answer)][..]));
    assert_eq!(fake.datasets()[0].items[&item].data, json!({ "topic": "cats" }));
}

#[tokio::test]
async fn it_fails_and_stalls_as_it_is_told_and_then_works() {
    let fake = FakeOpik::start().await.unwrap();
    fake.fail_next(2, 503);
    fake.stall_next(1, Duration::from_millis(200));
    let dataset = json!({ "name": "d" });
    let begun = Instant::now();
    assert_eq!(put(&fake, "POST datasets", dataset.clone()).await, 503);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(put(&fake, "POST datasets", dataset.clone()).await, 503);
    assert_eq!(put(&fake, "POST datasets", dataset).await, 201);
    assert_eq!(fake.requests().len(), 3);
    fake.stall_next(1, LIMIT * 6);
    let left =
        tokio::time::timeout(Duration::from_millis(50), put(&fake, "POST datasets", json!({ "name": "e" })));
    assert!(left.await.is_err());
    assert_eq!(put(&fake, "POST datasets", json!({ "name": "f" })).await, 201);
    let names: Vec<_> = fake.datasets().into_iter().map(|dataset| dataset.name).collect();
    assert_eq!(names, ["d", "f"], "who left is not served");
    fake.wait_for(LIMIT, |fake| fake.requests().len() == 5).await.unwrap();
}

#[test]
fn requests_are_remembered_within_bounds() {
    let mut kept = super::Kept::default();
    let request = |size: usize| crate::http::Request {
        method: "POST".to_owned(),
        path: "/api".to_owned(),
        headers: Vec::new(),
        body: vec![0; size],
    };
    for _ in 0..20 {
        kept.remember(&request(10 << 20));
    }
    assert_eq!(kept.requests.len(), 6);
    for _ in 0..12_000 {
        kept.remember(&request(1));
    }
    assert_eq!(kept.requests.len(), 10_000);
}
