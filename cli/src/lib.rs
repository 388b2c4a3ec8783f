//! The quipu program: the whole mesh in one process, and its tools.
