//! The body of a problem: a failure and what is known of its request.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Failure;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always "about:blank": `reason` tells problems apart.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The HTTP status in words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What went wrong, for people.
    pub(crate) detail: String,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// What went wrong, for programs: stable, in UPPER_SNAKE_CASE.
    pub(crate) reason: String,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldProblem>,
    /// The rule of a guard that refused, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Seconds after which another try may succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<u64>,
    /// The trace that the request belongs to, if it is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
    /// As in the `x-request-id` header.
    pub(crate) request_id: String,
}

/// A field that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Its name in the request.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

impl Failure {
    /// The body, with what is known of the request.
    pub(crate) fn problem(&self, request_id: &str, trace_id: Option<String>, path: Option<&str>) -> Problem {
        Problem {
            kind: "about:blank",
            title: title(self.status),
            status: self.status.as_u16(),
            detail: self.error.message().to_owned(),
            instance: path.map(str::to_owned),
            reason: self.error.reason().to_owned(),
            errors: self.errors(),
            rule: self.error.metadata().get("rule").cloned(),
            retry_after: self.retry_after(),
            trace_id,
            request_id: request_id.to_owned(),
        }
    }

    /// Each field at fault; a refusal by a guard names its field beside its rule.
    fn errors(&self) -> Vec<FieldProblem> {
        let wrong = self.error.violations().iter().map(|v| (&v.field, v.description.as_str()));
        let refused = self.error.metadata().get("field").map(|field| {
            let message = self.error.message();
            let detail = message.strip_prefix(field.as_str()).and_then(|rest| rest.strip_prefix(": "));
            (field, detail.unwrap_or(message))
        });
        let all = wrong.chain(refused);
        all.map(|(field, detail)| FieldProblem { field: field.clone(), detail: detail.to_owned() }).collect()
    }
}

fn title(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("Client Closed Request").to_owned()
}

#[cfg(test)]
mod tests {
    use mesh_error::Error;

    use super::*;

    #[test]
    fn the_body_names_each_field() {
        let failure = Failure::from(Error::invalid_field("email", "is empty"));
        let body = serde_json::to_value(failure.problem("r1", None, Some("/v1/x"))).unwrap();
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["title"], "Bad Request");
        assert_eq!(body["errors"][0]["field"], "email");
        assert_eq!(body["request_id"], "r1");
        assert!(body.get("trace_id").is_none());
    }
}
