//! F1: every (caller, method) pair against the running mesh, decided by the headers alone.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use mesh_policy::Policy;
use quipu_e2e::{
    Mesh, Proof,
    raw::{self, Answer, DENIED, UNAUTHENTICATED, Wire},
};
use tokio_rustls::rustls::ClientConfig;

use crate::{
    callers::{strangers, workload},
    file::{File, User, paths},
    stores,
};

/// The workloads that serve gRPC.
pub(crate) const CALLEES: [&str; 3] = ["auth", "jokes", "sentiment"];

/// Calls every path on one connection.
async fn ask_all(
    mesh: &Mesh,
    callee: &str,
    tls: Arc<ClientConfig>,
    paths: &[&str],
    token: Option<&str>,
) -> Vec<Answer> {
    let wire = Wire::open(mesh.part(callee).address, tls).await.unwrap();
    futures::future::join_all(paths.iter().map(|path| wire.announce(path, token))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_every_pair_is_decided_as_the_file_says() {
    let mesh = Mesh::start().await;
    let user = mesh.signed_in("ada").await;
    let policy = mesh.authority.policy().load();
    let (file, paths) = (File::read(quipu::POLICY), paths());
    let mut proof = Proof::new(
        "F1",
        "every (caller, method) pair, health and reflection too, is decided as the file says by the headers alone",
    );
    let database = mesh.data().join("auth/auth.db");
    let before = stores::contents(&database).await;
    let denied = forbidden(&mesh, &file, &paths, &mut proof).await;
    let outside = outsiders(&mesh, &paths, &mut proof).await;
    let changed = stores::changed(&before, &stores::contents(&database).await);
    proof.require(changed.is_empty(), || format!("denied calls changed {changed:?}"));
    proof.require(before.len() >= 9, || format!("the store was not looked at: {:?}", before.keys()));
    let allowed = permitted(&mesh, &file, &paths, user.token.as_deref().unwrap(), &mut proof).await;
    explained(&policy, &file, &paths, &mut proof);
    proof.require(denied >= 100 && allowed >= 40, || format!("{denied} denied, {allowed} allowed"));
    proof.figure(format!(
        "{denied} pairs of workloads denied, {outside} of strangers refused, {allowed} allowed; {} tables unchanged",
        before.len()
    ));
    proof.limit("100 % as the file says, 0 side effects of what is denied");
    proof.finish();
}

/// The pairs that the file does not grant.
async fn forbidden(mesh: &Mesh, file: &File, paths: &[String], proof: &mut Proof) -> usize {
    let mut denied = 0;
    for callee in CALLEES {
        for caller in file.workloads() {
            let not_granted = |path: &&str| file.rule(&caller, callee, path).is_none();
            let asked: Vec<&str> = paths.iter().map(String::as_str).filter(not_granted).collect();
            let answers = ask_all(mesh, callee, workload(mesh, &caller, callee), &asked, None).await;
            denied += answers.len();
            for (path, answer) in asked.iter().zip(answers) {
                proof.check(answer == Answer::Early(DENIED), || {
                    format!("{caller} → {callee}{path}: {answer:?}")
                });
            }
        }
    }
    denied
}

/// Everybody who is no workload, on every method: refused in the handshake, or by the policy.
async fn outsiders(mesh: &Mesh, paths: &[String], proof: &mut Proof) -> usize {
    let mut refused = 0;
    for stranger in strangers(mesh.data()) {
        for callee in CALLEES {
            let address = mesh.part(callee).address;
            let answers =
                stream::iter(paths).map(|path| raw::call(address, stranger.tls.clone(), path, None));
            let answers: Vec<_> = answers.buffered(8).collect().await;
            refused += answers.len();
            for (path, answer) in paths.iter().zip(answers) {
                let ok = match &answer {
                    Answer::Refused(_) => !stranger.shakes_hands,
                    answer => stranger.shakes_hands && *answer == Answer::Early(DENIED),
                };
                proof.check(ok, || format!("{} → {callee}{path}: {answer:?}", stranger.name));
            }
        }
    }
    refused
}

/// The pairs that the file grants: not denied, but for the user that the rule asks for.
async fn permitted(mesh: &Mesh, file: &File, paths: &[String], token: &str, proof: &mut Proof) -> usize {
    let scopes = file.scopes("user");
    let mut allowed = 0;
    for callee in CALLEES {
        for caller in file.workloads() {
            let granted = |path: &&str| file.rule(&caller, callee, path).is_some();
            let asked: Vec<&str> = paths.iter().map(String::as_str).filter(granted).collect();
            for token in [None, Some(token)] {
                let tls = workload(mesh, &caller, callee);
                let answers = ask_all(mesh, callee, tls, &asked, token).await;
                allowed += answers.len();
                for (path, answer) in asked.iter().zip(answers) {
                    let lacks = |scope: &String| !scopes.contains(scope);
                    let ok = match (file.rule(&caller, callee, path), token) {
                        (Some(User::Any | User::Scope(_)), None) => answer == Answer::Early(UNAUTHENTICATED),
                        (Some(User::Scope(scope)), Some(_)) if lacks(scope) => {
                            answer == Answer::Early(DENIED)
                        }
                        _ => answer.code().is_some_and(|code| code != DENIED && code != UNAUTHENTICATED),
                    };
                    proof.check(ok, || {
                        format!("{caller} → {callee}{path}, token: {}: {answer:?}", token.is_some())
                    });
                }
            }
        }
    }
    allowed
}

/// `quipu policy explain` says the same in words, for each pair and each callee.
fn explained(policy: &Policy, file: &File, paths: &[String], proof: &mut Proof) {
    for caller in file.workloads() {
        for path in paths {
            let explanation = policy.explain(&caller, path);
            let text = explanation.to_string();
            let mut any = false;
            for callee in CALLEES {
                let granted = file.rule(&caller, callee, path).is_some();
                any |= granted;
                let line = format!("allowed: {caller} may call {path} on {callee}, by ");
                proof.check(text.contains(&line) == granted, || format!("explain {caller} {path}: {text}"));
            }
            proof.check(explanation.allowed == any, || format!("explain {caller} {path}: {text}"));
        }
    }
}
