//! Path and query parameters, with failures in the gateway's own form.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use mesh_error::Error;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use crate::problem::Failure;

/// The `{id}` of a path: 1 to 128 letters, digits, `-` and `_`. Anything else names nothing.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let nothing = || Failure::from(Error::not_found("object"));
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| nothing())?;
        if is_id(&id) { Ok(Self(id)) } else { Err(nothing()) }
    }
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// How many, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) page_size: Option<i32>,
    /// `next_page_token` of the last answer; absent for the first page.
    #[param(max_length = 2048)]
    pub(crate) page_token: Option<String>,
}

impl Page {
    /// The size for the service, which takes 0 for "not given".
    pub(crate) fn size(&self) -> Result<i32, Error> {
        match self.page_size {
            None => Ok(0),
            Some(size @ 1..=200) => Ok(size),
            Some(_) => Err(Error::invalid_field("page_size", "must be 1 to 200")),
        }
    }

    /// The token for the service, empty for the first page.
    pub(crate) fn token(self) -> String {
        self.page_token.unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let takes = "the query takes page_size (a number) and page_token, each at most once";
        query(parts, state, takes).await
    }
}

/// The query as exactly the fields of a type that denies unknown ones; `takes` says what those are.
pub(crate) async fn query<T: DeserializeOwned, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    takes: &'static str,
) -> Result<T, Failure> {
    let read = Query::<T>::from_request_parts(parts, state).await;
    read.map(|Query(query)| query).map_err(|_| Failure::bad_request("INVALID_QUERY", takes))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn page(query: &str) -> Result<(i32, String), Failure> {
        let (mut parts, ()) = http::Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
        let page = Page::from_request_parts(&mut parts, &()).await?;
        Ok((page.size()?, page.token()))
    }

    #[tokio::test]
    async fn a_page_is_strict() {
        assert_eq!(page("").await.unwrap(), (0, String::new()));
        assert_eq!(page("page_size=200&page_token=a%2Bb").await.unwrap(), (200, "a+b".into()));
        for bad in [
            "page_size=0",
            "page_size=-1",
            "page_size=201",
            "page_size=1e3",
            "page_size=1&page_size=2",
            "x=1",
        ] {
            assert!(page(bad).await.is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_plain() {
        assert!(is_id("0192-Ab_c"));
        for bad in ["", "a b", "..", "a/b", "a\0", "ä", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }
}
