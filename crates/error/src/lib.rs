//! The closed vocabulary of failure and its one mapping to gRPC and HTTP.
