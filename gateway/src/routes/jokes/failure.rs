//! What the jokes service refuses, as REST says it: fields are flat, and a model that failed is a bad gateway.

use http::StatusCode;
use mesh_error::{Error, Kind, Violation};
use tonic::Status;

use crate::problem::Failure;

/// The service's own message nests these fields; a JSON body does not.
const NEST: &str = "params.";

/// What the service answered.
pub(super) fn failed(status: Status) -> Failure {
    let error = flat(Failure::from(status).into_error());
    let status = match (error.kind(), error.reason()) {
        // Whoever asks again may get a better answer, and nothing of the mesh is away.
        (Kind::Unavailable, "MODEL_ANSWER_INVALID" | "MODEL_BROKE_OFF") => StatusCode::BAD_GATEWAY,
        // A bad key or a model that the provider does not know: for the operator to mend, not for the caller.
        (Kind::FailedPrecondition, "MODEL_REJECTED_CALL") => StatusCode::BAD_GATEWAY,
        (Kind::FailedPrecondition, "ANSWER_REFUSED" | "MODEL_DECLINED") => StatusCode::UNPROCESSABLE_ENTITY,
        _ => return error.into(),
    };
    Failure::from(error).with_status(status)
}

/// The same with the fields of a REST request.
fn flat(error: Error) -> Error {
    if error.kind() != Kind::InvalidArgument {
        return error;
    }
    let strip = |field: &str| field.strip_prefix(NEST).unwrap_or(field).to_owned();
    if !error.violations().is_empty() {
        let violations = error.violations().iter();
        let violations = violations
            .map(|v| Violation { field: strip(&v.field), description: v.description.clone() })
            .collect();
        return Error::invalid(violations);
    }
    let Some(field) = error.metadata().get("field").filter(|field| field.starts_with(NEST)) else {
        return error;
    };
    let again = Error::new(error.kind(), error.reason().to_owned(), strip(error.message()));
    let again = again.with_metadata("field", strip(field));
    match error.metadata().get("rule") {
        Some(rule) => again.with_metadata("rule", rule),
        None => again,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn problem(error: Error) -> serde_json::Value {
        let failure = failed(error.into_status());
        serde_json::to_value(failure.problem("r1", None, None)).unwrap()
    }

    #[test]
    fn each_reason_has_its_status() {
        let precondition = |reason| Error::new(Kind::FailedPrecondition, reason, "no");
        for (error, status) in [
            (Error::unavailable("MODEL_ANSWER_INVALID", "no joke"), 502),
            (Error::unavailable("MODEL_BROKE_OFF", "broke off"), 502),
            (Error::unavailable("MODEL_UNAVAILABLE", "away"), 503),
            (precondition("ANSWER_REFUSED"), 422),
            (precondition("MODEL_DECLINED"), 422),
            (precondition("MODEL_REJECTED_CALL"), 502),
            (Error::new(Kind::InvalidArgument, "GUARD_REFUSED", "no"), 400),
            (Error::exhausted("BUDGET_SPENT", "spent", Duration::from_secs(60)), 429),
            (Error::not_found("joke"), 404),
            (Error::internal("canary"), 500),
        ] {
            let reason = error.reason().to_owned();
            assert_eq!(problem(error)["status"], status, "{reason}");
        }
    }

    #[test]
    fn fields_are_flat() {
        let of = |field: &str| Violation { field: field.to_owned(), description: "is wrong".to_owned() };
        let one = problem(Error::invalid(vec![of("params.audience")]));
        assert_eq!(
            (&one["errors"][0]["field"], &one["detail"]),
            (&"audience".into(), &"audience: is wrong".into())
        );
        let two = problem(Error::invalid(vec![of("topic"), of("params.style")]));
        assert_eq!(
            (&two["errors"][0]["field"], &two["errors"][1]["field"]),
            (&"topic".into(), &"style".into())
        );
    }

    #[test]
    fn a_refusal_names_its_rule_and_its_field() {
        let refused = |field: &str| {
            let error =
                Error::new(Kind::InvalidArgument, "GUARD_REFUSED", format!("{field}: asks for secrets"));
            problem(error.with_metadata("field", field).with_metadata("rule", "injection"))
        };
        for (field, flat) in [("params.audience", "audience"), ("messages[1].content", "messages[1].content")]
        {
            let problem = refused(field);
            assert_eq!(
                (&problem["rule"], &problem["errors"][0]["field"]),
                (&"injection".into(), &flat.into())
            );
            assert_eq!(problem["detail"], format!("{flat}: asks for secrets"));
            assert_eq!(problem["errors"][0]["detail"], "asks for secrets");
        }
        let answer =
            Error::new(Kind::FailedPrecondition, "ANSWER_REFUSED", "no").with_metadata("rule", "slur");
        assert_eq!(problem(answer)["rule"], "slur");
    }
}
