//! Accounts, tokens, sessions and API keys, as JSON.

use mesh_error::Error;
use mesh_proto::auth::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incomplete, time};

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterBody {
    /// At most 254 characters; compared without case.
    #[schema(max_length = 254, format = "email")]
    pub(crate) email: String,
    /// 8 to 128 Unicode characters; the commonest passwords are refused.
    #[schema(min_length = 8, max_length = 128, format = "password")]
    pub(crate) password: String,
    /// At most 100 characters.
    #[schema(max_length = 100)]
    pub(crate) display_name: Option<String>,
}

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginBody {
    /// As registered.
    #[schema(max_length = 254)]
    pub(crate) email: String,
    /// As registered.
    #[schema(max_length = 128, format = "password")]
    pub(crate) password: String,
}

/// A refresh token, from a sign-in or a refresh.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshBody {
    /// Good for one refresh.
    #[schema(max_length = 1024)]
    pub(crate) refresh_token: String,
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    /// Up to now.
    #[schema(max_length = 128, format = "password")]
    pub(crate) current_password: String,
    /// From now on: 8 to 128 Unicode characters; the commonest passwords are refused.
    #[schema(min_length = 8, max_length = 128, format = "password")]
    pub(crate) new_password: String,
}

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyBody {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: String,
    /// What it may do: at least one, each among one's own.
    #[schema(min_items = 1)]
    pub(crate) scopes: Vec<String>,
    /// When it ends; absent means never.
    #[schema(format = "date-time")]
    pub(crate) expires_at: Option<String>,
}

/// A change of an account: at least one field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(crate) struct UserPatch {
    /// The new roles.
    pub(crate) roles: Option<Vec<String>>,
    /// Whether sign-in is refused.
    pub(crate) disabled: Option<bool>,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    /// Opaque and never reused.
    id: String,
    /// In lower case.
    email: String,
    /// May be empty.
    display_name: String,
    /// "user", "admin".
    roles: Vec<String>,
    /// Whether sign-in is refused.
    disabled: bool,
    /// When it was made.
    #[schema(format = "date-time")]
    created_at: String,
}

/// One account.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserAnswer {
    /// The account.
    user: User,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Users {
    /// Newest first.
    pub(crate) users: Vec<User>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// A JWT for the `Authorization` header.
    access_token: String,
    /// For one refresh.
    refresh_token: String,
    /// Always "Bearer".
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u32,
}

/// A sign-in that can be refreshed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// Opaque.
    id: String,
    /// When the person signed in.
    #[schema(format = "date-time")]
    created_at: String,
    /// When it was last refreshed.
    #[schema(format = "date-time")]
    last_used_at: String,
    /// When it ends if it is not refreshed.
    #[schema(format = "date-time")]
    expires_at: String,
    /// Where the person signed in from.
    client: SessionClient,
    /// Whether this request belongs to it.
    current: bool,
}

/// Where a person signed in from.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionClient {
    /// IP address.
    address: String,
    /// `User-Agent`.
    user_agent: String,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// Newest first.
    pub(crate) sessions: Vec<Session>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
}

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKey {
    /// Opaque.
    id: String,
    /// Chosen by its owner.
    name: String,
    /// How the secret begins.
    prefix: String,
    /// What it may do.
    scopes: Vec<String>,
    /// When it was made.
    #[schema(format = "date-time")]
    created_at: String,
    /// When it ends; absent means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// When it was last used, to the minute; absent means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    last_used_at: Option<String>,
}

/// A new API key.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewApiKey {
    /// The key.
    api_key: ApiKey,
    /// The whole key, shown once: for `X-Api-Key` or `Authorization: Bearer`.
    secret: String,
}

/// A page of API keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeys {
    /// Newest first.
    pub(crate) api_keys: Vec<ApiKey>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
}

fn at(time_of: Option<prost_types::Timestamp>) -> Result<String, Error> {
    time_of.as_ref().map(time).ok_or_else(|| incomplete("time"))
}

impl TryFrom<v1::User> for User {
    type Error = Error;

    fn try_from(user: v1::User) -> Result<Self, Error> {
        Ok(Self {
            id: user.id,
            email: user.email,
            display_name: user.display_name,
            roles: user.roles,
            disabled: user.disabled,
            created_at: at(user.created_at)?,
        })
    }
}

impl TryFrom<Option<v1::User>> for UserAnswer {
    type Error = Error;

    fn try_from(user: Option<v1::User>) -> Result<Self, Error> {
        Ok(Self { user: user.ok_or_else(|| incomplete("user"))?.try_into()? })
    }
}

impl TryFrom<Option<v1::TokenPair>> for Tokens {
    type Error = Error;

    fn try_from(tokens: Option<v1::TokenPair>) -> Result<Self, Error> {
        let tokens = tokens.ok_or_else(|| incomplete("tokens"))?;
        Ok(Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in,
        })
    }
}

impl TryFrom<v1::Session> for Session {
    type Error = Error;

    fn try_from(session: v1::Session) -> Result<Self, Error> {
        let client = session.client.unwrap_or_default();
        Ok(Self {
            id: session.id,
            created_at: at(session.created_at)?,
            last_used_at: at(session.last_used_at)?,
            expires_at: at(session.expires_at)?,
            client: SessionClient { address: client.address, user_agent: client.user_agent },
            current: session.current,
        })
    }
}

impl TryFrom<v1::ApiKey> for ApiKey {
    type Error = Error;

    fn try_from(key: v1::ApiKey) -> Result<Self, Error> {
        Ok(Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes,
            created_at: at(key.created_at)?,
            expires_at: key.expires_at.as_ref().map(time),
            last_used_at: key.last_used_at.as_ref().map(time),
        })
    }
}

impl TryFrom<v1::CreateApiKeyResponse> for NewApiKey {
    type Error = Error;

    fn try_from(new: v1::CreateApiKeyResponse) -> Result<Self, Error> {
        let api_key = new.api_key.ok_or_else(|| incomplete("key"))?.try_into()?;
        Ok(Self { api_key, secret: new.secret })
    }
}

/// Each item of a list.
pub(crate) fn all<T, U: TryFrom<T, Error = Error>>(items: Vec<T>) -> Result<Vec<U>, Error> {
    items.into_iter().map(U::try_from).collect()
}
