//! The service on a port of its own, and clients with identities of their own.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mesh_client::{CallContext, Channel, Endpoints};
use mesh_error::Error;
use mesh_identity::User;
use mesh_proto::sentiment::v1 as pb;
use mesh_proto::sentiment::v1::sentiment_service_client::SentimentServiceClient;
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentServiceServer;
use mesh_server::Server;
use mesh_testkit::TestMesh;
use quipu_sentiment::domain::{Analysis, Label};
use quipu_sentiment::engine::Engine;
use quipu_sentiment::grpc::SentimentGrpc;
use quipu_sentiment::models::{EMBEDDED_NAME, Models, SharedModel, embedded};
use quipu_sentiment::pool::{Pool, PoolSize};
use quipu_sentiment::ports::{Backend, ModelError, ModelInfo, SentimentModel};
use quipu_sentiment::{App, Config};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = SentimentServiceClient<Channel>;

/// A running service.
pub(crate) struct Running {
    pub(crate) mesh: TestMesh,
    endpoints: Endpoints,
}

impl Running {
    /// The program as it is, with these settings.
    pub(crate) async fn app(config: Config) -> Self {
        let mesh = TestMesh::start().unwrap();
        // Nobody listens there: an operator's calls carry no user, so `auth` is not needed.
        let auth = Endpoints::new().with("auth", std::net::SocketAddr::from(([127, 0, 0, 1], 9)));
        let own = mesh.mesh_as("sentiment", auth).unwrap();
        let app = App::build(config, own, mesh.lifecycle().clone()).await.unwrap();
        let endpoints = Endpoints::new().with("sentiment", app.grpc_addr());
        mesh.lifecycle().spawn("sentiment", async move { app.run().await.unwrap() });
        Self { mesh, endpoints }
    }

    /// The service with models of the test and a verifier that believes the test's tokens.
    pub(crate) async fn with(models: Vec<SharedModel>, default: &str, size: PoolSize) -> Self {
        let mesh = TestMesh::start().unwrap();
        let engine = Engine::new(Models::new(models, default).unwrap(), Pool::new(size));
        let grpc = SentimentGrpc::new(engine, mesh.lifecycle().stop_token());
        let own = mesh.mesh_as("sentiment", Endpoints::new()).unwrap();
        let server = Server::new("sentiment", &own, mesh.lifecycle()).verifier(mesh.mint().verifier());
        let server = server.service(SentimentServiceServer::new(grpc));
        let bound = server.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let endpoints = Endpoints::new().with("sentiment", bound.local_addr());
        mesh.lifecycle().spawn("sentiment", bound.serve());
        Self { mesh, endpoints }
    }

    /// The embedded model only.
    pub(crate) async fn embedded() -> Self {
        Self::app(Config::local()).await
    }

    pub(crate) fn client(&self, workload: &str) -> Client {
        let mesh = self.mesh.mesh_as(workload, self.endpoints.clone()).unwrap();
        SentimentServiceClient::new(mesh.channel("sentiment").unwrap())
    }

    pub(crate) fn operator(&self) -> Client {
        self.client("operator")
    }

    /// The context of a call in the name of a user with these scopes.
    pub(crate) fn user(&self, scopes: &str) -> CallContext {
        let mint = self.mesh.mint().user("user-1").scopes(scopes).unwrap();
        let token = mint.sign().unwrap().into();
        CallContext { deadline: None, user: Some(User { claims: Arc::new(mint.claims.clone()), token }) }
    }
}

pub(crate) fn ask(text: &str) -> pb::AnalyzeRequest {
    pb::AnalyzeRequest { text: text.to_owned(), ..Default::default() }
}

pub(crate) fn item(id: &str, text: &str) -> pb::AnalyzeStreamRequest {
    pb::AnalyzeStreamRequest { id: id.to_owned(), text: text.to_owned(), ..Default::default() }
}

/// The failure with its details.
pub(crate) fn failure<T>(answer: Result<T, tonic::Status>) -> Error {
    Error::from_status(&answer.err().expect("the call was answered"))
}

pub(crate) async fn analyze(client: &mut Client, request: pb::AnalyzeRequest) -> pb::Analysis {
    client.analyze(request).await.unwrap().into_inner().analysis.unwrap()
}

/// What a model of the test does with its next texts; with none left it answers as the embedded one.
pub(crate) enum Act {
    /// Holds the worker until the gate is opened.
    Wait,
    /// Fails.
    Fail,
    /// Panics.
    Panic,
}

/// A model that does what it is told, on the pool.
pub(crate) struct Puppet {
    info: ModelInfo,
    acts: Mutex<VecDeque<Act>>,
    gate: Gate,
    answers: SharedModel,
}

/// Opened once for all who wait.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap());
    }
}

impl Puppet {
    pub(crate) fn told(acts: impl IntoIterator<Item = Act>) -> (SharedModel, Gate) {
        let gate = Gate::default();
        let info = ModelInfo {
            name: "puppet".into(),
            version: "1".into(),
            backend: Backend::Onnx,
            labels: Label::ALL.to_vec(),
            explains: false,
            sha256: "0".repeat(64),
        };
        let acts = Mutex::new(acts.into_iter().collect());
        (Arc::new(Self { info, acts, gate: gate.clone(), answers: embedded().unwrap() }), gate)
    }

    /// The service with the embedded model and this one as the default.
    pub(crate) async fn serve(model: SharedModel, workers: u16, queue: u16) -> Running {
        Running::with(vec![embedded().unwrap(), model], "puppet", PoolSize { workers, queue }).await
    }
}

impl SentimentModel for Puppet {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn analyze(&self, text: &str, explain: bool) -> Result<Analysis, ModelError> {
        let act = self.acts.lock().unwrap().pop_front();
        match act {
            Some(Act::Wait) => self.gate.wait(),
            Some(Act::Fail) => {
                return Err(ModelError { model: self.info.name.clone(), what: Cow::Borrowed("told to") });
            }
            Some(Act::Panic) => panic!("told to"),
            None => {}
        }
        self.answers.analyze(text, explain)
    }

    fn inline_bytes(&self) -> usize {
        0
    }
}

/// The embedded model's reference in an answer.
pub(crate) fn is_embedded(model: Option<&pb::ModelRef>) -> bool {
    model.is_some_and(|model| model.name == EMBEDDED_NAME)
}
