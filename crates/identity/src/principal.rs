//! Who makes a call: always a workload, and perhaps a user in whose name it acts.

use std::{fmt, sync::Arc};

use crate::{Claims, SpiffeId};

/// The caller, as far as it was proved.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The workload at the other end of the connection.
    pub workload: SpiffeId,
    /// The user whose token came with the call, if the method asks for one.
    pub user: Option<User>,
}

/// A user who was proved by an access token.
#[derive(Clone)]
pub struct User {
    /// What the token says.
    pub claims: Arc<Claims>,
    /// The token itself, to be sent on with calls made in the user's name.
    pub token: Arc<str>,
}

/// Never shows the token.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("sub", &self.claims.sub)
            .field("sid", &self.claims.sid)
            .finish_non_exhaustive()
    }
}
