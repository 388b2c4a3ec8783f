//! Tests of the whole mesh.
