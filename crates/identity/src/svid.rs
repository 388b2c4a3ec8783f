//! svid
