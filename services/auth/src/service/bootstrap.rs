//! The first administrator.

use mesh_config::Secret;
use mesh_error::{Error, Kind};

use super::{Auth, NewAccount};
use crate::audit::Actor;
use crate::config::AdminSeed;
use crate::domain::{Email, Password, Roles};
use crate::error::{AuthError, Result};

impl Auth {
    /// Makes the administrator of the settings when there is none. Gives the password if it was made here: nobody will see
    /// it again.
    pub(crate) async fn seed_admin(&self, seed: &AdminSeed) -> Result<Option<(String, Secret)>> {
        let (email, given) = match seed {
            AdminSeed::None => return Ok(None),
            AdminSeed::Given { email, password } => (email, Some(password)),
            AdminSeed::Generated { email } => (email, None),
        };
        if self.store.has_admin().await? {
            return Ok(None);
        }
        let email = Email::parse(email).map_err(|fault| AuthError::field("QUIPU_AUTH_ADMIN_EMAIL", fault))?;
        let text = given.cloned().unwrap_or_else(|| Secret::from(self.tokens.password()));
        let password = Password::choose(text.expose(), Some(&email))
            .map_err(|fault| AuthError::field("QUIPU_AUTH_ADMIN_PASSWORD", fault))?;
        let new = NewAccount { email: email.clone(), password, display_name: "Administrator".to_owned() };
        let actor = Actor { name: "start".to_owned(), ..Actor::default() };
        match self.make_account(&actor, new, Roles::admin()).await {
            Ok(_) => Ok(given.is_none().then(|| (email.to_string(), text))),
            // Another replica was faster, or somebody registered the address: the latter must not become administrator.
            Err(AuthError::EmailTaken) if self.store.has_admin().await? => Ok(None),
            Err(AuthError::EmailTaken) => Err(AuthError::internal(Error::new(
                Kind::FailedPrecondition,
                "ADMIN_EMAIL_TAKEN",
                "the account of QUIPU_AUTH_ADMIN_EMAIL exists and is no administrator; choose another address",
            ))),
            Err(error) => Err(error),
        }
    }
}
