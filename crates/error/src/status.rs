//! To and from `tonic::Status` with `google.rpc` details: the only place where one is made.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "the one place where statuses are made"))]

use std::{collections::HashMap, time::Duration};

use tonic::{Status, metadata::MetadataValue};
use tonic_types::{BadRequest, ErrorDetails, FieldViolation, QuotaViolation, StatusExt as _};

use crate::{Error, Kind, Violation};

/// How long a caller is to wait before a retry, in milliseconds; a negative number says never (gRPC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// `google.rpc.ErrorInfo.domain` of every error of the mesh.
const DOMAIN: &str = "quipu";

impl Error {
    /// The gRPC status with `google.rpc` details. Causes are left behind: [`Error::log`] them first.
    #[must_use]
    pub fn into_status(self) -> Status {
        let metadata: HashMap<_, _> = self.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason(), DOMAIN, metadata);
        if !self.violations().is_empty() {
            let fields = self
                .violations()
                .iter()
                .map(|v| FieldViolation::new(&v.field, &v.description))
                .collect::<Vec<_>>();
            details.set_bad_request(fields);
        }
        if let Some(after) = self.retry_after() {
            details.set_retry_info(Some(after));
        }
        if self.kind() == Kind::ResourceExhausted {
            details.set_quota_failure(vec![QuotaViolation::new(self.reason(), self.message())]);
        }
        let mut status = Status::with_error_details(self.kind().grpc_code(), self.message(), details);
        if self.is_passed_on() {
            status.metadata_mut().insert(PUSHBACK, MetadataValue::from_static("-1"));
        }
        status
    }

    /// Whether it is, or is caused by, the outage of another service, which the client of that one has retried already:
    /// retries at each layer would multiply.
    fn is_passed_on(&self) -> bool {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |cause| cause.source());
        let mut errors = causes.filter_map(|cause| cause.downcast_ref::<Self>());
        self.kind() == Kind::Unavailable && errors.any(|error| error.0.received)
    }

    /// The error that a peer sent. Its details are kept; a status without `ErrorInfo` of the mesh, which a proxy or
    /// the transport made, keeps its code but not its text, which may name addresses.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let mut error = Self::read(status);
        error.0.received = true;
        error
    }

    fn read(status: &Status) -> Self {
        let details = status.get_error_details();
        let kind = Kind::from_code(status.code());
        let Some(info) = details.error_info().filter(|i| i.domain == DOMAIN) else {
            return Self::foreign(kind, status);
        };
        let kind = if info.reason == Kind::TooLarge.default_reason() { Kind::TooLarge } else { kind };
        let mut error = Self::new(kind, info.reason.clone(), status.message().to_owned());
        for (key, value) in &info.metadata {
            error = error.with_metadata(key, value);
        }
        if let Some(BadRequest { field_violations }) = details.bad_request() {
            error.0.violations = field_violations
                .iter()
                .map(|v| Violation { field: v.field.clone(), description: v.description.clone() })
                .collect();
        }
        match details.retry_info().and_then(|r| r.retry_delay) {
            Some(after) => error.with_retry_after(after.min(MAX_RETRY_AFTER)),
            None => error,
        }
    }

    fn foreign(kind: Kind, status: &Status) -> Self {
        let too_large = kind == Kind::OutOfRange && status.message().contains("message length too large");
        let kind = if too_large { Kind::TooLarge } else { kind };
        let message = match kind {
            Kind::TooLarge => "the message is larger than allowed",
            Kind::Unavailable => "the service cannot be reached",
            Kind::DeadlineExceeded => "the deadline has passed",
            Kind::Cancelled => "the call was cancelled",
            Kind::Unimplemented => "no such method",
            _ => "internal error",
        };
        Self::new(kind, kind.default_reason(), message).with_source(status.clone())
    }
}

/// A peer cannot make a caller wait longer than this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.into_status()
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::from_status(&status)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn an_outage_that_is_passed_on_says_that_nobody_is_to_try_again() {
        let pushback = |error: Error| error.into_status().metadata().get(PUSHBACK).cloned();
        let away = || Error::unavailable("AWAY", "away");
        let received = || Error::from_status(&away().into_status());
        assert_eq!(pushback(away()), None);
        assert_eq!(pushback(received()).unwrap(), "-1");
        assert_eq!(pushback(away().with_source(received())).unwrap(), "-1");
        assert_eq!(pushback(Error::from_status(&Error::internal("x").into_status())), None);
    }

    const ALL: [Kind; 16] = [
        Kind::InvalidArgument,
        Kind::Unauthenticated,
        Kind::PermissionDenied,
        Kind::NotFound,
        Kind::AlreadyExists,
        Kind::FailedPrecondition,
        Kind::Aborted,
        Kind::OutOfRange,
        Kind::ResourceExhausted,
        Kind::TooLarge,
        Kind::DeadlineExceeded,
        Kind::Cancelled,
        Kind::Unavailable,
        Kind::Unimplemented,
        Kind::Internal,
        Kind::DataLoss,
    ];

    #[test]
    fn every_kind_survives_the_wire() {
        for kind in ALL {
            let status = Error::new(kind, kind.default_reason(), "m").into_status();
            assert_eq!(Error::from_status(&status).kind(), kind, "{kind:?}");
        }
    }

    #[test]
    fn details_survive_the_wire() {
        let error = Error::invalid(vec![Violation { field: "email".into(), description: "is empty".into() }])
            .with_retry_after(Duration::from_secs(3))
            .with_metadata("limit", "5");
        let back = Error::from_status(&error.into_status());
        assert_eq!(back.violations(), [Violation { field: "email".into(), description: "is empty".into() }]);
        assert_eq!(back.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(back.metadata().get("limit").map(String::as_str), Some("5"));
        assert_eq!(back.reason(), "INVALID_FIELDS");
    }

    #[test]
    fn causes_stay_at_home() {
        let status = Error::internal("password=hunter2").into_status();
        assert!(!format!("{status:?}").contains("hunter2"));
    }

    #[test]
    fn a_foreign_status_loses_its_text() {
        let back = Error::from_status(&Status::new(Code::Unavailable, "tcp connect error: 10.0.0.7"));
        assert_eq!((back.kind(), back.message()), (Kind::Unavailable, "the service cannot be reached"));
    }

    #[test]
    fn tonics_size_error_is_a_size_error() {
        let tonic = Status::new(Code::OutOfRange, "Error, decoded message length too large: found 5 bytes");
        assert_eq!(Error::from_status(&tonic).kind(), Kind::TooLarge);
    }
}
