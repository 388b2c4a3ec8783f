//! Between the contract's types and ours. What comes in is checked here, every field at once.

use std::collections::BTreeSet;

use chrono::{DateTime, SubsecRound, Utc};
use mesh_config::Secret;
use mesh_error::{Error, Result, Violations};
use mesh_identity::{RevocationEvent, RevokedSubject, Scopes};
use mesh_proto::auth::v1 as pb;
use prost_types::Timestamp;
use tonic::Request;

use crate::audit::Actor;
use crate::domain::{Client, Email, Password, Roles, api_key, base62, refresh, text};
use crate::service::{Caller, Changes, Exchanged, NewAccount, NewKey, TokenPair};
use crate::store::api_keys::ApiKey;
use crate::store::sessions::Session;
use crate::store::users::User;

/// 9999-12-31T23:59:59Z, the last second of `google.protobuf.Timestamp`.
const LAST_SECOND: i64 = 253_402_300_799;

/// A credential to be exchanged, and the scopes wanted.
pub(super) enum Exchange {
    ApiKey(String, Scopes),
    AccessToken(String, Scopes),
}

/// Who calls without a user: the workload, for the person at that client.
pub(super) fn actor<T>(request: &Request<T>, client: Option<&pb::Client>) -> Result<Actor> {
    let workload = mesh_server::principal(request)?.workload.to_string();
    let client = client.map(|client| Client::new(&client.address, &client.user_agent)).unwrap_or_default();
    Ok(Actor { name: workload, client })
}

/// The user in whose name the call is made.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller> {
    let claims = &mesh_server::user(request)?.claims;
    Ok(Caller {
        user_id: claims.sub.clone(),
        session_id: claims.sid.clone(),
        scopes: claims.scope.clone(),
        actor: Actor { name: claims.sub.clone(), client: Client::default() },
    })
}

pub(super) fn new_account(request: &pb::RegisterRequest) -> Result<NewAccount> {
    let mut violations = Violations::new();
    let email = violations.check("email", Email::parse(&request.email));
    let password = violations.check("password", Password::choose(&request.password, email.as_ref()));
    let display_name = violations.check("display_name", text::line(&request.display_name, 0, 100));
    match (email, password, display_name) {
        (Some(email), Some(password), Some(display_name)) => Ok(NewAccount { email, password, display_name }),
        _ => Err(violations.into_error()),
    }
}

pub(super) fn credentials(request: &pb::LoginRequest) -> Result<(Email, Password)> {
    let mut violations = Violations::new();
    let email = violations.check("email", Email::parse(&request.email));
    let password = violations.check("password", Password::attempt(&request.password));
    match (email, password) {
        (Some(email), Some(password)) => Ok((email, password)),
        _ => Err(violations.into_error()),
    }
}

/// The new password is judged where the account is known.
pub(super) fn passwords(request: pb::ChangePasswordRequest) -> Result<(Password, Secret)> {
    let current = Password::attempt(&request.current_password);
    let current = current.map_err(|fault| Error::invalid_field("current_password", fault))?;
    Ok((current, Secret::from(request.new_password)))
}

pub(super) fn exchange(request: pb::ExchangeTokenRequest) -> Result<Exchange> {
    let mut violations = Violations::new();
    let wanted = violations.check("scopes", scopes(&request.scopes));
    let kind = request.subject_token_type();
    if kind == pb::SubjectTokenType::Unspecified {
        violations.push("subject_token_type", "must be API_KEY or ACCESS_TOKEN");
    }
    match (kind, wanted) {
        (pb::SubjectTokenType::ApiKey, Some(wanted)) => Ok(Exchange::ApiKey(request.subject_token, wanted)),
        (pb::SubjectTokenType::AccessToken, Some(wanted)) => {
            Ok(Exchange::AccessToken(request.subject_token, wanted))
        }
        _ => Err(violations.into_error()),
    }
}

pub(super) fn new_key(request: pb::CreateApiKeyRequest) -> Result<NewKey> {
    let mut violations = Violations::new();
    let name = violations.check("name", text::line(&request.name, 1, 100));
    let wanted = violations.check("scopes", scopes(&request.scopes));
    if request.scopes.is_empty() {
        violations.push("scopes", "must name at least one scope");
    }
    let expires_at = violations.check("expires_at", request.expires_at.map(time).transpose());
    match (name, wanted, expires_at) {
        (Some(name), Some(scopes), Some(expires_at)) if !scopes.is_empty() => {
            Ok(NewKey { name, scopes, expires_at })
        }
        _ => Err(violations.into_error()),
    }
}

pub(super) fn changes(request: pb::UpdateUserRequest) -> Result<(String, Changes)> {
    let mut violations = Violations::new();
    let mut changes = Changes::default();
    let mask = request.update_mask.unwrap_or_default();
    let names = |name: &str| mask.paths.iter().any(|path| path == name);
    if names("roles") {
        changes.roles = violations.check("roles", Roles::parse(request.roles.iter().map(String::as_str)));
    }
    if names("disabled") {
        changes.disabled = Some(request.disabled);
    }
    if mask.paths.iter().any(|path| !matches!(path.as_str(), "roles" | "disabled")) {
        violations.push("update_mask", "may name \"roles\" and \"disabled\" only");
    }
    if mask.paths.is_empty() {
        violations.push("update_mask", "must name \"roles\", \"disabled\" or both");
    }
    violations.finish()?;
    Ok((id(request.user_id, "user")?, changes))
}

/// The id of an object. What is no id of ours names nothing; it never reaches the database.
pub(super) fn id(id: String, what: &'static str) -> Result<String> {
    if is_id(&id) { Ok(id) } else { Err(Error::not_found(what)) }
}

/// Whether it could be one of ours.
pub(super) fn is_id(id: &str) -> bool {
    base62::is_valid(id, base62::length(refresh::ID_BYTES))
}

pub(super) fn cursor(cursor: i64) -> Result<i64> {
    if cursor < 0 { Err(Error::invalid_field("cursor", "must not be negative")) } else { Ok(cursor) }
}

pub(super) fn issued_at(issued_at: Option<Timestamp>) -> Result<i64> {
    let issued_at = issued_at.ok_or_else(|| Error::invalid_field("issued_at", "must be given"))?;
    Ok(issued_at.seconds)
}

/// Names may repeat; unknown ones are refused where it is known what the credential has.
fn scopes(names: &[String]) -> Result<Scopes, String> {
    let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if distinct.iter().any(|name| name.is_empty() || name.contains(' ')) {
        return Err("must be names of scopes".to_owned());
    }
    let text = distinct.into_iter().collect::<Vec<_>>().join(" ");
    text.parse::<Scopes>().map_err(|fault| fault.to_string())
}

/// To the microsecond, as it is stored.
fn time(time: Timestamp) -> Result<DateTime<Utc>, &'static str> {
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    nanos
        .filter(|_| (0..=LAST_SECOND).contains(&time.seconds))
        .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
        .map(|time| time.trunc_subsecs(6))
        .ok_or("must be a time between 1970 and 9999")
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: time.timestamp(), nanos }
}

pub(super) fn user(user: User) -> pb::User {
    pb::User {
        roles: user.roles.names(),
        id: user.id,
        email: user.email,
        display_name: user.display_name,
        disabled: user.disabled,
        created_at: Some(timestamp(user.created_at)),
    }
}

pub(super) fn token_pair(tokens: TokenPair) -> pb::TokenPair {
    pb::TokenPair {
        access_token: tokens.access,
        refresh_token: tokens.refresh,
        expires_in: tokens.expires_in,
    }
}

pub(super) fn exchanged(exchanged: Exchanged) -> pb::ExchangeTokenResponse {
    pb::ExchangeTokenResponse {
        access_token: exchanged.access.token,
        expires_in: exchanged.access.expires_in,
        scopes: exchanged.scopes.iter().map(str::to_owned).collect(),
    }
}

pub(super) fn session(session: Session, caller: &Caller) -> pb::Session {
    pb::Session {
        current: session.id == caller.session_id,
        id: session.id,
        created_at: Some(timestamp(session.created_at)),
        last_used_at: Some(timestamp(session.last_used_at)),
        expires_at: Some(timestamp(session.expires_at)),
        client: Some(pb::Client { address: session.address, user_agent: session.user_agent }),
    }
}

pub(super) fn api_key(key: ApiKey) -> pb::ApiKey {
    pb::ApiKey {
        prefix: api_key::prefix(&key.id),
        scopes: key.scopes().iter().map(str::to_owned).collect(),
        id: key.id,
        name: key.name,
        created_at: Some(timestamp(key.created_at)),
        expires_at: key.expires_at.map(timestamp),
        last_used_at: key.last_used_at.map(timestamp),
    }
}

pub(super) fn revocation_event(event: RevocationEvent) -> pb::WatchRevocationsResponse {
    let revocation = match event {
        RevocationEvent::Heartbeat { cursor } => {
            return pb::WatchRevocationsResponse { cursor, revocation: None };
        }
        RevocationEvent::Revoked(revocation) => revocation,
    };
    let subject = match revocation.subject {
        RevokedSubject::Session(id) => pb::revocation::Subject::SessionId(id),
        RevokedSubject::User(id) => pb::revocation::Subject::UserId(id),
    };
    let seconds = i64::try_from(revocation.revoked_at).unwrap_or(i64::MAX);
    pb::WatchRevocationsResponse {
        cursor: revocation.cursor,
        revocation: Some(pb::Revocation {
            subject: Some(subject),
            revoked_at: Some(Timestamp { seconds, nanos: 0 }),
        }),
    }
}

#[cfg(test)]
mod tests;
