//! `/v1/users`: accounts, for administrators.

use axum::extract::State;
use mesh_error::Error;
use mesh_proto::auth::v1;
use prost_types::FieldMask;

use super::auth::id_parameter;
use crate::{
    api::{
        auth::{UserAnswer, UserPatch, Users, all},
        next_page,
    },
    guard::Call,
    json::Json,
    params::{Id, Page},
    problem::Failure,
    route::Route,
    state::Shared,
};

/// The routes of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/users", list)
            .named("users", "listUsers", "List accounts")
            .calls(&["quipu.auth.v1.AuthService/ListUsers"])
            .needs("users:admin")
            .parameters::<Page>()
            .answers::<Users>(200, "A page of accounts."),
        Route::get("/v1/users/{id}", get)
            .named("users", "getUser", "See an account")
            .calls(&["quipu.auth.v1.AuthService/GetUser"])
            .needs("users:admin")
            .parameter(id_parameter("Of the account."))
            .answers::<UserAnswer>(200, "The account.")
            .fails(404, "There is no such account."),
        Route::patch("/v1/users/{id}", update)
            .named("users", "updateUser", "Change an account's roles or disable it")
            .about("Either ends the account's sessions. The last administrator stays one.")
            .calls(&["quipu.auth.v1.AuthService/UpdateUser"])
            .needs("users:admin")
            .parameter(id_parameter("Of the account."))
            .takes::<UserPatch>()
            .idempotent()
            .answers::<UserAnswer>(200, "The account as it is now.")
            .fails(404, "There is no such account."),
    ]
}

async fn list(State(gateway): State<Shared>, call: Call, page: Page) -> Result<Json<Users>, Failure> {
    let message = v1::ListUsersRequest { page_size: page.size()?, page_token: page.token() };
    let answer = gateway.auth.clone().list_users(call.request(message)).await?.into_inner();
    Ok(Json(Users { users: all(answer.users)?, next_page_token: next_page(answer.next_page_token) }))
}

async fn get(State(gateway): State<Shared>, call: Call, Id(id): Id) -> Result<Json<UserAnswer>, Failure> {
    let message = v1::GetUserRequest { user_id: id };
    let answer = gateway.auth.clone().get_user(call.request(message)).await?;
    Ok(Json(answer.into_inner().user.try_into()?))
}

async fn update(
    State(gateway): State<Shared>,
    call: Call,
    Id(id): Id,
    Json(patch): Json<UserPatch>,
) -> Result<Json<UserAnswer>, Failure> {
    let message = changes(id, patch)?;
    let answer = gateway.auth.clone().update_user(call.request(message)).await?;
    Ok(Json(answer.into_inner().user.try_into()?))
}

/// A patch as a message with its mask.
fn changes(id: String, patch: UserPatch) -> Result<v1::UpdateUserRequest, Error> {
    let named = [("roles", patch.roles.is_some()), ("disabled", patch.disabled.is_some())];
    let paths: Vec<_> =
        named.iter().filter(|(_, given)| *given).map(|(name, _)| (*name).to_owned()).collect();
    if paths.is_empty() {
        return Err(Error::invalid_field("roles", "give roles, disabled, or both"));
    }
    Ok(v1::UpdateUserRequest {
        user_id: id,
        roles: patch.roles.unwrap_or_default(),
        disabled: patch.disabled.unwrap_or_default(),
        update_mask: Some(FieldMask { paths }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_names_what_was_given() {
        let mask = |roles, disabled| {
            changes("u".into(), UserPatch { roles, disabled })
                .map(|m| m.update_mask.unwrap_or_default().paths)
        };
        assert_eq!(mask(Some(vec![]), None).unwrap(), ["roles"]);
        assert_eq!(mask(None, Some(false)).unwrap(), ["disabled"]);
        assert_eq!(mask(Some(vec![]), Some(true)).unwrap(), ["roles", "disabled"]);
        assert!(mask(None, None).is_err());
    }
}
