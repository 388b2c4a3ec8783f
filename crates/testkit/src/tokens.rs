//! A mint of access tokens that a test's verifier believes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use mesh_error::BoxError;
use mesh_identity::{Claims, Jwks, KeySource, Profile, Revocations, Scopes, SigningKey, TokenVerifier};
use uuid::Uuid;

use crate::Result;

/// How long a minted token lives.
const LIFETIME: u64 = 600;

/// A signing key with the profile of the mesh. Clones share the key.
#[derive(Clone)]
pub struct TokenMint(Arc<Inner>);

struct Inner {
    key: SigningKey,
    profile: Profile,
    revocations: Revocations,
}

impl TokenMint {
    /// A mint with a new key.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn new() -> Result<Self> {
        let (key, profile, revocations) = (SigningKey::generate()?, Profile::default(), Revocations::local());
        Ok(Self(Arc::new(Inner { key, profile, revocations })))
    }

    /// The key that signs.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.0.key
    }

    /// The revocations that the verifier honours; a test adds to them.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }

    /// A verifier that believes the tokens of this mint.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        let keys: Arc<dyn KeySource> = Arc::new(self.clone());
        TokenVerifier::new(self.0.profile.clone(), keys, self.0.revocations.clone())
    }

    /// Begins a token of the user: ten minutes, no scopes, a session of its own.
    #[must_use]
    pub fn user(&self, id: &str) -> Mint<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims {
            iss: self.0.profile.issuer.clone(),
            sub: id.to_owned(),
            aud: self.0.profile.audience.clone(),
            exp: now + LIFETIME,
            iat: now,
            nbf: now,
            jti: Uuid::new_v4().to_string(),
            sid: Uuid::new_v4().to_string(),
            scope: Scopes::default(),
            roles: vec!["user".to_owned()],
            client_id: None,
        };
        Mint { mint: self, claims }
    }
}

impl std::fmt::Debug for TokenMint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenMint").field("kid", &self.0.key.kid()).finish_non_exhaustive()
    }
}

#[async_trait]
impl KeySource for TokenMint {
    async fn fetch(&self) -> Result<Jwks, BoxError> {
        Ok(Jwks::new(vec![self.0.key.public().clone()])?)
    }
}

/// A token in the making.
#[derive(Debug, Clone)]
pub struct Mint<'a> {
    mint: &'a TokenMint,
    /// What it will say; anything may be changed.
    pub claims: Claims,
}

impl Mint<'_> {
    /// With these scopes, separated by spaces.
    ///
    /// # Errors
    /// When they are not scopes.
    pub fn scopes(mut self, scopes: &str) -> Result<Self> {
        self.claims.scope = scopes.parse()?;
        Ok(self)
    }

    /// With these roles.
    #[must_use]
    pub fn roles(mut self, roles: &[&str]) -> Self {
        self.claims.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self
    }

    /// Changes anything of the claims.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Claims)) -> Self {
        change(&mut self.claims);
        self
    }

    /// The signed token.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self) -> Result<String> {
        Ok(self.mint.key().sign(&self.claims)?)
    }
}
