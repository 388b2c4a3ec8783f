//! Typed settings and secrets from the environment, with every fault reported at once.
