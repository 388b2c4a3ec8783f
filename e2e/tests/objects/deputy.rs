//! F10: whoever has the gateway's certificate and one user's token reads and changes nothing of another user's.

use quipu_e2e::{Proof, count};
use reqwest::Method;

use crate::{
    contract::Contract,
    wire::{Reply, Wire},
    world::{User, nobody, start},
};

/// Headers by which others say who the user is.
const CLAIMS: [&str; 8] = [
    "x-user-id",
    "x-forwarded-user",
    "x-quipu-user",
    "x-auth-request-user",
    "remote-user",
    "x-user",
    "sub",
    "x-forwarded-client-cert",
];

/// The ways to try.
const WAYS: usize = 13;

struct Deputy {
    gateway: Wire,
    sentiment: Wire,
    contract: Contract,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_the_mesh_does_for_a_user_what_that_users_token_allows() {
    let mut proof =
        Proof::new("F10", "no user reads or changes another's objects through a service in the middle");
    let mesh = start().await;
    let admin = mesh.administrator().await;
    let mut users = Vec::new();
    for name in ["ada", "bea", "cleo", "dora"] {
        users.push(User::with_objects(&mesh, name).await);
    }
    let mut before = Vec::new();
    for user in &users {
        before.push(user.everything(&admin).await);
    }
    let deputy = Deputy {
        gateway: Wire::to(&mesh, "auth", "gateway").await,
        sentiment: Wire::to(&mesh, "auth", "sentiment").await,
        contract: Contract::read(),
    };
    let tries = count(500);
    for n in 0..tries {
        let round = n / WAYS;
        let attacker = &users[round % users.len()];
        let victim = &users[(round + 1 + round / users.len() % (users.len() - 1)) % users.len()];
        assert_ne!(attacker.id, victim.id);
        let crossed = deputy.crosses(n % WAYS, round, attacker, victim).await;
        proof.check(crossed.is_none(), || {
            format!("way {} of {} against {}: {crossed:?}", n % WAYS, attacker.name, victim.name)
        });
    }
    let mut changed = 0;
    for (user, before) in users.iter().zip(&before) {
        let after = user.everything(&admin).await;
        changed += usize::from(*before != after);
        proof.require(*before == after, || format!("{} was changed: {before}\n{after}", user.name));
    }
    proof.figure(format!("{tries} tries in {WAYS} ways between {} users, {changed} changed", users.len()));
    proof.limit("0 of 500 (short: 50) cross-user reads or changes");
    proof.finish();
}

/// Whose token is used, whose objects are named, and the header that claims to be the victim.
#[derive(Clone, Copy)]
struct Pair<'a> {
    by: &'a User,
    of: &'a User,
    claim: &'a str,
}

impl Deputy {
    /// One try; what came of it when it should not have.
    async fn crosses(&self, way: usize, round: usize, by: &User, of: &User) -> Option<String> {
        let session = of.sessions[round % of.sessions.len()].as_str();
        let key = of.keys[round % of.keys.len()].as_str();
        let claim = CLAIMS[round % CLAIMS.len()];
        let pair = Pair { by, of, claim };
        match way {
            0 => pair.rest(Method::DELETE, &format!("/v1/auth/sessions/{session}"), session).await,
            1 => pair.rest(Method::DELETE, &format!("/v1/auth/api-keys/{key}"), key).await,
            2 => pair.rest(Method::GET, &format!("/v1/users/{}", of.id), &of.id).await,
            3 => pair.rest(Method::GET, "/v1/auth/me", "").await,
            4 => self.call("EndSession", "session_id", session, pair).await,
            5 => self.call("RevokeApiKey", "api_key_id", key, pair).await,
            6 => self.call("GetUser", "user_id", &of.id, pair).await,
            7 => self.call("UpdateUser", "user_id", &of.id, pair).await,
            8 => self.page("ListSessions", "/v1/auth/sessions", pair).await,
            9 => self.page("ListApiKeys", "/v1/auth/api-keys", pair).await,
            10 => {
                let reply =
                    self.send(&self.gateway, "GetMe", &[], &[bearer(by), (claim, of.id.clone())]).await;
                let own = reply.code == 0 && reply.tells(std::slice::from_ref(&by.id));
                (!own || reply.tells(&of.private(""))).then(|| format!("GetMe: {reply:?}"))
            }
            // Without a token a claim of a header is worth nothing.
            11 => {
                let claims = CLAIMS.map(|claim| (claim, of.id.clone()));
                let reply = self.send(&self.gateway, "ListSessions", &[], &claims).await;
                (reply.code != 16 || reply.tells(&of.private(""))).then(|| format!("no token: {reply:?}"))
            }
            // Another service may not even ask, whatever token it holds.
            _ => {
                let field = [("session_id", session)];
                let reply = self.send(&self.sentiment, "EndSession", &field, &[bearer(of)]).await;
                (reply.code != 7).then(|| format!("as sentiment: {reply:?}"))
            }
        }
    }

    /// A call that must be refused and tell nothing.
    async fn call(&self, rpc: &str, field: &str, value: &str, pair: Pair<'_>) -> Option<String> {
        let headers = [bearer(pair.by), (pair.claim, pair.of.id.clone())];
        let reply = self.send(&self.gateway, rpc, &[(field, value)], &headers).await;
        let refused = matches!(reply.code, 3 | 5 | 7);
        (!refused || reply.tells(&pair.of.private(value))).then(|| format!("{rpc}: {reply:?}"))
    }

    /// The victim's next page.
    async fn page(&self, rpc: &str, path: &str, pair: Pair<'_>) -> Option<String> {
        let (_, page) = pair.of.person.get(&format!("{path}?page_size=1")).await;
        self.call(rpc, "page_token", page["next_page_token"].as_str().unwrap(), pair).await
    }

    async fn send(
        &self,
        wire: &Wire,
        rpc: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, String)],
    ) -> Reply {
        let rpc = self.contract.rpc(rpc);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let message = self.contract.request(rpc, fields);
        wire.send(&rpc.path, &headers, crate::wire::frame(0, &message)).await
    }
}

fn bearer(user: &User) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", user.token()))
}

impl Pair<'_> {
    /// A request with the attacker's token and every claim to be the victim.
    async fn rest(self, method: Method, path: &str, named: &str) -> Option<String> {
        let request = self.by.person.request(method, path).header(self.claim, &self.of.id);
        let request = request.header("x-user-id", &self.of.id);
        let response = request.header("x-api-key-id", nobody(&self.of.keys[0])).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let allowed = status < 400 && path != "/v1/auth/me";
        let told = self.of.private(named).into_iter().any(|secret| text.contains(&secret));
        (allowed || told).then(|| format!("{path}: {status} {text}"))
    }
}
