//! Sessions, passwords and guessing, as rows of the reliability plan.
