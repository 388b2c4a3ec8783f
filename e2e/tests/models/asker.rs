//! Somebody with an account who asks for jokes.

use quipu_e2e::{Person, ProcessMesh, for_user};
use reqwest::Method;

use crate::{
    ask::{Outcome, Way, Wish},
    direct::{Direct, Used},
};

/// Somebody with an account; clones share their connections.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) person: Person,
    pub(crate) direct: Direct,
}

impl Asker {
    /// With a new account.
    pub(crate) async fn join(mesh: &ProcessMesh, direct: &Direct, name: &str) -> Self {
        Self { person: mesh.signed_in(name).await, direct: direct.clone() }
    }

    /// So many, a few at a time: the pool of hashes is small.
    pub(crate) async fn join_all(mesh: &ProcessMesh, direct: &Direct, name: &str, count: usize) -> Vec<Self> {
        let mut all = Vec::new();
        for n in 0..count {
            all.push(Self::join(mesh, direct, &format!("{name}-{n}")).await);
        }
        all
    }

    pub(crate) fn token(&self) -> &str {
        self.person.token.as_deref().unwrap()
    }

    /// Asks for a joke and waits for the end.
    pub(crate) async fn ask(&self, way: Way, wish: &Wish) -> Outcome {
        let mut service = self.direct.jokes.clone();
        match way {
            Way::Grpc => match service.create_joke(for_user(self.token(), wish.create())).await {
                Ok(answer) => Outcome::of_joke(answer.into_inner().joke.unwrap(), String::new()),
                Err(status) => Outcome::of_status(&status, String::new()),
            },
            Way::Stream => match service.stream_joke(for_user(self.token(), wish.stream())).await {
                Ok(answer) => Outcome::of_stream(answer.into_inner()).await,
                Err(status) => Outcome::of_status(&status, String::new()),
            },
            Way::Rest | Way::Sse => {
                let response = self.request(way, wish).send().await.unwrap();
                let status = response.status().as_u16();
                let type_ = response.headers()["content-type"].to_str().unwrap().to_owned();
                let text = response.text().await.unwrap();
                match type_.as_str() {
                    "text/event-stream" => Outcome::of_events(status, &text),
                    _ => Outcome::of_json(status, &serde_json::from_str(&text).unwrap()),
                }
            }
        }
    }

    /// The request of one of the two ways over REST.
    pub(crate) fn request(&self, way: Way, wish: &Wish) -> reqwest::RequestBuilder {
        let request = self.person.request(Method::POST, "/v1/jokes").json(&wish.body());
        if way == Way::Sse { request.header("accept", "text/event-stream") } else { request }
    }

    /// What was used of the day's budget, by gRPC.
    pub(crate) async fn used(&self) -> Used {
        self.direct.used(self.token()).await.unwrap()
    }

    /// The same by REST.
    pub(crate) async fn used_by_rest(&self) -> Used {
        let (status, answer) = self.person.get("/v1/usage").await;
        assert_eq!(status, 200, "{answer}");
        let budgets = answer["budgets"].as_array().unwrap();
        let day = budgets.iter().find(|b| b["scope"] == "user" && b["period"] == "day").unwrap();
        let count = |name: &str| day[name]["used"].as_i64().unwrap();
        let cost = format!("{:.0}", day["cost"]["used"].as_f64().unwrap() * 1e9).parse().unwrap();
        Used { calls: count("calls"), tokens: count("tokens"), cost }
    }
}
