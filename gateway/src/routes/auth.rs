//! `/v1/auth`: registration, sign-in and what a user does with the own account.

use axum::extract::State;
use http::StatusCode;
use mesh_error::Error;
use mesh_proto::auth::v1;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{
    Required,
    schema::{ObjectBuilder, Type},
};

use crate::{
    api::{
        auth::{
            ApiKeyBody, ApiKeys, LoginBody, NewApiKey, PasswordBody, RefreshBody, RegisterBody, Sessions,
            Tokens, UserAnswer, all,
        },
        next_page, timestamp,
    },
    guard::Call,
    json::{Created, Json},
    params::{Id, Page},
    problem::Failure,
    rate::Class,
    route::Route,
    state::Shared,
};

/// Characters of a refresh token, as the contract says: to sign out with a longer one is a mistake and not late.
const MAX_REFRESH_TOKEN: usize = 1024;

/// The routes of this file.
pub(super) fn routes() -> Vec<Route> {
    [credentials(), account(), keys()].into_iter().flatten().collect()
}

fn credentials() -> Vec<Route> {
    vec![
        Route::post("/v1/auth/register", register)
            .named("auth", "register", "Make an account")
            .calls(&["quipu.auth.v1.AuthService/Register"])
            .rated(Class::Login)
            .takes::<RegisterBody>()
            .idempotent()
            .answers::<UserAnswer>(201, "The new account.")
            .fails(
                409,
                "The e-mail address has an account, or a request with this idempotency key is in progress.",
            ),
        Route::post("/v1/auth/login", login)
            .named("auth", "login", "Sign in")
            .about("An unknown address, a wrong password and a disabled account are answered alike.")
            .calls(&["quipu.auth.v1.AuthService/Login"])
            .rated(Class::Login)
            .takes::<LoginBody>()
            .answers::<Tokens>(200, "The tokens of a new session.")
            .fails(401, "The address or the password is wrong."),
        Route::post("/v1/auth/refresh", refresh)
            .named("auth", "refresh", "Get new tokens")
            .about("A refresh token is good once; using an old one ends the session.")
            .calls(&["quipu.auth.v1.AuthService/Refresh"])
            .rated(Class::Login)
            .takes::<RefreshBody>()
            .answers::<Tokens>(200, "The next tokens of the session.")
            .fails(401, "The refresh token is not good."),
        Route::post("/v1/auth/logout", logout)
            .named("auth", "logout", "Sign out")
            .about("Ends the session of the refresh token; an unknown token is no error.")
            .calls(&["quipu.auth.v1.AuthService/Logout"])
            .takes::<RefreshBody>()
            .answer(204, "The session is over.", None),
    ]
}

fn account() -> Vec<Route> {
    vec![
        Route::get("/v1/auth/me", me)
            .named("auth", "getMe", "See one's own account")
            .calls(&["quipu.auth.v1.AuthService/GetMe"])
            .needs("profile:read")
            .answers::<UserAnswer>(200, "The account."),
        Route::put("/v1/auth/password", password)
            .named("auth", "changePassword", "Change one's own password")
            .about("Ends all other sessions of the account.")
            .calls(&["quipu.auth.v1.AuthService/ChangePassword"])
            .needs("profile:write")
            .takes::<PasswordBody>()
            .idempotent()
            .answer(204, "The password is changed.", None),
        Route::get("/v1/auth/sessions", sessions)
            .named("auth", "listSessions", "List one's own sessions")
            .calls(&["quipu.auth.v1.AuthService/ListSessions"])
            .needs("profile:read")
            .parameters::<Page>()
            .answers::<Sessions>(200, "A page of sessions."),
        Route::delete("/v1/auth/sessions/{id}", end_session)
            .named("auth", "endSession", "End one of one's own sessions")
            .calls(&["quipu.auth.v1.AuthService/EndSession"])
            .needs("profile:write")
            .parameter(id_parameter("Of the session."))
            .answer(204, "The session is over; its access tokens end within five seconds.", None)
            .fails(404, "There is no such session of the caller."),
    ]
}

fn keys() -> Vec<Route> {
    vec![
        Route::post("/v1/auth/api-keys", create_key)
            .named("auth", "createApiKey", "Make an API key")
            .about("The secret is in this answer and nowhere else; a replay by idempotency key repeats it.")
            .calls(&["quipu.auth.v1.AuthService/CreateApiKey"])
            .needs("keys:manage")
            .takes::<ApiKeyBody>()
            .idempotent()
            .answers::<NewApiKey>(201, "The new key with its secret.")
            .fails(409, "A request with this idempotency key is in progress."),
        Route::get("/v1/auth/api-keys", keys_page)
            .named("auth", "listApiKeys", "List one's own API keys")
            .calls(&["quipu.auth.v1.AuthService/ListApiKeys"])
            .needs("keys:manage")
            .parameters::<Page>()
            .answers::<ApiKeys>(200, "A page of keys."),
        Route::delete("/v1/auth/api-keys/{id}", revoke_key)
            .named("auth", "revokeApiKey", "Revoke one of one's own API keys")
            .calls(&["quipu.auth.v1.AuthService/RevokeApiKey"])
            .needs("keys:manage")
            .parameter(id_parameter("Of the key."))
            .answer(204, "The key is revoked; its access tokens end within five seconds.", None)
            .fails(404, "There is no such key of the caller."),
    ]
}

/// `{id}` in a path.
pub(super) fn id_parameter(description: &'static str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{1,128}$"));
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn client(call: &Call) -> Option<v1::Client> {
    let client = &call.client;
    Some(v1::Client { address: client.address.to_string(), user_agent: client.user_agent.clone() })
}

async fn register(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<RegisterBody>,
) -> Result<Created<UserAnswer>, Failure> {
    let message = v1::RegisterRequest {
        email: body.email,
        password: body.password,
        display_name: body.display_name.unwrap_or_default(),
        client: client(&call),
    };
    let answer = gateway.auth.clone().register(call.request(message)).await?;
    Ok(Created(answer.into_inner().user.try_into()?))
}

async fn login(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<LoginBody>,
) -> Result<Json<Tokens>, Failure> {
    let message = v1::LoginRequest { email: body.email, password: body.password, client: client(&call) };
    let answer = gateway.auth.clone().login(call.request(message)).await?;
    Ok(Json(answer.into_inner().tokens.try_into()?))
}

async fn refresh(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<RefreshBody>,
) -> Result<Json<Tokens>, Failure> {
    let message = v1::RefreshRequest { refresh_token: body.refresh_token, client: client(&call) };
    let answer = gateway.auth.clone().refresh(call.request(message)).await?;
    Ok(Json(answer.into_inner().tokens.try_into()?))
}

async fn logout(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<RefreshBody>,
) -> Result<StatusCode, Failure> {
    if body.refresh_token.len() > MAX_REFRESH_TOKEN {
        return Err(Error::invalid_field("refresh_token", "is longer than any token").into());
    }
    let message = v1::LogoutRequest { refresh_token: body.refresh_token };
    gateway.auth.clone().logout(call.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(State(gateway): State<Shared>, call: Call) -> Result<Json<UserAnswer>, Failure> {
    let answer = gateway.auth.clone().get_me(call.request(v1::GetMeRequest {})).await?;
    Ok(Json(answer.into_inner().user.try_into()?))
}

async fn password(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, Failure> {
    let message = v1::ChangePasswordRequest {
        current_password: body.current_password,
        new_password: body.new_password,
    };
    gateway.auth.clone().change_password(call.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sessions(State(gateway): State<Shared>, call: Call, page: Page) -> Result<Json<Sessions>, Failure> {
    let message = v1::ListSessionsRequest { page_size: page.size()?, page_token: page.token() };
    let answer = gateway.auth.clone().list_sessions(call.request(message)).await?.into_inner();
    Ok(Json(Sessions { sessions: all(answer.sessions)?, next_page_token: next_page(answer.next_page_token) }))
}

async fn end_session(State(gateway): State<Shared>, call: Call, Id(id): Id) -> Result<StatusCode, Failure> {
    let message = v1::EndSessionRequest { session_id: id };
    gateway.auth.clone().end_session(call.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create_key(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<ApiKeyBody>,
) -> Result<Created<NewApiKey>, Failure> {
    let expires_at = body.expires_at.map(|text| timestamp("expires_at", &text)).transpose()?;
    let message = v1::CreateApiKeyRequest { name: body.name, scopes: body.scopes, expires_at };
    let answer = gateway.auth.clone().create_api_key(call.request(message)).await?;
    Ok(Created(answer.into_inner().try_into()?))
}

async fn keys_page(State(gateway): State<Shared>, call: Call, page: Page) -> Result<Json<ApiKeys>, Failure> {
    let message = v1::ListApiKeysRequest { page_size: page.size()?, page_token: page.token() };
    let answer = gateway.auth.clone().list_api_keys(call.request(message)).await?.into_inner();
    Ok(Json(ApiKeys { api_keys: all(answer.api_keys)?, next_page_token: next_page(answer.next_page_token) }))
}

async fn revoke_key(State(gateway): State<Shared>, call: Call, Id(id): Id) -> Result<StatusCode, Failure> {
    let message = v1::RevokeApiKeyRequest { api_key_id: id };
    gateway.auth.clone().revoke_api_key(call.request(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}
