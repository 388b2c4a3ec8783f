//! E8: no form of a request makes the gateway see two where somebody before it saw one.

use futures::{StreamExt as _, stream};
use quipu_e2e::{Proof, Setup};

use crate::{
    backend::{Backend, mesh_with_backend},
    frames,
    framing::{self, Case, Expect},
    raw::{self, Heard},
};

/// Connections at once.
const AT_ONCE: usize = 16;

/// Statuses that refuse a request for what it is.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) || matches!(status, 501 | 505)
}

/// What is wrong with what came of a case.
fn judge(case: &Case, heard: &Heard, backend: &Backend) -> Result<(), String> {
    let (outer, inner) = (backend.calls(&case.outer).len(), backend.calls(&case.inner).len());
    let id = case.inner.replace([' ', '!'], "-");
    let answered = heard.replies.iter().any(|r| r.header("x-request-id") == id);
    let answered = answered || String::from_utf8_lossy(&heard.rest).contains(&id);
    if inner > 0 || answered {
        return Err(format!("the second request was read: {:?}", heard.statuses()));
    }
    let refused = outer == 0 && (heard.statuses().iter().all(|s| is_refusal(*s))) && heard.replies.len() <= 1;
    // A refusal ends the connection, so that nothing behind it is read.
    let refused = refused && (heard.closed || heard.replies.len() == 1);
    let whole = |body: &[u8]| body.windows(8).any(|part| part == b"stranger");
    let one = outer == 1 && heard.statuses() == [200] && whole(&heard.replies[0].body);
    let holds = match case.expect {
        Expect::Refused => refused,
        Expect::One => one,
        Expect::Either => refused || one,
    };
    let what = || format!("{:?} {} at the backend, closed {}", heard.statuses(), outer, heard.closed);
    if holds { Ok(()) } else { Err(what()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_no_framing_makes_two_requests_of_one() {
    let mut proof = Proof::new("E8", "no framing of HTTP/1 or HTTP/2 smuggles a second request");
    let (mesh, backend, person) = mesh_with_backend(Setup::new()).await;
    let (address, token) = (mesh.process("gateway").address(), person.token.clone().unwrap());

    // The control: two requests in one breath are two requests, answered in their order.
    let pair = format!("{}{}", framing::good(&token, "first !"), framing::good(&token, "second !"));
    let heard = raw::say(address, pair.as_bytes()).await;
    let ids: Vec<_> = heard.replies.iter().map(|r| r.header("x-request-id")).collect();
    proof.check(ids == ["first--", "second--"], || format!("the control: {heard:?}"));

    let cases = framing::cases(&token);
    let refused = cases.iter().filter(|c| c.expect == Expect::Refused).count();
    let number = cases.len();
    let heard: Vec<_> = stream::iter(cases)
        .map(|case| async move {
            let heard = raw::say(address, &case.bytes).await;
            (case, heard)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (case, heard) in &heard {
        let judged = judge(case, heard, &backend);
        proof.check(judged.is_ok(), || format!("{}: {}", case.name, judged.unwrap_err()));
    }
    let http2 = frames::cases(&token);
    for case in &http2 {
        let (bytes, closed) = raw::exchange(address, &case.bytes).await;
        let verdict = frames::judge(case, &bytes, closed, backend.calls(&case.text).len());
        proof.check(verdict.is_ok(), || format!("HTTP/2, {}: {}", case.name, verdict.unwrap_err()));
    }
    let smuggled = backend.calls("inner").len();
    proof.figure(format!(
        "{number} forms of HTTP/1 ({refused} to be refused) and {} of HTTP/2: {smuggled} second requests reached a backend",
        http2.len()
    ));
    proof.limit("0 of at least 60");
    proof.require(number + http2.len() >= 60, || "too few forms");
    proof.finish();
}
