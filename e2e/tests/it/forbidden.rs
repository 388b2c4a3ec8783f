//! Every (caller, method) pair of the policy against the running mesh: what the file forbids is denied by the headers
//! alone, what it allows is not denied.

use std::time::Duration;

use mesh_policy::{Decision, UserRule};

use quipu_e2e::{
    Mesh,
    raw::{self, Answer},
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_running_mesh_decides_every_pair_as_the_file_says() {
    let mesh = Mesh::start().await;
    let policy = mesh.authority.policy().load();
    let (mut denied, mut allowed) = (0, 0);
    for (callee, caller, path, decision) in policy.pairs() {
        let Some(part) = mesh.parts.iter().find(|p| p.name == callee && p.name != "gateway") else {
            continue;
        };
        let tls = mesh.authority.identity(caller, HOUR).unwrap();
        let expected = policy.id_of(callee).unwrap();
        let answer = raw::call(part.address, tls.client_config(&expected), path, None).await;
        let context = format!("{} → {}{}", caller, callee, path);
        match decision {
            Decision::Deny(_) => {
                assert_eq!(answer, Answer::Early(raw::DENIED), "{context}");
                denied += 1;
            }
            Decision::Allow(rule) if matches!(rule.user, UserRule::Required { .. }) => {
                assert_eq!(answer, Answer::Early(raw::UNAUTHENTICATED), "{context}");
                allowed += 1;
            }
            Decision::Allow(_) => {
                let (Answer::Early(code) | Answer::Late(code)) = answer else {
                    panic!("{context}: {answer:?}")
                };
                assert!(code != raw::DENIED && code != raw::UNAUTHENTICATED, "{context}: {code}");
                allowed += 1;
            }
        }
    }
    assert!(denied >= 60 && allowed >= 25, "{denied} denied, {allowed} allowed: the matrix is not whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_of_a_methods_name_reaches_it_but_the_exact_one() {
    let mesh = Mesh::start().await;
    let policy = mesh.authority.policy().load();
    let tls = mesh.authority.identity("operator", HOUR).unwrap();
    let expected = policy.id_of("sentiment").unwrap();
    let address = mesh.part("sentiment").address;
    for path in [
        "//quipu.sentiment.v1.SentimentService/Analyze",
        "/quipu.sentiment.v1.SentimentService/Analyze/",
        "/quipu.sentiment.v1.SentimentService//Analyze",
        "/quipu.sentiment.v1.SentimentService/%41nalyze",
        "/quipu.sentiment.v1.SentimentService/analyze",
        "/QUIPU.sentiment.v1.SentimentService/Analyze",
        "/quipu.sentiment.v1.SentimentService/../quipu.sentiment.v1.SentimentService/Analyze",
        "/SentimentService/Analyze",
        "/quipu.sentiment.v2.SentimentService/Analyze",
        "/",
    ] {
        let answer = raw::call(address, tls.client_config(&expected), path, None).await;
        assert_eq!(answer, Answer::Early(raw::DENIED), "{path}");
    }
}
