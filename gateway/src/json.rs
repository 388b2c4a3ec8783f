//! Strict JSON: one object of exactly the known fields, each once, and nothing behind it.
//!
//! The types that are read all deny unknown fields; serde refuses a field that comes twice and serde_json anything
//! deeper than 128 levels. What is wrong is said without repeating the caller's own values: they may be secrets.

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use mesh_error::{Error, Violation};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::{body, guard::Facts, problem::Failure, route::BODY_LIMIT};

/// A JSON body, in or out (200).
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body with status 201.
#[derive(Debug)]
pub(crate) struct Created<T>(pub(crate) T);

/// Reads one object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    // serde would also fill a struct from an array.
    if first.is_some_and(|b| matches!(b, b'[')) {
        return Err(invalid("the body must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| explain(&error))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(mesh_error::Kind::InvalidArgument, "INVALID_JSON", message)
}

/// What serde found, without the values that it found.
fn explain(error: &serde_json::Error) -> Error {
    let place = format!("at line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => invalid("the body ends too early"),
        Category::Syntax | Category::Io => invalid(format!("the body is not valid JSON {place}")),
        Category::Data => {
            let text = error.to_string();
            for (start, detail) in FIELD_FAULTS {
                if let Some(field) = text.strip_prefix(start).and_then(|rest| rest.split('`').next()) {
                    let field = field.chars().take(64).collect();
                    return Error::invalid(vec![Violation { field, description: detail.to_owned() }]);
                }
            }
            invalid(format!("a value is not of the type that is expected {place}"))
        }
    }
}

/// How serde begins its messages about fields.
const FIELD_FAULTS: [(&str, &str); 3] = [
    ("unknown field `", "is not a field of this request"),
    ("missing field `", "is missing"),
    ("duplicate field `", "is given twice"),
];

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        body::check_type(&parts.headers, body::JSON)?;
        let limit = parts.extensions.get::<Facts>().map_or(BODY_LIMIT, |facts| facts.0.body_limit);
        let bytes = body::collect(&parts, body, limit).await?;
        Ok(Self(parse(&bytes)?))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        write(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        write(StatusCode::CREATED, &self.0)
    }
}

/// An answer of JSON.
pub(crate) fn write<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = (status, bytes).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(body::JSON));
            response
        }
        Err(error) => Failure::from(Error::internal(error)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        email: String,
        #[serde(default)]
        age: Option<u32>,
    }

    fn fault(text: &str) -> Error {
        parse::<Login>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn good_objects_are_read() {
        let login: Login = parse(b" {\"email\":\"a\",\"age\":null}\n").unwrap();
        assert_eq!((login.email.as_str(), login.age), ("a", None));
    }

    #[test]
    fn fields_are_named() {
        assert_eq!(fault("{}").violations()[0].field, "email");
        assert_eq!(fault(r#"{"email":"a","email":"b"}"#).violations()[0].description, "is given twice");
        assert_eq!(fault(r#"{"email":"a","role":"admin"}"#).violations()[0].field, "role");
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        let depth = format!("{}{}", "{\"x\":".repeat(200), "}".repeat(200));
        for bad in [
            "",
            "null",
            "[]",
            r#"["a"]"#,
            "1",
            r#"{"email":"a"} x"#,
            r#"{"email":"a",}"#,
            "\u{feff}{}",
            &depth,
        ] {
            assert_eq!(fault(bad).kind(), mesh_error::Kind::InvalidArgument, "{bad}");
        }
        assert_eq!(fault(r#"{"email":"\ud800"}"#).reason(), "INVALID_JSON");
        assert!(parse::<Login>(b"{\"email\":\"\xff\"}").is_err());
    }

    #[test]
    fn values_are_never_repeated() {
        let error = fault(r#"{"email":424242}"#);
        assert!(!error.message().contains("424242"), "{error}");
        assert!(!fault(r#"{"email":"a","age":"s3cret"}"#).message().contains("s3cret"));
    }
}
