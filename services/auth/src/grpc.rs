//! The contract `quipu.auth.v1`: each method parses, calls the service and converts; nothing is decided here.
//!
//! Methods that change something run to their end also when the caller leaves.

mod convert;

use std::sync::{Arc, OnceLock};

use futures::stream::{BoxStream, StreamExt};
use mesh_error::Error;
use mesh_proto::auth::v1 as pb;
use mesh_proto::auth::v1::auth_service_server::AuthService;
use mesh_server::{refuse, run_to_end};
use mesh_store::page::PageRequest;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::error::AuthError;
use crate::service::Auth;

/// The gRPC side of the service. The service itself appears when its database does; until then every method is
/// unavailable.
#[derive(Clone)]
pub(crate) struct Grpc {
    auth: Arc<OnceLock<Arc<Auth>>>,
    stop: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

impl Grpc {
    /// `stop` ends streams.
    pub(crate) fn new(auth: Arc<OnceLock<Arc<Auth>>>, stop: CancellationToken) -> Self {
        Self { auth, stop }
    }

    fn auth(&self) -> Result<Arc<Auth>, Status> {
        let starting = || Error::unavailable("STARTING", "the service has no database yet");
        self.auth.get().cloned().ok_or_else(|| refuse(starting()))
    }
}

fn answer<T>(result: Result<T, AuthError>) -> Answer<T> {
    result.map(Response::new).map_err(refuse)
}

#[tonic::async_trait]
impl AuthService for Grpc {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Answer<pb::RegisterResponse> {
        let auth = self.auth()?;
        let actor = convert::actor(&request, request.get_ref().client.as_ref()).map_err(refuse)?;
        let new = convert::new_account(request.get_ref()).map_err(refuse)?;
        let user = run_to_end(async move { auth.register(&actor, new).await }).await;
        answer(user.map(|user| pb::RegisterResponse { user: Some(convert::user(user)) }))
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Answer<pb::LoginResponse> {
        let auth = self.auth()?;
        let actor = convert::actor(&request, request.get_ref().client.as_ref()).map_err(refuse)?;
        let (email, password) = convert::credentials(request.get_ref()).map_err(refuse)?;
        let tokens = run_to_end(async move { auth.login(&actor, &email, password).await }).await;
        answer(tokens.map(|tokens| pb::LoginResponse { tokens: Some(convert::token_pair(tokens)) }))
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Answer<pb::RefreshResponse> {
        let auth = self.auth()?;
        let actor = convert::actor(&request, request.get_ref().client.as_ref()).map_err(refuse)?;
        let token = request.into_inner().refresh_token;
        let tokens = run_to_end(async move { auth.refresh(&actor, &token).await }).await;
        answer(tokens.map(|tokens| pb::RefreshResponse { tokens: Some(convert::token_pair(tokens)) }))
    }

    async fn logout(&self, request: Request<pb::LogoutRequest>) -> Answer<pb::LogoutResponse> {
        let auth = self.auth()?;
        let actor = convert::actor(&request, None).map_err(refuse)?;
        let token = request.into_inner().refresh_token;
        let done = run_to_end(async move { auth.logout(&actor, &token).await }).await;
        answer(done.map(|()| pb::LogoutResponse {}))
    }

    async fn exchange_token(
        &self,
        request: Request<pb::ExchangeTokenRequest>,
    ) -> Answer<pb::ExchangeTokenResponse> {
        let auth = self.auth()?;
        let actor = convert::actor(&request, None).map_err(refuse)?;
        let exchange = convert::exchange(request.into_inner()).map_err(refuse)?;
        let exchanged = run_to_end(async move {
            match exchange {
                convert::Exchange::ApiKey(key, scopes) => auth.exchange_api_key(&actor, &key, &scopes).await,
                convert::Exchange::AccessToken(token, scopes) => {
                    auth.exchange_access_token(&token, &scopes).await
                }
            }
        });
        answer(exchanged.await.map(convert::exchanged))
    }

    async fn get_jwks(&self, _: Request<pb::GetJwksRequest>) -> Answer<pb::GetJwksResponse> {
        answer(self.auth()?.jwks().map(|jwks| pb::GetJwksResponse { jwks }))
    }

    type WatchRevocationsStream = BoxStream<'static, Result<pb::WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        request: Request<pb::WatchRevocationsRequest>,
    ) -> Answer<Self::WatchRevocationsStream> {
        let auth = self.auth()?;
        let cursor = convert::cursor(request.get_ref().cursor).map_err(refuse)?;
        let events = auth.feed().watch_from(cursor, self.stop.clone());
        let events = events.map(|event| event.map(convert::revocation_event).map_err(refuse));
        Ok(Response::new(events.boxed()))
    }

    async fn check_session(
        &self,
        request: Request<pb::CheckSessionRequest>,
    ) -> Answer<pb::CheckSessionResponse> {
        let auth = self.auth()?;
        let asked = request.into_inner();
        let issued_at = convert::issued_at(asked.issued_at).map_err(refuse)?;
        if ![&asked.session_id, &asked.user_id].into_iter().all(|id| convert::is_id(id)) {
            return Ok(Response::new(pb::CheckSessionResponse { active: false }));
        }
        let active = auth.feed().is_active(&asked.session_id, &asked.user_id, issued_at).await;
        answer(active.map(|active| pb::CheckSessionResponse { active }))
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Answer<pb::GetMeResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let user = auth.me(&caller).await;
        answer(user.map(|user| pb::GetMeResponse { user: Some(convert::user(user)) }))
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Answer<pb::ChangePasswordResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let (current, new) = convert::passwords(request.into_inner()).map_err(refuse)?;
        let done =
            run_to_end(async move { auth.change_password(&caller, current, new.expose()).await }).await;
        answer(done.map(|()| pb::ChangePasswordResponse {}))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Answer<pb::ListSessionsResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let asked = request.into_inner();
        let page = PageRequest::new(asked.page_size, asked.page_token).map_err(refuse)?;
        let page = auth.list_sessions(&caller, &page).await;
        answer(page.map(|page| pb::ListSessionsResponse {
            sessions: page.items.into_iter().map(|session| convert::session(session, &caller)).collect(),
            next_page_token: page.next,
        }))
    }

    async fn end_session(&self, request: Request<pb::EndSessionRequest>) -> Answer<pb::EndSessionResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let id = convert::id(request.into_inner().session_id, "session").map_err(refuse)?;
        let done = run_to_end(async move { auth.end_session(&caller, &id).await }).await;
        answer(done.map(|()| pb::EndSessionResponse {}))
    }

    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Answer<pb::CreateApiKeyResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let new = convert::new_key(request.into_inner()).map_err(refuse)?;
        let made = run_to_end(async move { auth.create_api_key(&caller, new).await }).await;
        answer(
            made.map(|(key, secret)| pb::CreateApiKeyResponse {
                api_key: Some(convert::api_key(key)),
                secret,
            }),
        )
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Answer<pb::ListApiKeysResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let asked = request.into_inner();
        let page = PageRequest::new(asked.page_size, asked.page_token).map_err(refuse)?;
        let page = auth.list_api_keys(&caller, &page).await;
        answer(page.map(|page| pb::ListApiKeysResponse {
            api_keys: page.items.into_iter().map(convert::api_key).collect(),
            next_page_token: page.next,
        }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Answer<pb::RevokeApiKeyResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let id = convert::id(request.into_inner().api_key_id, "API key").map_err(refuse)?;
        let done = run_to_end(async move { auth.revoke_api_key(&caller, &id).await }).await;
        answer(done.map(|()| pb::RevokeApiKeyResponse {}))
    }

    async fn verify_api_key(
        &self,
        request: Request<pb::VerifyApiKeyRequest>,
    ) -> Answer<pb::VerifyApiKeyResponse> {
        let auth = self.auth()?;
        let actor = convert::actor(&request, None).map_err(refuse)?;
        let key = request.into_inner().api_key;
        let verified = run_to_end(async move { auth.verify_api_key(&actor, &key).await }).await;
        answer(verified.map(|(key, user)| pb::VerifyApiKeyResponse {
            api_key: Some(convert::api_key(key)),
            roles: user.roles.names(),
            user_id: user.id,
        }))
    }

    async fn list_users(&self, request: Request<pb::ListUsersRequest>) -> Answer<pb::ListUsersResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let asked = request.into_inner();
        let page = PageRequest::new(asked.page_size, asked.page_token).map_err(refuse)?;
        let page = auth.list_users(&caller, &page).await;
        answer(page.map(|page| pb::ListUsersResponse {
            users: page.items.into_iter().map(convert::user).collect(),
            next_page_token: page.next,
        }))
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Answer<pb::GetUserResponse> {
        let id = convert::id(request.into_inner().user_id, "user").map_err(refuse)?;
        let user = self.auth()?.get_user(&id).await;
        answer(user.map(|user| pb::GetUserResponse { user: Some(convert::user(user)) }))
    }

    async fn update_user(&self, request: Request<pb::UpdateUserRequest>) -> Answer<pb::UpdateUserResponse> {
        let auth = self.auth()?;
        let caller = convert::caller(&request).map_err(refuse)?;
        let (id, changes) = convert::changes(request.into_inner()).map_err(refuse)?;
        let user = run_to_end(async move { auth.update_user(&caller, &id, &changes).await }).await;
        answer(user.map(|user| pb::UpdateUserResponse { user: Some(convert::user(user)) }))
    }
}
