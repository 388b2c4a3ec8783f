//! The kinds of failure and the one table that maps them.

use http::StatusCode;
use tonic::Code;

/// What kind of failure it is. The list is closed: a new failure finds its place here or the table grows for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A field of the request is wrong.
    InvalidArgument,
    /// The caller did not prove who it is.
    Unauthenticated,
    /// The caller is known and may not.
    PermissionDenied,
    /// Not there, or not for this caller to know of.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// The state of things does not allow it.
    FailedPrecondition,
    /// Lost against a concurrent change.
    Aborted,
    /// Beyond a valid range.
    OutOfRange,
    /// A limit of calls, work or quota is reached.
    ResourceExhausted,
    /// The message is larger than allowed.
    TooLarge,
    /// The time that the caller gave has passed.
    DeadlineExceeded,
    /// The caller left.
    Cancelled,
    /// Away for now.
    Unavailable,
    /// No such method.
    Unimplemented,
    /// A fault of ours.
    Internal,
    /// Stored data is lost or corrupt.
    DataLoss,
}

impl Kind {
    /// The one table: gRPC code, HTTP status (`google/rpc/code.proto`; a size limit is 413), and the reason when
    /// nobody gave one.
    const fn row(self) -> (Code, StatusCode, &'static str) {
        match self {
            Self::InvalidArgument => (Code::InvalidArgument, StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::Unauthenticated => (Code::Unauthenticated, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::PermissionDenied => (Code::PermissionDenied, StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::NotFound => (Code::NotFound, StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::AlreadyExists => (Code::AlreadyExists, StatusCode::CONFLICT, "ALREADY_EXISTS"),
            Self::FailedPrecondition => {
                (Code::FailedPrecondition, StatusCode::BAD_REQUEST, "FAILED_PRECONDITION")
            }
            Self::Aborted => (Code::Aborted, StatusCode::CONFLICT, "ABORTED"),
            Self::OutOfRange => (Code::OutOfRange, StatusCode::BAD_REQUEST, "OUT_OF_RANGE"),
            Self::ResourceExhausted => {
                (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED")
            }
            Self::TooLarge => (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE, "MESSAGE_TOO_LARGE"),
            Self::DeadlineExceeded => {
                (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED")
            }
            Self::Cancelled => (Code::Cancelled, CLIENT_CLOSED_REQUEST, "CANCELLED"),
            Self::Unavailable => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Unimplemented => (Code::Unimplemented, StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
            Self::Internal => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
            Self::DataLoss => (Code::DataLoss, StatusCode::INTERNAL_SERVER_ERROR, "DATA_LOSS"),
        }
    }

    /// The gRPC status code.
    #[must_use]
    pub const fn grpc_code(self) -> Code {
        self.row().0
    }

    /// The HTTP status code.
    #[must_use]
    pub const fn http_status(self) -> StatusCode {
        self.row().1
    }

    /// The reason when nobody gave a better one.
    #[must_use]
    pub const fn default_reason(self) -> &'static str {
        self.row().2
    }

    /// The kind of a gRPC code from outside; a code without a kind is a fault of the peer.
    pub(crate) const fn from_code(code: Code) -> Self {
        match code {
            Code::InvalidArgument => Self::InvalidArgument,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Aborted => Self::Aborted,
            Code::OutOfRange => Self::OutOfRange,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Cancelled => Self::Cancelled,
            Code::Unavailable => Self::Unavailable,
            Code::Unimplemented => Self::Unimplemented,
            Code::DataLoss => Self::DataLoss,
            Code::Ok | Code::Unknown | Code::Internal => Self::Internal,
        }
    }
}

/// The client closed its request: nginx's 499, which `google/rpc/code.proto` gives for CANCELLED.
const CLIENT_CLOSED_REQUEST: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};
