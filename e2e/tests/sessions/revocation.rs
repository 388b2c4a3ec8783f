//! G4: what was revoked is refused everywhere within five seconds, whatever happens to the stream of revocations.

use std::time::Duration;

use quipu_e2e::{Proof, count};

use crate::{
    scenario::{Stage, Trouble},
    support::setup,
};

async fn prove(id: &'static str, what: &'static str, troubles: &[Trouble]) {
    let mut proof = Proof::new(id, what);
    let mut stage = Stage::on(setup().proxied().start().await).await;
    let mut worst = vec![Duration::ZERO; troubles.len()];
    for _ in 0..count(3) {
        for (worst, trouble) in worst.iter_mut().zip(troubles) {
            *worst = stage.play(&mut proof, *trouble).await.max(*worst);
        }
    }
    let figures = troubles.iter().zip(worst).map(|(t, worst)| format!("{t:?} {:.2} s", worst.as_secs_f64()));
    proof.figure(format!("last taken after the revocation: {}", figures.collect::<Vec<_>>().join(", ")));
    proof.limit(
        "nothing revoked taken in a request begun more than 5 s after the revocation, at any verifier",
    );
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_stream_what_is_revoked_is_refused_everywhere_also_with_the_stream_cut() {
    let what = "logout, end of session, password, user, role and key: refused at every verifier within 5 s, stream cut or not";
    let troubles: &[Trouble] = match quipu_e2e::is_full() {
        true => &[Trouble::None, Trouble::BlackHole, Trouble::Reset, Trouble::Flapping],
        false => &[Trouble::None, Trouble::BlackHole],
    };
    prove("G4.stream", what, troubles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_auth_what_is_revoked_is_refused_everywhere_also_when_auth_dies() {
    let what =
        "the same with auth restarted, frozen or gone right after the revocation: refused, by 401 or 503";
    let troubles: &[Trouble] = match quipu_e2e::is_full() {
        true => &[Trouble::Restarted, Trouble::Frozen, Trouble::Dead],
        false => &[Trouble::Restarted, Trouble::Dead],
    };
    prove("G4.auth", what, troubles).await;
}
