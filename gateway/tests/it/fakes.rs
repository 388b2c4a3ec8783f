//! `auth` and `sentiment` as the tests want them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use mesh_error::{Error, Kind};
use mesh_identity::Jwks;
use mesh_proto::{
    auth::v1::{self as auth, auth_service_server::AuthService},
    sentiment::v1::{self as sentiment, sentiment_service_server::SentimentService},
};
use mesh_testkit::TokenMint;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Code, Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;

/// An API key that `FakeAuth` exchanges for a token of this user.
pub(crate) struct Key {
    pub(crate) user: String,
    pub(crate) scopes: String,
    pub(crate) sid: String,
}

/// `auth`, scripted.
#[derive(Clone)]
pub(crate) struct FakeAuth(pub(crate) Arc<Script>);

/// What the fake does and what it saw.
pub(crate) struct Script {
    mint: TokenMint,
    revocations: broadcast::Sender<auth::Revocation>,
    /// Keys by their text.
    pub(crate) keys: Mutex<BTreeMap<String, Key>>,
    /// How often a method was called.
    pub(crate) exchanges: AtomicUsize,
    pub(crate) registered: AtomicUsize,
    /// Metadata of the last GetMe, and the client of the last Login.
    pub(crate) metadata: Mutex<Vec<(String, String)>>,
    pub(crate) client: Mutex<Option<auth::Client>>,
    /// Whether the next Register fails as unavailable.
    pub(crate) fail_next: AtomicBool,
}

impl FakeAuth {
    pub(crate) fn new(mint: &TokenMint) -> Self {
        Self(Arc::new(Script {
            mint: mint.clone(),
            revocations: broadcast::channel(16).0,
            keys: Mutex::default(),
            exchanges: AtomicUsize::new(0),
            registered: AtomicUsize::new(0),
            metadata: Mutex::default(),
            client: Mutex::default(),
            fail_next: AtomicBool::new(false),
        }))
    }

    /// Announces that everything of a session is over.
    pub(crate) fn revoke(&self, sid: &str) {
        let revocation = auth::Revocation {
            subject: Some(auth::revocation::Subject::SessionId(sid.to_owned())),
            revoked_at: Some((SystemTime::now() + Duration::from_secs(1)).into()),
        };
        // Whoever follows; nobody yet is fine too.
        let _ = self.0.revocations.send(revocation);
    }
}

fn user(id: &str, email: &str) -> auth::User {
    auth::User {
        id: id.to_owned(),
        email: email.to_owned(),
        display_name: String::new(),
        roles: vec!["user".to_owned()],
        disabled: false,
        created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
    }
}

/// "code-7" fails with gRPC code 7 and an internal text; "kind-not-found" with an error of the mesh.
#[expect(clippy::disallowed_methods, reason = "a peer that is not of the mesh makes its status by itself")]
fn scripted(email: &str) -> Result<(), Status> {
    if let Some(code) = email.strip_prefix("code-") {
        let code = Code::from_i32(code.parse().unwrap());
        return Err(Status::new(code, "canary at 10.1.2.3: SELECT secret"));
    }
    let error = match email {
        "kind-invalid" => Error::invalid_field("email", "is not an address"),
        "kind-not-found" => Error::not_found("account"),
        "kind-exhausted" => Error::exhausted("TOO_MANY_FAILURES", "wait", Duration::from_secs(7)),
        "kind-too-large" => Error::new(Kind::TooLarge, "MESSAGE_TOO_LARGE", "too large"),
        "kind-credentials" => Error::unauthenticated("INVALID_CREDENTIALS", "wrong"),
        "kind-own-denial" => Error::denied(mesh_client::CALL_NOT_ALLOWED, "gateway may not call"),
        "kind-denied" => Error::denied("MISSING_SCOPE", "no"),
        "kind-internal" => Error::internal("canary of the inside"),
        _ => return Ok(()),
    };
    Err(error.into_status())
}

#[tonic::async_trait]
impl AuthService for FakeAuth {
    type WatchRevocationsStream = BoxStream<'static, Result<auth::WatchRevocationsResponse, Status>>;

    async fn register(&self, request: Request<auth::RegisterRequest>) -> Answer<auth::RegisterResponse> {
        let request = request.into_inner();
        scripted(&request.email)?;
        if self.0.fail_next.swap(false, Ordering::SeqCst) {
            return Err(Error::unavailable("AWAY", "away").into_status());
        }
        if request.email.starts_with("slow") {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let number = self.0.registered.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(auth::RegisterResponse { user: Some(user(&format!("u{number}"), &request.email)) }))
    }

    async fn login(&self, request: Request<auth::LoginRequest>) -> Answer<auth::LoginResponse> {
        let request = request.into_inner();
        *self.0.client.lock().unwrap() = request.client;
        scripted(&request.email)?;
        if request.email == "sleeper" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let token = self.0.mint.user("u1").scopes("profile:read").unwrap().sign().unwrap();
        let tokens = auth::TokenPair { access_token: token, refresh_token: "r1".to_owned(), expires_in: 600 };
        Ok(Response::new(auth::LoginResponse { tokens: Some(tokens) }))
    }

    async fn refresh(&self, _: Request<auth::RefreshRequest>) -> Answer<auth::RefreshResponse> {
        Err(Error::unauthenticated("INVALID_REFRESH_TOKEN", "not good").into_status())
    }

    async fn logout(&self, _: Request<auth::LogoutRequest>) -> Answer<auth::LogoutResponse> {
        Ok(Response::new(auth::LogoutResponse {}))
    }

    async fn exchange_token(
        &self,
        request: Request<auth::ExchangeTokenRequest>,
    ) -> Answer<auth::ExchangeTokenResponse> {
        self.0.exchanges.fetch_add(1, Ordering::SeqCst);
        scripted(request.get_ref().subject_token.trim_start_matches("qp_"))?;
        let keys = self.0.keys.lock().unwrap();
        let Some(key) = keys.get(&request.get_ref().subject_token) else {
            return Err(Error::unauthenticated("INVALID_API_KEY", "no").into_status());
        };
        let mint = self.0.mint.user(&key.user).scopes(&key.scopes).unwrap();
        let token = mint.with(|claims| claims.sid.clone_from(&key.sid)).sign().unwrap();
        Ok(Response::new(auth::ExchangeTokenResponse {
            access_token: token,
            expires_in: 600,
            scopes: vec![],
        }))
    }

    async fn get_jwks(&self, _: Request<auth::GetJwksRequest>) -> Answer<auth::GetJwksResponse> {
        let jwks = Jwks::new(vec![self.0.mint.key().public().clone()]).unwrap().to_json();
        Ok(Response::new(auth::GetJwksResponse { jwks }))
    }

    async fn watch_revocations(
        &self,
        _: Request<auth::WatchRevocationsRequest>,
    ) -> Answer<Self::WatchRevocationsStream> {
        let beat = |_| auth::WatchRevocationsResponse { cursor: 1_000, revocation: None };
        let beats = futures::stream::once(async {}).chain(
            tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(Duration::from_millis(100)))
                .map(|_| ()),
        );
        let revoked = BroadcastStream::new(self.0.revocations.subscribe())
            .filter_map(|item| async { item.ok() })
            .map(|revocation| auth::WatchRevocationsResponse { cursor: 1_000, revocation: Some(revocation) });
        let stream = futures::stream::select(beats.map(beat), revoked).map(Ok);
        Ok(Response::new(stream.boxed()))
    }

    async fn check_session(
        &self,
        _: Request<auth::CheckSessionRequest>,
    ) -> Answer<auth::CheckSessionResponse> {
        Ok(Response::new(auth::CheckSessionResponse { active: true }))
    }

    async fn get_me(&self, request: Request<auth::GetMeRequest>) -> Answer<auth::GetMeResponse> {
        let headers = request.metadata().clone().into_headers();
        *self.0.metadata.lock().unwrap() = headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let id = mesh_server::user(&request).map_err(Error::into_status)?.claims.sub.clone();
        Ok(Response::new(auth::GetMeResponse { user: Some(user(&id, "me@example.com")) }))
    }

    async fn change_password(
        &self,
        _: Request<auth::ChangePasswordRequest>,
    ) -> Answer<auth::ChangePasswordResponse> {
        Ok(Response::new(auth::ChangePasswordResponse {}))
    }

    async fn list_sessions(
        &self,
        _: Request<auth::ListSessionsRequest>,
    ) -> Answer<auth::ListSessionsResponse> {
        Ok(Response::new(auth::ListSessionsResponse::default()))
    }

    async fn end_session(&self, _: Request<auth::EndSessionRequest>) -> Answer<auth::EndSessionResponse> {
        Err(Error::not_found("session").into_status())
    }

    async fn create_api_key(
        &self,
        request: Request<auth::CreateApiKeyRequest>,
    ) -> Answer<auth::CreateApiKeyResponse> {
        let request = request.into_inner();
        let number = self.0.registered.fetch_add(1, Ordering::SeqCst);
        let api_key = auth::ApiKey {
            id: format!("k{number}"),
            name: request.name,
            prefix: "qp_k".to_owned(),
            scopes: request.scopes,
            created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            expires_at: request.expires_at,
            last_used_at: None,
        };
        let secret = format!("qp_k{number}_canary_x");
        Ok(Response::new(auth::CreateApiKeyResponse { api_key: Some(api_key), secret }))
    }

    async fn list_api_keys(&self, _: Request<auth::ListApiKeysRequest>) -> Answer<auth::ListApiKeysResponse> {
        Ok(Response::new(auth::ListApiKeysResponse::default()))
    }

    async fn revoke_api_key(
        &self,
        _: Request<auth::RevokeApiKeyRequest>,
    ) -> Answer<auth::RevokeApiKeyResponse> {
        Ok(Response::new(auth::RevokeApiKeyResponse {}))
    }

    async fn verify_api_key(
        &self,
        _: Request<auth::VerifyApiKeyRequest>,
    ) -> Answer<auth::VerifyApiKeyResponse> {
        Err(Error::unauthenticated("INVALID_API_KEY", "no").into_status())
    }

    async fn list_users(&self, request: Request<auth::ListUsersRequest>) -> Answer<auth::ListUsersResponse> {
        let size = usize::try_from(request.get_ref().page_size).unwrap();
        let users = (0..size).map(|n| user(&format!("u{n}"), "x@example.com")).collect();
        Ok(Response::new(auth::ListUsersResponse { users, next_page_token: "next".to_owned() }))
    }

    async fn get_user(&self, request: Request<auth::GetUserRequest>) -> Answer<auth::GetUserResponse> {
        Ok(Response::new(auth::GetUserResponse {
            user: Some(user(&request.get_ref().user_id, "x@example.com")),
        }))
    }

    async fn update_user(
        &self,
        request: Request<auth::UpdateUserRequest>,
    ) -> Answer<auth::UpdateUserResponse> {
        let request = request.into_inner();
        let user = auth::User { disabled: request.disabled, ..user(&request.user_id, "x@example.com") };
        Ok(Response::new(auth::UpdateUserResponse { user: Some(user) }))
    }
}

/// `sentiment`: a text with "good" is positive, an empty one invalid.
#[derive(Clone, Default)]
pub(crate) struct FakeSentiment;

fn model() -> Option<sentiment::ModelRef> {
    Some(sentiment::ModelRef { name: "fake".to_owned(), version: "1".to_owned() })
}

fn judge(text: &str) -> Result<sentiment::Analysis, sentiment::ItemError> {
    if text.is_empty() {
        return Err(sentiment::ItemError {
            reason: "TEXT_EMPTY".to_owned(),
            message: "is empty".to_owned(),
            field: "text".to_owned(),
        });
    }
    let good = text.contains("good");
    let label = if good { sentiment::Label::Positive } else { sentiment::Label::Negative };
    let (positive, negative) = if good { (0.75, 0.25) } else { (0.25, 0.75) };
    Ok(sentiment::Analysis {
        label: label.into(),
        score: positive - negative,
        probabilities: Some(sentiment::Probabilities { positive, neutral: 0.0, negative }),
        model: model(),
        words: vec![sentiment::Word { text: text.to_owned(), start: 0, end: 1, weight: 0.5 }],
    })
}

#[tonic::async_trait]
impl SentimentService for FakeSentiment {
    type AnalyzeStreamStream = BoxStream<'static, Result<sentiment::AnalyzeStreamResponse, Status>>;

    async fn analyze(
        &self,
        request: Request<sentiment::AnalyzeRequest>,
    ) -> Answer<sentiment::AnalyzeResponse> {
        let analysis = judge(&request.get_ref().text)
            .map_err(|error| Error::invalid_field(error.field, error.message).into_status())?;
        Ok(Response::new(sentiment::AnalyzeResponse { analysis: Some(analysis) }))
    }

    async fn analyze_batch(
        &self,
        request: Request<sentiment::AnalyzeBatchRequest>,
    ) -> Answer<sentiment::AnalyzeBatchResponse> {
        use sentiment::batch_result::Outcome;
        let results = request.get_ref().texts.iter().map(|text| sentiment::BatchResult {
            outcome: Some(judge(text).map_or_else(Outcome::Error, Outcome::Analysis)),
        });
        Ok(Response::new(sentiment::AnalyzeBatchResponse { results: results.collect(), model: model() }))
    }

    async fn analyze_stream(
        &self,
        request: Request<Streaming<sentiment::AnalyzeStreamRequest>>,
    ) -> Answer<Self::AnalyzeStreamStream> {
        Ok(Response::new(answers(request.into_inner()).boxed()))
    }

    async fn list_models(
        &self,
        _: Request<sentiment::ListModelsRequest>,
    ) -> Answer<sentiment::ListModelsResponse> {
        let model = sentiment::Model {
            name: "fake".to_owned(),
            version: "1".to_owned(),
            backend: "linear".to_owned(),
            labels: vec![sentiment::Label::Positive.into(), sentiment::Label::Negative.into()],
            explains: true,
            sha256: "00".to_owned(),
            default: true,
        };
        Ok(Response::new(sentiment::ListModelsResponse { models: vec![model] }))
    }
}

/// The text "break" breaks the stream.
fn answers(
    texts: Streaming<sentiment::AnalyzeStreamRequest>,
) -> impl Stream<Item = Result<sentiment::AnalyzeStreamResponse, Status>> {
    use sentiment::analyze_stream_response::Outcome;
    texts.map(|text| {
        let text = text?;
        if text.text == "break" {
            return Err(Error::unavailable("MODEL_AWAY", "the model is away").into_status());
        }
        let outcome = judge(&text.text).map_or_else(Outcome::Error, Outcome::Analysis);
        Ok(sentiment::AnalyzeStreamResponse { id: text.id, outcome: Some(outcome) })
    })
}
