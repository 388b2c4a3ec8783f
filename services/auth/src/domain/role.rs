//! Roles, and the scopes that each gives.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use mesh_identity::Scopes;

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Administers other accounts.
    Admin,
    /// Uses the services.
    User,
}

const USER_SCOPES: &str =
    "jokes:read jokes:write keys:manage profile:read profile:write sentiment:analyze sentiment:read";
const ADMIN_SCOPES: &str = "jokes:read jokes:write keys:manage mesh:read profile:read profile:write sentiment:analyze sentiment:read users:admin";

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Self::Admin),
            "user" => Ok(Self::User),
            _ => Err("must be \"user\" or \"admin\"".to_owned()),
        }
    }
}

/// The roles of an account; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles(BTreeSet<Role>);

impl Roles {
    /// Of a new account.
    pub(crate) fn user() -> Self {
        Self(BTreeSet::from([Role::User]))
    }

    /// Of an administrator.
    pub(crate) fn admin() -> Self {
        Self(BTreeSet::from([Role::Admin, Role::User]))
    }

    /// From their names.
    pub(crate) fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let roles = names.into_iter().map(str::parse).collect::<Result<BTreeSet<Role>, String>>()?;
        if roles.is_empty() { Err("must name at least one role".to_owned()) } else { Ok(Self(roles)) }
    }

    /// Whether the account administers others.
    pub(crate) fn is_admin(&self) -> bool {
        self.0.contains(&Role::Admin)
    }

    /// Their names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|role| role.name().to_owned()).collect()
    }

    /// All that the account may do.
    pub(crate) fn scopes(&self) -> Scopes {
        let text = if self.is_admin() { ADMIN_SCOPES } else { USER_SCOPES };
        // Constants, proven by a test.
        text.parse().unwrap_or_default()
    }
}

/// The form in the database.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_may_all_and_users_all_but_two() {
        let (user, admin) = (Roles::user().scopes(), Roles::admin().scopes());
        assert_eq!((user.len(), admin.len()), (7, 9));
        assert!(user.is_subset(&admin));
        assert!(!user.contains("users:admin") && !user.contains("mesh:read"));
    }

    #[test]
    fn the_policy_of_the_mesh_gives_the_same_scopes() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/mesh.yaml");
        let policy = mesh_policy::Policy::load(&file, mesh_policy::Contract::quipu()).unwrap();
        let names: Vec<_> = policy.roles().iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["user", "admin"]);
        for role in policy.roles() {
            let scopes: Scopes = role.scopes.join(" ").parse().unwrap();
            assert_eq!(Roles::parse([role.name.as_str()]).unwrap().scopes(), scopes, "{}", role.name);
        }
    }

    #[test]
    fn the_stored_form_comes_back() {
        for roles in [Roles::user(), Roles::admin()] {
            assert_eq!(Roles::parse(roles.to_string().split(' ')).unwrap(), roles);
        }
    }

    #[test]
    fn unknown_none_and_odd_case_are_refused() {
        for bad in [vec![], vec!["root"], vec!["Admin"], vec!["user", ""], vec!["user "]] {
            assert!(Roles::parse(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
