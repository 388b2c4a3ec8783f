//! The whole mesh, used as its users use it: over REST, over gRPC as an operator, and by those who may not.

mod journey;
mod observed;
mod processes;
