//! The REST edge, as rows of the reliability plan.
