//! F7: faulty policy files are refused with the line, by who loads them and by who generates from them, and never
//! displace a good one.

use std::{fs, path::Path, process::Command};

use mesh_policy::{Contract, Policy};
use quipu_e2e::{Mesh, Proof, programs};

/// What to find in the present file (its first occurrence), what to write instead, how many lines below the fault is
/// reported, and a part of what is said.
type Mistake = (&'static str, &'static str, usize, &'static str);

const SHAPE: &[Mistake] = &[
    ("version: 1", "version: 2", 0, "from 1 to 1"),
    ("version: 1", "version: 1\nversion: 1", 1, "duplicate key"),
    ("version: 1", "versions: 1", 0, "did you mean \"version\""),
    ("trustDomain: quipu.local", "trustDomain: Quipu.local", 0, "trust domain"),
    ("trustDomain: quipu.local", "trustDomain: spiffe://quipu.local", 0, "trust domain"),
    ("trustDomain: quipu.local", "trustDomain:", 0, "is missing"),
    ("namespace: quipu", "namespace: Quipu", 0, "is not a name"),
    ("namespace: quipu", "namespace: &n quipu", 0, "an anchor"),
    ("namespace: quipu", "namespace: !!str quipu", 0, "a tag"),
    ("namespace: quipu", "namespace: quipu\n---", 1, "a second document"),
    ("namespace: quipu", "namespace: quipu\t# tab", 0, "a tab"),
    ("namespace: quipu", "namespace: quipu # \u{202e}", 0, "an invisible character"),
    ("namespace: quipu", "namespace: [quipu]", 0, "not a list"),
    (
        "monitoring: {namespace: monitoring, app: prometheus}",
        "monitoring: {namespace: monitoring}",
        0,
        "lacks the key \"app\"",
    ),
    ("monitoring: {namespace: monitoring,", "monitoring: {namespace: quipu,", 0, "another namespace"),
    ("  profile:read: See one's own account and sessions.", "  profile:read:", 0, "is missing"),
    ("  profile:read: See", "  Profile:read: See", 0, "is not a scope"),
    (
        "  mesh:read: See the state of the mesh.",
        "  mesh:read: See it.\n  mesh:all: Everything.",
        1,
        "unused scope",
    ),
    ("  user: [profile:read,", "  user: [profile:raed,", 0, "did you mean \"profile:read\""),
    ("  user: [profile:read,", "  user: [profile:read, profile:read,", 0, "is twice"),
    ("  user: [profile:read,", "  user: [\"*\",", 0, "wildcard"),
];

const WORKLOADS: &[Mistake] = &[
    ("\n  gateway:\n", "\n  Gateway:\n", 1, "is not a name"),
    ("\n  gateway:\n", "\n  internet:\n", 1, "reserved word"),
    ("\n  auth:\n", "\n  gateway:\n", 1, "duplicate key"),
    ("http: {port: 8080, from: [internet]}", "http: {port: 80, from: [internet]}", 0, "from 1024 to 65535"),
    ("http: {port: 8080, from: [internet]}", "http: {port: 8080, from: []}", 0, "empty list"),
    ("http: {port: 8080, from: [internet]}", "http: {port: 8080, from: [gateway]}", 0, "would call itself"),
    ("http: {port: 8080, from: [internet]}", "http: {port: \"8080\", from: [internet]}", 0, "a number"),
    ("admin: {port: 9101}", "admin: {port: 9100}", 0, "is taken by"),
    ("admin: {port: 9101}", "admin: {port: 8101}", 0, "from 9100 to 9199"),
    ("uses: [postgres, otel-collector]", "uses: [postgers, otel-collector]", 0, "did you mean \"postgres\""),
    ("uses: [postgres, otel-collector]", "uses: postgres", 0, "must be a list"),
    ("disruption: {maxUnavailable: 1}", "disruption: {maxUnavailable: 0}", 0, "from 1 to 100"),
    ("disruption: {maxUnavailable: 1}", "disruption: {minAvailable: 1}", 0, "unknown key"),
    ("services: [quipu.auth.v1.AuthService]", "services: [quipu.auth.v1.AuthServise]", 0, "unknown service"),
    ("services: [quipu.auth.v1.AuthService]", "services: [quipu.auth.v1.authservice]", 0, "unknown service"),
    ("services: [quipu.auth.v1.AuthService]", "services: []", 0, "empty list"),
    (
        "services: [quipu.sentiment.v1.SentimentService]",
        "services: [quipu.auth.v1.AuthService]",
        0,
        "is served by",
    ),
    ("health: [gateway, operator]", "health: [gateway, auth]", 0, "would call itself"),
    ("health: [gateway, operator]", "health: [gatewai, operator]", 0, "did you mean \"gateway\""),
    ("reflection: [operator]", "reflection: [internet]", 0, "cannot call gRPC"),
    ("reflection: [operator]", "reflection: []", 0, "leave the key out"),
    ("operator: {external: true}", "operator: {external: yes}", 0, "can only be true"),
    (
        "operator: {external: true}",
        "operator: {external: true}\n  ghost: {external: true}",
        1,
        "unused workload",
    ),
    ("  redis: {port: 6379}", "  redis: {port: 0}", 0, "from 1 to 65535"),
    ("  redis: {port: 6379}", "  redis: {port: 6379}\n  mongo: {port: 1}", 1, "unused resource"),
    ("  redis: {port: 6379}", "  redis: {port: 6379, app: auth}", 0, "those of workload"),
];

const CALLS: &[Mistake] = &[
    (
        "  quipu.sentiment.v1.SentimentService:\n",
        "  quipu.sentiment.v2.SentimentService:\n",
        0,
        "unknown service",
    ),
    ("    Login: {from: [gateway],", "    Logon: {from: [gateway],", 0, "unknown method"),
    ("    Login: {from: [gateway],", "    login: {from: [gateway],", 0, "unknown method"),
    (
        "    Login: {from: [gateway], deadline: 5s}",
        "    Login: {from: [gateway]}",
        0,
        "lacks the key \"deadline\"",
    ),
    (
        "    Login: {from: [gateway], deadline: 5s}",
        "    Login: {from: [gateway], deadline: 5}",
        0,
        "a duration",
    ),
    (
        "    Login: {from: [gateway], deadline: 5s}",
        "    Login: {from: [gateway], deadline: 0s}",
        0,
        "from 1ms",
    ),
    (
        "    Login: {from: [gateway], deadline: 5s}",
        "    Login: {from: [gateway], deadline: 5s, idle: 1s}",
        0,
        "is no stream",
    ),
    (
        "    Login: {from: [gateway], deadline: 5s}",
        "    Login: {from: [gateway], deadline: 5s, retries: 3}",
        0,
        "unknown key",
    ),
    ("    Login: {from: [gateway],", "    Login: {from: [],", 0, "nobody"),
    ("    Login: {from: [gateway],", "    Login: {from: [\"*\"],", 0, "wildcard"),
    ("    Login: {from: [gateway],", "    Login: {from: [gate*],", 0, "wildcard"),
    ("    Login: {from: [gateway],", "    Login: {from: [Gateway],", 0, "unknown workload"),
    ("    Login: {from: [gateway],", "    Login: {from: [gateway, gateway],", 0, "is twice"),
    ("    Login: {from: [gateway],", "    Login: {from: [internet],", 0, "cannot call gRPC"),
    ("    Login: {from: [gateway],", "    Login: {from: [auth],", 0, "would call itself"),
    ("    Login: {from: [gateway],", "    Login: {from: gateway,", 0, "must be a list"),
    ("    Login: {from: [gateway],", "    Login: {form: [gateway],", 0, "did you mean \"from\""),
    ("    Login: {from: [gateway], deadline: 5s}", "    Login: {nobody: no}", 0, "ten characters"),
    ("    Login: {from: [gateway], deadline: 5s}", "    Login: []", 0, "empty list"),
    (
        "    Login: {from: [gateway], deadline: 5s}",
        "    Login: {from: [gateway], deadline: 5s}\n    Login: {from: [gateway], deadline: 5s}",
        1,
        "duplicate key",
    ),
    ("user: {scope: profile:read}", "user: {scope: profile:raed}", 0, "did you mean"),
    ("user: {scope: profile:read}", "user: anybody", 0, "\"user\" is either"),
    ("deadline: 1h, idle: 10s}", "deadline: 1h}", 0, "lacks the key \"idle\""),
    ("deadline: 1h, idle: 10s}", "deadline: 1s, idle: 10s}", 0, "longer than"),
    (
        "    ListModels:\n      - {from: [gateway],",
        "    ListModels:\n      - {from: [operator],",
        2,
        "a second rule",
    ),
    (
        "    ListModels:\n      - {from: [gateway],",
        "    ListModels:\n      - {from: [gateway, auth],",
        0,
        "calls go in a circle",
    ),
];

/// The file with the mistake, and the line of the fault.
fn spoil(good: &str, (find, instead, below, _): &Mistake) -> Option<(String, usize)> {
    let at = good.find(find)?;
    let line = good[..at].matches('\n').count() + 1 + below;
    Some((good.replacen(find, instead, 1), line))
}

fn generator(command: &str, file: &Path) -> (Option<i32>, String, String) {
    let output =
        Command::new(programs().join("quipu")).args(["policy", command, "--file"]).arg(file).output();
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f7_faulty_files_are_refused_with_the_line_and_displace_nothing() {
    let mesh = Mesh::start().await;
    let handle = mesh.authority.policy();
    let mut proof = Proof::new(
        "F7",
        "faulty policy files are refused with the line, when loaded, generated from and reloaded",
    );
    let file = mesh.data().join("faulty.yaml");
    let good = quipu::POLICY;
    let table: Vec<_> = SHAPE.iter().chain(WORKLOADS).chain(CALLS).collect();
    for (number, mistake) in (1..).zip(&table) {
        let Some((text, line)) = spoil(good, mistake) else {
            proof.check(false, || format!("the file has no {:?}", mistake.0));
            continue;
        };
        let name = format!("{:?} for {:?}", mistake.1, mistake.0);
        let faults = Policy::parse("x", &text, Contract::quipu()).err();
        let told = faults.as_ref().is_some_and(|faults| {
            faults.list().iter().any(|f| line_fits(mistake, f.line, line) && f.message.contains(mistake.3))
        });
        proof.check(told, || format!("load, line {line}: {name}: {faults:?}"));
        let Some(faults) = faults else { continue };
        let wanted = format!("faulty.yaml:{}:", faults.list()[0].line);
        fs::write(&file, &text).unwrap();
        for command in ["check", "render"] {
            let (code, out, errors) = generator(command, &file);
            let ok = code == Some(1) && out.is_empty() && errors.contains(&wanted);
            proof.check(ok, || format!("quipu policy {command}: {name}: {code:?} {out} {errors}"));
        }
        let refused = handle.reload(&text).is_err();
        let kept = handle.load().source() == good && handle.refused() == number && handle.applied() == 0;
        proof.check(refused && kept, || format!("reload: {name}: refused {}", handle.refused()));
    }
    fs::write(&file, good).unwrap();
    let (code, _, errors) = generator("check", &file);
    proof.check(code == Some(0), || format!("the control: {errors}"));
    let wider =
        good.replace("GetJwks: {from: [gateway, sentiment, operator]", "GetJwks: {from: [gateway, operator]");
    proof.check(handle.reload(&wider).is_ok() && handle.applied() == 1, || "the control is not reloaded");
    proof.require(table.len() >= 60, || format!("{} files are too few", table.len()));
    proof
        .figure(format!("{} files, each refused at its line by load, check, render and reload", table.len()));
    proof.limit("all refused with the line; the policy in force stays");
    proof.finish();
}

/// A circle is reported where its first call stands, whichever that is.
fn line_fits(mistake: &Mistake, found: usize, wanted: usize) -> bool {
    found == wanted || (found > 0 && mistake.3.contains("circle"))
}
