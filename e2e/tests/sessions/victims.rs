//! Credentials that are about to be revoked, each in its own way, and what they opened until then.

use mesh_proto::auth::v1 as auth;
use prost_types::FieldMask;
use quipu_e2e::{PASSWORD, Person, ProcessMesh, for_user};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    direct::Direct,
    support::{Tokens, gates, register},
};

/// How a credential goes bad.
#[derive(Debug, Clone)]
enum How {
    Logout { refresh: String },
    EndSession { other: String, session: String },
    Password { other: String },
    Update { user: String, roles: &'static [&'static str], disabled: bool },
    Key { access: String, id: String },
}

/// One credential.
pub(crate) struct Victim {
    /// For people.
    pub(crate) what: &'static str,
    /// Each place that it opens.
    pub(crate) probes: Vec<(String, Probe)>,
    how: How,
}

/// One use of a credential.
#[derive(Clone)]
pub(crate) enum Probe {
    /// At a gateway.
    Rest(Person, Method, &'static str),
    /// At `auth`, past the gateways.
    Auth(Direct, String),
    /// At `sentiment`, past the gateways.
    Sentiment(Direct, String),
}

impl Probe {
    /// Whether the credential was taken.
    pub(crate) async fn is_accepted(&self) -> bool {
        match self {
            Self::Rest(person, method, path) => {
                let request = person.request(method.clone(), path);
                let request =
                    if *method == Method::POST { request.json(&json!({"text": "Fine."})) } else { request };
                request.send().await.is_ok_and(|answer| answer.status() == 200)
            }
            Self::Auth(direct, token) => direct.me(token).await.is_ok(),
            Self::Sentiment(direct, token) => direct.analyze(token).await.is_ok(),
        }
    }
}

/// Makes them; everything is well with the mesh while it does.
pub(crate) struct Maker<'a> {
    pub(crate) mesh: &'a ProcessMesh,
    pub(crate) direct: &'a Direct,
    /// The administrator's token.
    pub(crate) admin: &'a str,
    /// In every name of this round.
    pub(crate) round: &'a str,
}

impl Maker<'_> {
    /// One of each kind.
    pub(crate) async fn all(&self) -> Vec<Victim> {
        vec![
            self.logout().await,
            self.end_session().await,
            self.password().await,
            self.disabled().await,
            self.demoted().await,
            self.key().await,
        ]
    }

    /// Where somebody's session is looked at.
    pub(crate) fn probes(&self, bearer: &str, token: &str) -> Vec<(String, Probe)> {
        let mut probes = Vec::new();
        for (person, gate) in gates(self.mesh).into_iter().zip(["gateway", "gateway-2"]) {
            let person = person.with_token(bearer);
            let me = Probe::Rest(person.clone(), Method::GET, "/v1/auth/me");
            probes.push((format!("{gate} GET /v1/auth/me"), me));
            probes.push((
                format!("{gate} POST /v1/sentiment"),
                Probe::Rest(person, Method::POST, "/v1/sentiment"),
            ));
        }
        probes.push(("auth GetMe".into(), Probe::Auth(self.direct.clone(), token.to_owned())));
        probes.push(("sentiment Analyze".into(), Probe::Sentiment(self.direct.clone(), token.to_owned())));
        probes
    }

    fn victim(&self, what: &'static str, tokens: &Tokens, how: How) -> Victim {
        Victim { what, probes: self.probes(&tokens.access, &tokens.access), how }
    }

    async fn account(&self, name: &str) -> (Person, String, String) {
        let [person, _] = gates(self.mesh);
        let email = format!("{name}-{}@example.com", self.round);
        let id = register(&person, &email).await;
        (person, email, id)
    }

    async fn logout(&self) -> Victim {
        let (person, email, _) = self.account("logout").await;
        let tokens = Tokens::sign_in(&person, &email).await;
        self.victim("logout", &tokens, How::Logout { refresh: tokens.refresh.clone() })
    }

    async fn end_session(&self) -> Victim {
        let (person, email, _) = self.account("session").await;
        let [tokens, other] =
            [Tokens::sign_in(&person, &email).await, Tokens::sign_in(&person, &email).await];
        let how = How::EndSession { other: other.access, session: tokens.session().to_owned() };
        self.victim("session ended by its owner", &tokens, how)
    }

    async fn password(&self) -> Victim {
        let (person, email, _) = self.account("password").await;
        let [tokens, other] =
            [Tokens::sign_in(&person, &email).await, Tokens::sign_in(&person, &email).await];
        self.victim("password changed", &tokens, How::Password { other: other.access })
    }

    async fn disabled(&self) -> Victim {
        let (person, email, user) = self.account("disabled").await;
        let tokens = Tokens::sign_in(&person, &email).await;
        self.victim("user disabled", &tokens, How::Update { user, roles: &["user"], disabled: true })
    }

    /// An administrator who loses the role: her session, and the key that may do what only administrators may.
    async fn demoted(&self) -> Victim {
        let (person, email, user) = self.account("demoted").await;
        self.update(&user, &["user", "admin"], false).await;
        let tokens = Tokens::sign_in(&person, &email).await;
        let (_, secret) = self.new_key(&tokens.access, &["users:admin"]).await;
        let mut victim =
            self.victim("role removed", &tokens, How::Update { user, roles: &["user"], disabled: false });
        for (person, gate) in gates(self.mesh).into_iter().zip(["gateway", "gateway-2"]) {
            let probe = Probe::Rest(person.with_token(&secret), Method::GET, "/v1/users");
            victim.probes.push((format!("{gate} GET /v1/users by a key"), probe));
        }
        victim
    }

    async fn key(&self) -> Victim {
        let (person, email, _) = self.account("key").await;
        let tokens = Tokens::sign_in(&person, &email).await;
        let (id, secret) = self.new_key(&tokens.access, &["profile:read", "sentiment:analyze"]).await;
        let request = auth::ExchangeTokenRequest {
            subject_token: secret.clone(),
            subject_token_type: auth::SubjectTokenType::ApiKey.into(),
            scopes: Vec::new(),
        };
        let exchanged = self.direct.auth.clone().exchange_token(request).await.unwrap().into_inner();
        let probes = self.probes(&secret, &exchanged.access_token);
        Victim { what: "API key revoked", probes, how: How::Key { access: tokens.access, id } }
    }

    async fn new_key(&self, access: &str, scopes: &[&str]) -> (String, String) {
        let scopes = scopes.iter().map(|&s| s.to_owned()).collect();
        let request = auth::CreateApiKeyRequest { name: "proof".into(), scopes, expires_at: None };
        let made =
            self.direct.auth.clone().create_api_key(for_user(access, request)).await.unwrap().into_inner();
        (made.api_key.unwrap().id, made.secret)
    }

    async fn update(&self, user: &str, roles: &[&str], disabled: bool) {
        let request = auth::UpdateUserRequest {
            user_id: user.to_owned(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            disabled,
            update_mask: Some(FieldMask { paths: vec!["roles".into(), "disabled".into()] }),
        };
        self.direct.auth.clone().update_user(for_user(self.admin, request)).await.unwrap();
    }

    /// Revokes; when it was acknowledged.
    pub(crate) async fn revoke(&self, victim: &Victim) -> Instant {
        let mut auth = self.direct.auth.clone();
        match victim.how.clone() {
            How::Logout { refresh } => {
                auth.logout(auth::LogoutRequest { refresh_token: refresh }).await.map(drop).unwrap();
            }
            How::EndSession { other, session } => {
                let request = auth::EndSessionRequest { session_id: session };
                auth.end_session(for_user(&other, request)).await.map(drop).unwrap();
            }
            How::Password { other } => {
                let request = auth::ChangePasswordRequest {
                    current_password: PASSWORD.into(),
                    new_password: "eight knotted cords".into(),
                };
                auth.change_password(for_user(&other, request)).await.map(drop).unwrap();
            }
            How::Update { user, roles, disabled } => self.update(&user, roles, disabled).await,
            How::Key { access, id } => {
                let request = auth::RevokeApiKeyRequest { api_key_id: id };
                auth.revoke_api_key(for_user(&access, request)).await.map(drop).unwrap();
            }
        }
        Instant::now()
    }
}
