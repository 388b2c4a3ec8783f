//! E8, its second part: more headers than anybody needs.

use quipu_e2e::{Proof, Setup, count};

use crate::raw;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_floods_of_headers_are_refused_in_bounded_memory() {
    let mut proof =
        Proof::new("E8.floods", "too many or too large headers are refused, and nobody else is hurt");
    let mesh = Setup::new().without_rates().start().await;
    let gateway = mesh.process("gateway");
    let many = |n: usize| (0..n).map(|k| format!("X-{k}: a\r\n")).collect::<String>();
    let long = |n: usize| format!("X-A: {}\r\n", "a".repeat(n));
    let path = |n: usize| format!("/info?{}", "a".repeat(n));
    let cases = [
        ("90 headers", "/info".to_owned(), many(90), &[200u16][..]),
        ("200 headers", "/info".into(), many(200), &[431][..]),
        ("2,000 headers", "/info".into(), many(2_000), &[431][..]),
        ("20,000 headers", "/info".into(), many(20_000), &[431][..]),
        ("a header of 15 KiB", "/info".into(), long(15 * 1024), &[200][..]),
        ("a header of 17 KiB", "/info".into(), long(17 * 1024), &[431][..]),
        ("a header of 64 KiB", "/info".into(), long(64 * 1024), &[431][..]),
        ("a header of 1 MiB", "/info".into(), long(1024 * 1024), &[431][..]),
        ("a name of 64 KiB", "/info".into(), format!("{}: a\r\n", "a".repeat(64 * 1024)), &[400, 431][..]),
        ("a path of 8 KiB less a bit", path(8_000), String::new(), &[200][..]),
        ("a path of 9 KiB", path(9_000), String::new(), &[414][..]),
        ("a path of 64 KiB", path(64 * 1024), String::new(), &[414, 431][..]),
        ("a path of 1 MiB", path(1024 * 1024), String::new(), &[414, 431][..]),
        ("one cookie 150 times", "/info".into(), "Cookie: a=b\r\n".repeat(150), &[431][..]),
    ];
    let base = gateway.memory().0;
    let rounds = count(50);
    for round in 0..rounds {
        for (name, target, headers, statuses) in &cases {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: quipu\r\nConnection: close\r\n{headers}\r\n");
            let heard = raw::say(gateway.address(), request.as_bytes()).await;
            let holds =
                matches!(heard.statuses().as_slice(), [one] if statuses.contains(one)) && heard.closed;
            proof.check(holds, || {
                format!("{name}, round {round}: {:?} closed {}", heard.statuses(), heard.closed)
            });
        }
    }
    let grown = gateway.memory().0.saturating_sub(base) / 1024;
    proof.require(grown < 32 * 1024, || format!("the gateway grew by {grown} KiB"));
    proof.figure(format!("{} forms, {rounds} times each; the gateway grew by {grown} KiB", cases.len()));
    proof.limit("431, 414 or 400 beyond the limits, 200 below; ≤ 32 MiB more");
    proof.finish();
}
