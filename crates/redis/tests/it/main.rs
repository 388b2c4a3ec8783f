//! The link against a real Redis: it connects late, gives up soon and comes back.

#[cfg(test)]
mod link;
