//! `/v1/jokes`, `/v1/chat` and `/v1/usage`: jokes from a language model, talk with one, and what both may cost.

mod chat;
mod events;
mod failure;
mod made;

use axum::extract::State;
use http::StatusCode;
use mesh_proto::jokes::v1;

use self::failure::failed;
use super::auth::id_parameter;
use crate::{
    api::{
        jokes::{Budgets, FeedbackBody, Joke, JokeAnswer, JokeModel, JokeModels, Jokes, JokesQuery},
        next_page,
    },
    guard::Call,
    json::Json,
    params::Id,
    problem::Failure,
    route::Route,
    state::Shared,
};

/// Said of a joke that is not there.
const NO_JOKE: &str = "There is no such joke of the caller.";

/// The routes of this folder.
pub(super) fn routes() -> Vec<Route> {
    let mut all = vec![made::route()];
    all.extend(kept());
    all.extend([
        chat::route(),
        Route::get("/v1/jokes/models", models)
            .named("jokes", "listJokeModels", "List the language models")
            .calls(&["quipu.jokes.v1.JokeService/ListModels"])
            .needs("jokes:read")
            .answers::<JokeModels>(200, "The models, the default one first."),
        Route::get("/v1/usage", usage)
            .named("jokes", "getUsage", "See what was used of the budgets")
            .calls(&["quipu.jokes.v1.JokeService/GetUsage"])
            .needs("jokes:read")
            .answers::<Budgets>(200, "The budgets of the user and of the credential."),
    ]);
    all
}

/// The routes of jokes that are made.
fn kept() -> [Route; 4] {
    [
        Route::get("/v1/jokes", list)
            .named("jokes", "listJokes", "List one's own jokes")
            .calls(&["quipu.jokes.v1.JokeService/ListJokes"])
            .needs("jokes:read")
            .parameters::<JokesQuery>()
            .answers::<Jokes>(200, "A page of jokes, newest first."),
        Route::get("/v1/jokes/{id}", get)
            .named("jokes", "getJoke", "See a joke")
            .calls(&["quipu.jokes.v1.JokeService/GetJoke"])
            .needs("jokes:read")
            .parameter(id_parameter("Of the joke."))
            .answers::<JokeAnswer>(200, "The joke.")
            .fails(404, NO_JOKE),
        Route::delete("/v1/jokes/{id}", delete)
            .named("jokes", "deleteJoke", "Delete a joke")
            .about("Again it is 404, which then says that it is done.")
            .calls(&["quipu.jokes.v1.JokeService/DeleteJoke"])
            .needs("jokes:write")
            .parameter(id_parameter("Of the joke."))
            .answer(204, "The joke is deleted for good.", None)
            .fails(404, NO_JOKE),
        Route::post("/v1/jokes/{id}/feedback", rate)
            .named("jokes", "rateJoke", "Say how a joke was liked")
            .about("The last word counts.")
            .calls(&["quipu.jokes.v1.JokeService/RateJoke"])
            .needs("jokes:write")
            .parameter(id_parameter("Of the joke."))
            .takes::<FeedbackBody>()
            .answers::<JokeAnswer>(200, "The joke with its rating.")
            .fails(404, NO_JOKE),
    ]
}

async fn list(State(gateway): State<Shared>, call: Call, query: JokesQuery) -> Result<Json<Jokes>, Failure> {
    let message = v1::ListJokesRequest::try_from(query)?;
    let answer = gateway.jokes.clone().list_jokes(call.request(message)).await.map_err(failed)?.into_inner();
    let jokes = answer.jokes.into_iter().map(Joke::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Jokes { jokes, next_page_token: next_page(answer.next_page_token) }))
}

async fn get(State(gateway): State<Shared>, call: Call, Id(id): Id) -> Result<Json<JokeAnswer>, Failure> {
    let message = v1::GetJokeRequest { id };
    let answer = gateway.jokes.clone().get_joke(call.request(message)).await.map_err(failed)?;
    Ok(Json(answer.into_inner().joke.try_into()?))
}

async fn delete(State(gateway): State<Shared>, call: Call, Id(id): Id) -> Result<StatusCode, Failure> {
    let message = v1::DeleteJokeRequest { id };
    gateway.jokes.clone().delete_joke(call.request(message)).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rate(
    State(gateway): State<Shared>,
    call: Call,
    Id(id): Id,
    Json(body): Json<FeedbackBody>,
) -> Result<Json<JokeAnswer>, Failure> {
    let comment = body.comment.unwrap_or_default();
    let message = v1::RateJokeRequest { id, rating: body.rating, comment };
    let answer = gateway.jokes.clone().rate_joke(call.request(message)).await.map_err(failed)?;
    Ok(Json(answer.into_inner().joke.try_into()?))
}

async fn models(State(gateway): State<Shared>, call: Call) -> Result<Json<JokeModels>, Failure> {
    let message = v1::ListModelsRequest {};
    let answer = gateway.jokes.clone().list_models(call.request(message)).await.map_err(failed)?;
    let models = answer.into_inner().models.into_iter().map(JokeModel::from).collect();
    Ok(Json(JokeModels { models }))
}

async fn usage(State(gateway): State<Shared>, call: Call) -> Result<Json<Budgets>, Failure> {
    let message = v1::GetUsageRequest {};
    let answer = gateway.jokes.clone().get_usage(call.request(message)).await.map_err(failed)?;
    Ok(Json(answer.into_inner().try_into()?))
}
