//! Text to label, score and explanation.
