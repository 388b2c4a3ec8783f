//! G1: every forged or malformed token is refused, and all alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use quipu_e2e::{Person, ProcessMesh, Proof, Setup, count, is_full};
use serde_json::json;

use crate::{
    corpus::{self, Case, Expect, key, wycheproof},
    forger::{Forger, reason},
    wire::{Answer, ENDPOINTS, METHODS, Rest, Wire, bearer},
};

/// Between two controls.
const CONTROL: usize = 25;

/// A forger with the key of a mesh and a good token of a person.
pub(crate) fn forger_of(mesh: &ProcessMesh, person: &Person) -> Forger {
    Forger::new(&mesh.folder().join("keys"), person.token.as_deref().unwrap())
}

/// Shows each credential everywhere and keeps what came.
pub(crate) struct Panel {
    rest: Rest,
    wires: Vec<(&'static str, Wire)>,
    good: String,
    shown: usize,
    controls: usize,
    /// By what was to be expected: each different answer over REST.
    answers: BTreeMap<Expect, BTreeSet<Answer>>,
    direct: BTreeSet<Answer>,
    times: BTreeMap<&'static str, Vec<Duration>>,
}

impl Panel {
    /// At the first gateway and both services.
    pub(crate) async fn new(mesh: &ProcessMesh, good: &str) -> Self {
        let wires = METHODS.map(|(service, path)| (path, Wire::to(mesh, service))).into();
        let (answers, direct) = (BTreeMap::new(), BTreeSet::new());
        let rest = Rest::at(mesh, "gateway");
        let mut panel = Self {
            rest,
            wires,
            good: good.to_owned(),
            shown: 0,
            controls: 0,
            answers,
            direct,
            times: BTreeMap::new(),
        };
        assert!(panel.control().await, "the good token is not good");
        panel
    }

    /// Shows one at each place, or in the short form at one endpoint and one service in turn; counts each answer.
    pub(crate) async fn try_case(&mut self, case: &Case, proof: &mut Proof) {
        let turn = self.shown;
        let of = move |all: usize| (0..all).filter(move |at| is_full() || turn % all == *at);
        for endpoint in of(ENDPOINTS.len()).map(|at| ENDPOINTS[at]) {
            let (answer, took) = self.rest.show(endpoint, &case.shown).await;
            // Those who show a key wait for `auth`, and who shows nothing for nobody: that they show it is no secret.
            if case.expect == Expect::Token {
                self.times.entry(case.class).or_default().push(took);
            }
            proof.check(answer.code == case.expect.status(), || {
                format!("{} {}: {endpoint:?} said {answer:?}", case.class, case.name)
            });
            self.answers.entry(case.expect).or_default().insert(answer);
        }
        for at in of(METHODS.len()) {
            let (path, wire) = &mut self.wires[at];
            let answer = wire.show(path, &case.shown).await;
            let large = case.expect == Expect::Large && answer.code == -1;
            proof.check(answer.code == 16 || large, || {
                format!("{} {}: {path} said {answer:?}", case.class, case.name)
            });
            if !large {
                self.direct.insert(answer);
            }
        }
        self.shown += 1;
        if self.shown.is_multiple_of(CONTROL) {
            let good = self.control().await;
            proof.check(good, || format!("after {} the good token is not good", case.name));
        }
    }

    /// Whether the good token is good everywhere.
    async fn control(&mut self) -> bool {
        self.controls += 1;
        let shown = bearer(&self.good);
        let mut good = true;
        for endpoint in ENDPOINTS {
            good &= self.rest.show(endpoint, &shown).await.0.code == 200;
        }
        for (path, wire) in &mut self.wires {
            // An empty text is no text, which is said to those only who may ask.
            good &= matches!(wire.show(path, &shown).await.code, 0 | 3);
        }
        good
    }

    /// How the answers differ.
    pub(crate) fn figure(&self) -> String {
        let each: Vec<_> =
            self.answers.iter().map(|(expect, answers)| format!("{expect:?} {}", answers.len())).collect();
        format!(
            "answers over REST: {}; directly: {}; {} controls",
            each.join(", "),
            self.direct.len(),
            self.controls
        )
    }

    /// One answer for each kind of credential, and one directly for all.
    pub(crate) fn finish(&self, proof: &mut Proof) {
        for (expect, answers) in &self.answers {
            proof.require(answers.len() == 1, || {
                format!("{expect:?} is answered in {} ways: {answers:#?}", answers.len())
            });
        }
        proof.require(self.direct.len() == 1, || format!("directly: {:#?}", self.direct));
    }

    /// The median of each class that was shown often enough.
    fn medians(&mut self) -> Vec<(Duration, &'static str)> {
        let often = self.times.iter_mut().filter(|(_, times)| times.len() >= 20);
        let mut medians: Vec<_> = often
            .map(|(class, times)| {
                times.sort_unstable();
                (times[times.len() / 2], *class)
            })
            .collect();
        medians.sort_unstable();
        medians
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_forged_tokens_are_refused_alike() {
    let mut proof =
        Proof::new("G1", "forged and malformed tokens and keys are refused everywhere, all alike");
    let mesh = Setup::new().without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    let forger = forger_of(&mesh, &person);
    let (vectors, valid) = wycheproof::cases();
    let own = corpus::all(&forger);
    let keys = key::cases(&api_key_of(&person).await);
    let (published, made) = (vectors.len(), own.len());
    let cases = [vectors, own, keys].concat();
    let why = reasons(&forger, &cases, &mut proof).await;

    let mut panel = Panel::new(&mesh, &forger.good).await;
    // More often in the full campaign, for the sake of the times.
    for _ in 0..count(30).div_ceil(6) {
        for case in &cases {
            panel.try_case(case, &mut proof).await;
        }
    }
    panel.finish(&mut proof);
    let medians = panel.medians();
    let (first, last) = (medians.first().unwrap(), medians.last().unwrap());
    proof.require_time(last.0 <= first.0 * 2, || format!("{medians:?}"));
    proof.figure(format!(
        "{published} published vectors ({valid} of them good by their own keys, none of the mesh's kind), {made} own tokens, {} keys, {why} causes; {}; medians {:?} ({}) to {:?} ({})",
        cases.len() - published - made, panel.figure(), first.0, first.1, last.0, last.1,
    ));
    proof.limit("0 accepted, 1 answer for each kind of credential, 1 directly, slowest median ≤ 2 × fastest");
    proof.require(made >= 150 && published == 401 && valid == 46, || "the corpus has shrunk");
    proof.finish();
}

async fn api_key_of(person: &Person) -> String {
    let wanted = json!({"name": "k", "scopes": ["profile:read"]});
    let (status, key) = person.post("/v1/auth/api-keys", &wanted).await;
    assert_eq!(status, 201, "{key}");
    key["secret"].as_str().unwrap().to_owned()
}

/// The verifier by itself, with the mesh's key: how many different causes the corpus reaches. What was forged with that key
/// must be refused for another cause than its signature.
async fn reasons(forger: &Forger, cases: &[Case], proof: &mut Proof) -> usize {
    let verifier = forger.verifier();
    assert_eq!(reason(&verifier, &forger.good).await, None, "the control");
    assert_eq!(reason(&verifier, &forger.with_claims(&json!({}))).await, None, "the forger can sign");
    let mut reasons = BTreeSet::new();
    for case in cases {
        let Some(token) = &case.token else { continue };
        let why = reason(&verifier, token).await;
        let by_the_key = matches!(
            case.class,
            "alg"
                | "typ"
                | "member"
                | "kid"
                | "exp"
                | "nbf"
                | "iat"
                | "iss"
                | "aud"
                | "sub"
                | "sid"
                | "jti"
                | "scope"
                | "roles"
                | "client_id"
                | "claims form"
                | "header form"
        );
        let real = why.is_some() && !(by_the_key && matches!(why, Some("signature" | "unknown_kid")));
        // A name of the right form that is no key's is a cause of its own.
        let real = real || (case.class == "kid" && why == Some("unknown_kid"));
        proof.check(real, || format!("{} {}: the verifier said {why:?}", case.class, case.name));
        reasons.extend(why);
    }
    reasons.len()
}
