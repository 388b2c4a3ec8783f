//! The drain of a process, on paused time.

mod drain;
