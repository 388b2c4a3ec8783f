//! G10 over gRPC: as the gateway, with one user's token, naming what belongs to another.

use std::collections::BTreeMap;

use mesh_policy::{Decision, UserRule};
use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use quipu_e2e::Proof;

use crate::{
    contract::{Contract, Rpc, write_bytes},
    wire::{Reply, Wire},
    world::{User, World, new_key, nobody},
};

/// NOT_FOUND.
const NOT_FOUND: i32 = 5;
/// PERMISSION_DENIED.
const DENIED: i32 = 7;

/// What a field that looks like an id names.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// A session or a key of the caller's.
    Own(fn(&User) -> Vec<String>),
    /// An account, for administrators.
    Account,
    /// The session or the user of a token, for verifiers: no user is asked for.
    Claim,
    /// Nothing: it is sent back.
    Echo,
}

/// Every field of a request that looks like an id.
fn known(rpc: &str, field: &str) -> Option<Names> {
    let sessions = |user: &User| [user.sessions.clone(), vec![user.gone_session.clone()]].concat();
    let keys = |user: &User| [user.keys.clone(), vec![user.gone_key.clone()]].concat();
    let jokes = |user: &User| [user.jokes.clone(), vec![user.gone_joke.clone()]].concat();
    match (rpc, field) {
        ("EndSession", "session_id") => Some(Names::Own(sessions)),
        ("RevokeApiKey", "api_key_id") => Some(Names::Own(keys)),
        ("GetJoke" | "DeleteJoke" | "RateJoke", "id") => Some(Names::Own(jokes)),
        ("GetUser" | "UpdateUser", "user_id") => Some(Names::Account),
        ("CheckSession", "session_id" | "user_id") => Some(Names::Claim),
        ("AnalyzeStream", "id") => Some(Names::Echo),
        _ => None,
    }
}

fn looks_like_an_id(field: &str) -> bool {
    field == "id"
        || ["_id", "_ids", "_name", "parent", "owner", "resource"].iter().any(|end| field.ends_with(end))
            && field != "display_name"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_grpc_objects_of_others_are_as_if_they_were_not_there() {
    let mut proof =
        Proof::new("G10.grpc", "over gRPC, an object of somebody else is as one that is not there");
    let (world, contract) = (World::start().await, Contract::read());
    let wire = Wire::to(&world.mesh, "auth", "gateway").await;
    let to_jokes = Wire::to(&world.mesh, "jokes", "gateway").await;
    let before = world.of_victim().await;
    let mut naming = 0;
    for rpc in &contract.rpcs {
        for field in contract.fields(&rpc.takes).iter().filter(|field| looks_like_an_id(field.name())) {
            naming += 1;
            let names = known(&rpc.name, field.name());
            proof.check(names.is_some() && field.r#type() == Type::String, || {
                format!("{}.{}: what does it name?", rpc.name, field.name())
            });
            let wire = if rpc.path.contains(".jokes.") { &to_jokes } else { &wire };
            let asker = Asker { wire, contract: &contract, rpc, field: field.name() };
            match names {
                Some(Names::Own(of)) => asker.owned(&mut proof, &world, &of(&world.victim), NOT_FOUND).await,
                Some(Names::Account) => {
                    asker.owned(&mut proof, &world, std::slice::from_ref(&world.victim.id), DENIED).await;
                }
                Some(Names::Claim) => asker.claims(&mut proof, &world).await,
                Some(Names::Echo) | None => {}
            }
        }
    }
    credentials(&mut proof, &world, &contract, &wire).await;
    let after = world.of_victim().await;
    proof.check(before == after, || format!("the victim's objects have changed: {before}\n{after}"));
    // The control: the owner may.
    let end = contract.rpc("EndSession");
    let own = contract.request(end, &[("session_id", &world.victim.sessions[0])]);
    let ended = wire.call(&end.path, Some(world.victim.token()), &own).await;
    proof.check(ended.code == 0, || format!("the owner: {ended:?}"));
    proof.figure(format!("{naming} fields that name something, in {} methods", contract.rpcs.len()));
    proof.limit("0 cross access; one answer, but for the id, for what is not yours and what is not there");
    proof.finish();
}

/// Asks by one field of one method.
struct Asker<'a> {
    wire: &'a Wire,
    contract: &'a Contract,
    rpc: &'a Rpc,
    field: &'a str,
}

impl Asker<'_> {
    async fn ask(&self, token: Option<&str>, id: &str) -> Reply {
        let mut message = self.contract.request(self.rpc, &[(self.field, id)]);
        if self.rpc.name == "UpdateUser" {
            message = mesh_proto::auth::v1::UpdateUserRequest {
                user_id: id.to_owned(),
                disabled: true,
                update_mask: Some(prost_types::FieldMask { paths: vec!["disabled".to_owned()] }),
                ..Default::default()
            }
            .encode_to_vec();
        }
        if self.rpc.name == "RateJoke" {
            message.extend([0x10, 1]);
        }
        self.wire.call(&self.rpc.path, token, &message).await
    }

    /// Whatever the id, the answer is that for an id of nobody.
    async fn owned(&self, proof: &mut Proof, world: &World, theirs: &[String], code: i32) {
        let (rpc, token) = (&self.rpc.name, Some(world.attacker.token()));
        let none = nobody(&theirs[0]);
        let expected = self.ask(token, &none).await;
        proof.check(expected.code == code, || format!("{rpc} of nobody's: {expected:?}"));
        let expected = expected.shape(&[&none]);
        let malformed = ["0", "'; DROP TABLE users; --", "../admin", "\u{0}", &"9".repeat(4000)];
        for id in theirs.iter().map(String::as_str).chain(malformed) {
            let got = self.ask(token, id).await;
            proof.check(got.shape(&[&none]) == expected, || {
                format!("{rpc} {id}: {got:?}, of nobody {expected}")
            });
            let told = got.tells(&world.victim.private(id));
            proof.check(!told, || format!("{rpc} {id} tells something: {got:?}"));
        }
        for (who, token) in [("nobody", None), ("a stranger", Some("x.y.z"))] {
            let refused = self.ask(token, &theirs[0]).await;
            proof.check(refused.code == 16, || format!("{rpc} by {who}: {refused:?}"));
        }
    }

    /// A session is only good together with its own user.
    async fn claims(&self, proof: &mut Proof, world: &World) {
        let (own, theirs) = (&world.attacker, &world.victim);
        let (sessions, keys) = (&theirs.sessions, &theirs.keys);
        let none = nobody(&theirs.id);
        let check = async |session: &str, user: &str| {
            let mut message = self.contract.request(self.rpc, &[("session_id", session), ("user_id", user)]);
            // Issued in the year 2100.
            let issued = prost_types::Timestamp { seconds: 4_102_444_800, nanos: 0 };
            write_bytes(3, &issued.encode_to_vec(), &mut message);
            self.wire.call(&self.rpc.path, None, &message).await
        };
        let expected = check(&nobody(&sessions[0]), &none).await.shape(&[]);
        for id in sessions.iter().chain(keys) {
            for user in [&own.id, &none] {
                let got = check(id, user).await;
                proof.check(got.code == 0 && got.shape(&[]) == expected, || {
                    format!("{id} of {user}: {got:?}")
                });
            }
            let good = check(id, &theirs.id).await;
            proof.check(good.shape(&[]) != expected, || format!("the control: {good:?}"));
        }
    }
}

/// A credential that names the victim's object with the attacker's secret is worth nothing, and ends nothing.
async fn credentials(proof: &mut Proof, world: &World, contract: &Contract, wire: &Wire) {
    let (own, theirs) = (&world.attacker, &world.victim);
    let mixed = own.refresh_token.replacen(own.sessions.last().unwrap(), theirs.sessions.last().unwrap(), 1);
    assert_ne!(mixed, own.refresh_token);
    let of_nobody = own.refresh_token.replacen(own.sessions.last().unwrap(), &nobody(&own.sessions[0]), 1);
    for (name, code) in [("Refresh", 16), ("Logout", 0)] {
        let rpc = contract.rpc(name);
        let ask = async |token: &str| {
            wire.call(&rpc.path, None, &contract.request(rpc, &[("refresh_token", token)])).await
        };
        let (got, expected) = (ask(&mixed).await, ask(&of_nobody).await);
        proof.check(got.code == code && got.shape(&[]) == expected.shape(&[]), || {
            format!("{name}: {got:?}, of nobody {expected:?}")
        });
    }
    let mixed = key(&theirs.keys[0], &own.secrets[0]);
    let of_nobody = key(&nobody(&theirs.keys[0]), &own.secrets[0]);
    for (name, field) in [("ExchangeToken", "subject_token"), ("VerifyApiKey", "api_key")] {
        let rpc = contract.rpc(name);
        let ask = async |key: &str| {
            let mut message = contract.request(rpc, &[(field, key)]);
            if name == "ExchangeToken" {
                message.extend([0x10, 1]);
            }
            wire.call(&rpc.path, None, &message).await
        };
        let (got, expected) = (ask(&mixed).await, ask(&of_nobody).await);
        proof.check(got.code == 16 && got.shape(&[]) == expected.shape(&[]), || {
            format!("{name}: {got:?}, of nobody {expected:?}")
        });
        let good = ask(&key(&own.keys[0], &own.secrets[0])).await;
        proof.check(good.code == 0, || format!("{name}, the control: {good:?}"));
    }
}

/// A key of this id with that key's secret, and the right checksum.
fn key(id: &str, whole: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let secret = whole.split('_').nth(2).unwrap();
    let body = format!("qp_{id}_{secret}");
    let mut sum = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(sum % 62).unwrap()];
        sum /= 62;
    }
    format!("{body}_{}", str::from_utf8(&digits).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_scopes_every_method_is_open_to_exactly_the_tokens_with_its_scope() {
    let mut proof =
        Proof::new("G10.scopes", "every method over gRPC is open to exactly the tokens with its scope");
    let (world, contract) = (World::start().await, Contract::read());
    let policy = world.mesh.policy();
    let mut wires = BTreeMap::new();
    for (callee, caller) in
        [("auth", "gateway"), ("jokes", "gateway"), ("sentiment", "gateway"), ("jokes", "operator")]
    {
        wires.insert((callee, caller), Wire::to(&world.mesh, callee, caller).await);
    }
    let exchange = contract.rpc("ExchangeToken");
    let mut tokens = Vec::new();
    for scope in policy.scopes() {
        let (_, secret) = new_key(&world.admin, &scope.name, &[&scope.name]).await;
        let mut message = contract.request(exchange, &[("subject_token", &secret)]);
        message.extend([0x10, 1]);
        let reply = wires[&("auth", "gateway")].call(&exchange.path, None, &message).await;
        assert_eq!(reply.code, 0, "{reply:?}");
        let answer = mesh_proto::auth::v1::ExchangeTokenResponse::decode(&reply.data[5..]).unwrap();
        tokens.push((scope.name.to_string(), answer.access_token));
    }
    let mut asked = 0;
    for (callee, caller, path, decision) in policy.pairs() {
        let Decision::Allow(rule) = decision else { continue };
        let UserRule::Required { scope } = &rule.user else { continue };
        for (has, token) in &tokens {
            let reply = wires[&(callee, caller)].call(path, Some(token), &[]).await;
            let may = scope.as_ref().is_none_or(|scope| scope == has);
            let as_said = if may { !matches!(reply.code, 2 | 7 | 13..) } else { reply.code == DENIED };
            proof.check(as_said, || format!("{path} with {has}: {reply:?}"));
        }
        let refused = wires[&(callee, caller)].call(path, None, &[]).await;
        proof.check(refused.code == 16, || format!("{path} without a token: {refused:?}"));
        asked += 1;
    }
    proof.require(asked >= 14, || format!("{asked} methods ask for a user"));
    proof.figure(format!("{asked} methods × {} tokens", tokens.len() + 1));
    proof.limit("allowed exactly with the scope of the method");
    proof.finish();
}
