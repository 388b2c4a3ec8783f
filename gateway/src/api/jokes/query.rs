//! Which jokes of a list are wanted.

use axum::extract::FromRequestParts;
use http::request::Parts;
use mesh_error::Error;
use mesh_proto::jokes::v1;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Style;
use crate::{
    params::{Page, query},
    problem::Failure,
};

/// Which page of which jokes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JokesQuery {
    /// How many, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    page_size: Option<i32>,
    /// `next_page_token` of the last answer; absent for the first page.
    #[param(max_length = 2048)]
    page_token: Option<String>,
    /// Only jokes of this style.
    #[param(value_type = Option<Style>)]
    style: Option<String>,
    /// Only jokes of this model.
    model: Option<String>,
}

impl TryFrom<JokesQuery> for v1::ListJokesRequest {
    type Error = Error;

    fn try_from(query: JokesQuery) -> Result<Self, Error> {
        let JokesQuery { page_size, page_token, style, model } = query;
        let page = Page { page_size, page_token };
        let style = style.map_or(Ok(v1::Style::Unspecified), |name| Style::parse("style", &name));
        Ok(Self {
            page_size: page.size()?,
            page_token: page.token(),
            style: style?.into(),
            model: model.unwrap_or_default(),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JokesQuery {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let takes = "the query takes page_size (a number), page_token, style and model, each at most once";
        query(parts, state, takes).await
    }
}
