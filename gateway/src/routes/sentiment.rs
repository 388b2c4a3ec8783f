//! `/v1/sentiment`: how texts feel, one or many at a time, and by which models.

use axum::extract::State;
use mesh_proto::sentiment::v1;

use crate::{
    api::{
        incomplete,
        sentiment::{Analysis, AnalyzeBody, Batch, BatchBody, Model, Models},
    },
    guard::Call,
    json::Json,
    problem::Failure,
    route::Route,
    state::Shared,
};

/// 256 texts of 10,000 characters are more than that only in scripts of three bytes a character.
const BATCH_LIMIT: usize = 4 * 1024 * 1024;

/// 10,000 characters beyond the basic plane, each escaped as two halves of six bytes, and room for the rest.
pub(super) const TEXT_LIMIT: usize = 128 * 1024;

/// The routes of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sentiment", analyze)
            .named("sentiment", "analyze", "Analyse a text")
            .calls(&["quipu.sentiment.v1.SentimentService/Analyze"])
            .needs("sentiment:analyze")
            .takes::<AnalyzeBody>()
            .body_limit(TEXT_LIMIT)
            .answers::<Analysis>(200, "How the text feels.")
            .fails(404, "There is no such model."),
        Route::post("/v1/sentiment/batch", batch)
            .named("sentiment", "analyzeBatch", "Analyse many texts")
            .about("A text that is invalid gets an error in its place and does not fail the others.")
            .calls(&["quipu.sentiment.v1.SentimentService/AnalyzeBatch"])
            .needs("sentiment:analyze")
            .takes::<BatchBody>()
            .body_limit(BATCH_LIMIT)
            .answers::<Batch>(200, "One result for each text, in their order.")
            .fails(404, "There is no such model."),
        Route::get("/v1/sentiment/models", models)
            .named("sentiment", "listModels", "List the loaded models")
            .calls(&["quipu.sentiment.v1.SentimentService/ListModels"])
            .needs("sentiment:read")
            .answers::<Models>(200, "The models, the default one first."),
    ]
}

async fn analyze(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<AnalyzeBody>,
) -> Result<Json<Analysis>, Failure> {
    let message = v1::AnalyzeRequest::from(body);
    let explain = message.explain;
    let answer = gateway.sentiment.clone().analyze(call.request(message)).await?;
    let analysis = answer.into_inner().analysis.ok_or_else(|| incomplete("analysis"))?;
    Ok(Json(Analysis::of(analysis, explain)?))
}

async fn batch(
    State(gateway): State<Shared>,
    call: Call,
    Json(body): Json<BatchBody>,
) -> Result<Json<Batch>, Failure> {
    let message = v1::AnalyzeBatchRequest::from(body);
    let explain = message.explain;
    let answer = gateway.sentiment.clone().analyze_batch(call.request(message)).await?;
    Ok(Json(Batch::of(answer.into_inner(), explain)?))
}

async fn models(State(gateway): State<Shared>, call: Call) -> Result<Json<Models>, Failure> {
    let message = v1::ListModelsRequest {};
    let answer = gateway.sentiment.clone().list_models(call.request(message)).await?;
    let models = answer.into_inner().models.into_iter().map(Model::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Models { models }))
}
