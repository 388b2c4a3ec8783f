//! Every way to get a policy file wrong is refused, with the line and in words.

use std::fmt::Write;

use crate::support::{DEMO, Random, parse, with_line};

/// Line of the small mesh's file, what to write there, the line of the fault, a part of its message.
const BAD: &[(usize, &str, usize, &str)] = &[
    // The format.
    (1, "", 1, "lacks the key \"version\""),
    (1, "version: 2", 1, "must be a number from 1 to 1, not \"2\""),
    (1, "version: \"1\"", 1, "must be a number from 1 to 1"),
    (1, "version: 1\nversion: 1", 2, "duplicate key \"version\" (first in line 1)"),
    (1, "versoin: 1", 1, "unknown key \"versoin\" in \"policy\" (did you mean \"version\"?)"),
    (1, "%YAML 1.1\nversion: 1", 2, "not YAML"),
    (1, "!!int version: 1", 1, "a tag"),
    (1, "version: !!int 1", 1, "a tag"),
    (1, "<<: {version: 1}", 1, "a merge key"),
    (3, "namespace: demo\n---", 4, "a second document"),
    (10, "workloads:\n\tedge2: {}", 11, "a tab"),
    (9, "  user: [alpha:read, alpha:write]\t# all", 9, "a tab"),
    (9, "  user: [alpha:read, alpha:write] # \u{202e}all", 9, "an invisible character"),
    (9, "  user: [alpha:read, alpha\u{200b}:write]", 9, "an invisible character"),
    (9, "  user: [alpha:read, alpha:write] # \u{7}", 9, "a control character"),
    (9, "  user: [alpha:read, alpha:write", 10, "not YAML"),
    (9, "  user: &all [alpha:read, alpha:write]", 9, "an anchor"),
    (9, "  user: &all [alpha:read, alpha:write]\n  other: *all", 10, "an alias"),
    (9, "  user: [[[[[[[[[[[[[[[alpha:read]]]]]]]]]]]]]]]", 9, "nested deeper than"),
    (9, "  [user]: [alpha:read, alpha:write]", 9, "a key must be a plain name"),
    (9, "  user: [alpha:read, \"alpha:\\u202ewrite\"]", 9, "the value holds an invisible character"),
    (9, "  user: [alpha:read, \"alpha:\\e[31mwrite\"]", 9, "the value holds a control character"),
    (9, "  \"us\\ner\": [alpha:read, alpha:write]", 9, "the value holds a control character"),
    (6, "  alpha:read: |\n    Read\n    alphas.", 7, "the value holds a control character"),
    // The head.
    (2, "trustDomain: Demo.local", 2, "is not a trust domain"),
    (2, "trustDomain: spiffe://demo.local", 2, "is not a trust domain"),
    (2, "trustDomain: [demo.local]", 2, "must be a single value, not a list"),
    (2, "trustDomain:", 2, "\"trustDomain\" is missing"),
    (3, "namespace: Demo", 3, "\"Demo\" is not a name"),
    (3, "namespace: -demo", 3, "is not a name"),
    (3, "namespace: {name: demo}", 3, "not a mapping"),
    (4, "", 1, "lacks the key \"monitoring\""),
    (4, "monitoring: {namespace: monitoring}", 4, "\"monitoring\" lacks the key \"app\""),
    (4, "monitoring: {namespace: demo, app: prometheus}", 4, "must be in another namespace"),
    (4, "monitoring: prometheus", 4, "\"monitoring\" must be a mapping with the keys namespace, app"),
    // Scopes and roles.
    (6, "  Alpha:read: Read alphas.", 6, "is not a scope or role"),
    (6, "  alpha:read:", 6, "in words, is missing"),
    (
        6,
        "  alpha:read: Read alphas.\n  alpha:all: Everything.",
        7,
        "unused scope \"alpha:all\": no role has it",
    ),
    (
        9,
        "  user: [alpha:read, alpha:write, alpha:raed]",
        9,
        "unknown scope \"alpha:raed\" (did you mean \"alpha:read\"?)",
    ),
    (9, "  user: [alpha:read, alpha:write, alpha:read]", 9, "\"alpha:read\" is twice"),
    (9, "  user: []", 9, "is an empty list"),
    (9, "  user: [\"*\"]", 9, "wildcard"),
    (
        32,
        "    Read: {from: [edge, person], user: {scope: alpha:reed}, deadline: 2s}",
        32,
        "did you mean \"alpha:read\"?",
    ),
    (
        32,
        "    Read: {from: [edge, person], user: {scope: [alpha:read]}, deadline: 2s}",
        32,
        "\"scope\" must be a single value",
    ),
    (
        32,
        "    Read: {from: [edge, person], user: {scop: alpha:read}, deadline: 2s}",
        32,
        "did you mean \"scope\"?",
    ),
    (33, "    Write: {from: [edge], user: any, deadline: 5s}", 33, "\"user\" is either required or"),
    // Workloads.
    (11, "  Edge:", 11, "\"Edge\" is not a name"),
    (11, "  edge_1:", 11, "is not a name"),
    (22, "  internet:", 22, "\"internet\" is a reserved word"),
    (22, "  default-deny:", 22, "\"default-deny\" is a reserved word"),
    (26, "  person: {external: true}\n  edge: {external: true}", 27, "duplicate key \"edge\""),
    (26, "  person: {external: yes}", 26, "\"external\" can only be true"),
    (26, "  person: {external: true, uses: [db]}", 26, "an external workload has no \"uses\""),
    (26, "  person: {external: true}\n  ghost: {external: true}", 27, "unused workload \"ghost\""),
    (
        26,
        "  person: {external: true}\n  ghost: {listens: {admin: {port: 9103}}}",
        27,
        "unused workload \"ghost\"",
    ),
    (26, "  person: {}", 26, "workload \"person\" lacks the key \"listens\""),
    (26, "  person:", 26, "\"workload\" must be a mapping with the keys"),
    (14, "      amdin: {port: 9100}", 14, "did you mean \"admin\"?"),
    (14, "", 13, "lacks the key \"admin\""),
    (14, "      admin: {port: 8100}", 14, "a number from 9100 to 9199, not \"8100\""),
    (14, "      admin: {port: 9101}", 19, "port 9101 is taken by \"edge\" already"),
    (13, "      http: {port: 80, from: [internet]}", 13, "a number from 1024 to 65535, not \"80\""),
    (13, "      http: {port: 0x1f90, from: [internet]}", 13, "not \"0x1f90\""),
    (13, "      http: {port: 08080, from: [internet]}", 13, "not \"08080\""),
    (13, "      http: {port: \"8080\", from: [internet]}", 13, "not \"8080\""),
    (13, "      http: {port: 65536, from: [internet]}", 13, "not \"65536\""),
    (13, "      http: {port: 50052, from: [internet]}", 24, "port 50052 is taken by \"edge\""),
    (13, "      http: {port: 8080, from: [internte]}", 13, "unknown workload \"internte\""),
    (13, "      http: {port: 8080, from: []}", 13, "\"from\" is an empty list"),
    (13, "      http: {port: 8080}", 13, "\"http\" lacks the key \"from\""),
    (13, "      http: {port: 8080, from: [edge]}", 13, "\"edge\" would call itself"),
    (21, "    disruption: {maxUnavailable: 0}", 21, "a number from 1 to 100"),
    (21, "    disruption: {maxUnavailable: 50%}", 21, "a number from 1 to 100"),
    (21, "    disruption: {minAvailable: 1}", 21, "unknown key \"minAvailable\""),
    // Services.
    (
        18,
        "      grpc: {port: 50051, services: [demo.v1.Alpah]}",
        18,
        "unknown service \"demo.v1.Alpah\" (did you mean \"demo.v1.Alpha\"?)",
    ),
    (18, "      grpc: {port: 50051, services: [demo.v1.alpha]}", 18, "did you mean \"demo.v1.Alpha\"?"),
    (
        18,
        "      grpc: {port: 50051, services: [demo.v1.Alpha, demo.v1.Beta]}",
        24,
        "is served by \"alpha\" already",
    ),
    (
        24,
        "      grpc: {port: 50052, services: [demo.v1.Alpha]}",
        11,
        "service \"demo.v1.Beta\" is served by no workload",
    ),
    (24, "      grpc: {port: 50052, services: []}", 24, "\"services\" is an empty list"),
    (
        24,
        "      grpc: {port: 50052, services: [demo.v1.Beta, grpc.health.v1.Health]}",
        24,
        "is granted by the keys \"health\"",
    ),
    (
        18,
        "      grpc: {port: 50051, services: [demo.v1.Alpha], health: [egde]}",
        18,
        "unknown workload \"egde\" (did you mean \"edge\"?)",
    ),
    (
        18,
        "      grpc: {port: 50051, services: [demo.v1.Alpha], health: [alpha]}",
        18,
        "\"alpha\" would call itself",
    ),
    (
        18,
        "      grpc: {port: 50051, services: [demo.v1.Alpha], reflection: [internet]}",
        18,
        "\"internet\" cannot call gRPC",
    ),
    (18, "      grpc: {port: 50051, services: [demo.v1.Alpha], health: []}", 18, "leave the key out"),
    // Resources.
    (15, "    uses: [cahce]", 15, "unknown resource \"cahce\" (did you mean \"cache\"?)"),
    (15, "    uses: [cache, cache]", 15, "\"cache\" is twice in \"uses\""),
    (15, "    uses: cache", 15, "\"uses\" must be a list"),
    (20, "    uses: [cache]", 29, "unused resource \"db\""),
    (28, "  cache: {port: 0}", 28, "a number from 1 to 65535"),
    (28, "  cache: {}", 28, "\"resource\" lacks the key \"port\""),
    (28, "  cache: {port: 6379, egress: everywhere}", 28, "\"egress\" can only be internet"),
    (
        28,
        "  cache: {port: 6379, egress: internet, app: redis}",
        28,
        "a resource on the internet has no \"app\"",
    ),
    (28, "  cache: {port: 6379, app: alpha}", 28, "are those of workload \"alpha\""),
    (28, "  cache: {port: 6379}\n  beta: {port: 1}", 29, "\"beta\" is the name of a workload already"),
    // Calls.
    (31, "  demo.v1.Alfa:", 31, "unknown service \"demo.v1.Alfa\""),
    (31, "  demo.v1.Alfa:", 31, "service \"demo.v1.Alpha\" has no rules"),
    (
        31,
        "  grpc.health.v1.Health: {Check: {from: [edge], deadline: 1s}}\n  demo.v1.Alpha:",
        31,
        "is granted by the keys",
    ),
    (
        32,
        "    Raed: {from: [edge, person], user: {scope: alpha:read}, deadline: 2s}",
        32,
        "did you mean \"Read\"?",
    ),
    (
        32,
        "    read: {from: [edge, person], user: {scope: alpha:read}, deadline: 2s}",
        32,
        "unknown method \"read\"",
    ),
    (
        32,
        "",
        31,
        "method \"Read\" of \"demo.v1.Alpha\" has no rule; name its callers or write {nobody: the reason}",
    ),
    (32, "    Read:", 32, "\"rule\" must be a mapping"),
    (
        32,
        "    Read: {from: [edge, person], deadline: 2s}\n    Read: {from: [beta], deadline: 2s}",
        33,
        "duplicate key \"Read\"",
    ),
    (
        32,
        "    Read: {from: [edge, edge], user: {scope: alpha:read}, deadline: 2s}",
        32,
        "\"edge\" is twice in \"from\"",
    ),
    (
        32,
        "    Read: {from: [], deadline: 2s}",
        32,
        "to declare that nobody may call a method, write {nobody: the reason}",
    ),
    (32, "    Read: []", 32, "an empty list of rules"),
    (32, "    Read: {from: [\"*\"], deadline: 2s}", 32, "wildcard \"*\" in \"from\"; name each one"),
    (32, "    Read: {from: [ed*], deadline: 2s}", 32, "wildcard \"ed*\""),
    (32, "    Read: {from: [internet], deadline: 2s}", 32, "\"internet\" cannot call gRPC methods"),
    (32, "    Read: {from: [Edge], deadline: 2s}", 32, "unknown workload \"Edge\" (did you mean \"edge\"?)"),
    (32, "    Read: {from: edge, deadline: 2s}", 32, "\"from\" must be a list, written [a, b]"),
    (32, "    Read: {from: [[edge]], deadline: 2s}", 32, "an entry of \"from\" must be a single value"),
    (32, "    Read: {from: [edge, ~], deadline: 2s}", 32, "an entry of \"from\" is missing"),
    (
        32,
        "    Read: {form: [edge], deadline: 2s}",
        32,
        "unknown key \"form\" in \"rule\" (did you mean \"from\"?)",
    ),
    (32, "    Read: {from: [alpha], deadline: 2s}", 32, "\"alpha\" would call itself"),
    (32, "    Read: {from: [edge]}", 32, "\"rule\" lacks the key \"deadline\""),
    (32, "    Read: {from: [edge], deadline: 2}", 32, "must be a duration like 500ms, 30s, 5m or 1h"),
    (32, "    Read: {from: [edge], deadline: 0s}", 32, "from 1ms to 24h, not \"0s\""),
    (32, "    Read: {from: [edge], deadline: 25h}", 32, "not \"25h\""),
    (32, "    Read: {from: [edge], deadline: -1s}", 32, "not \"-1s\""),
    (32, "    Read: {from: [edge], deadline: 2s, idle: 1s}", 32, "\"Read\" is no stream and has no \"idle\""),
    (
        34,
        "    Watch: {from: [beta], deadline: 1h}",
        34,
        "\"Watch\" is a stream; its rule lacks the key \"idle\"",
    ),
    (34, "    Watch: {from: [beta], deadline: 30s, idle: 1h}", 34, "\"idle\" is longer than \"deadline\""),
    (35, "    Purge: {nobody: no}", 35, "needs at least ten characters"),
    (35, "    Purge: {nobody: }", 35, "the reason why nobody may call it is missing"),
    (
        35,
        "    Purge: {nobody: kept for the migration tool, from: [edge]}",
        35,
        "unknown key \"from\" in \"nobody\"",
    ),
    (39, "      - {from: [edge], deadline: 500ms}", 39, "a second rule for \"edge\" to call \"Do\""),
    (
        39,
        "      - {from: [person, alpha], deadline: 500ms}",
        34,
        "calls go in a circle: alpha → beta → alpha",
    ),
    (39, "      - {from: [person], deadline: 500ms, retries: 3}", 39, "unknown key \"retries\""),
];

#[test]
fn the_small_mesh_itself_is_right() {
    parse(DEMO).unwrap();
}

#[test]
fn each_bad_file_is_refused_at_its_line_and_in_words() {
    assert!(BAD.len() >= 60);
    let mut wrong = String::new();
    for (line, text, expected, fragment) in BAD {
        match parse(&with_line(*line, text)) {
            Ok(_) => writeln!(wrong, "accepted: {text:?} in line {line}").unwrap(),
            Err(faults) => {
                let hit = |fault: &&mesh_policy::Fault| {
                    fault.line == *expected && fault.column > 0 && fault.message.contains(fragment)
                };
                if !faults.list().iter().any(|fault| hit(&fault)) {
                    writeln!(
                        wrong,
                        "{text:?} in line {line}: wanted {expected}: {fragment:?}, got\n{faults}"
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_file() {
    let text = DEMO
        .replace("trustDomain: demo.local", "trustDomain: DEMO")
        .replace("uses: [cache]", "uses: [cash]")
        .replace("port: 50052", "port: x")
        .replace("from: [edge, person]", "from: [edge, persona]")
        .replace("500ms", "500");
    let faults = parse(&text).unwrap_err();
    let places: Vec<_> = faults.list().iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places, [(2, 14), (15, 12), (24, 20), (28, 3), (32, 25), (39, 36)], "{faults}");
    let shown = faults.to_string();
    assert!(
        shown.contains("mesh.yaml:32:25: unknown workload \"persona\" (did you mean \"person\"?)"),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), 6);
}

#[test]
fn empty_and_shapeless_files_are_refused() {
    for text in [
        "",
        "\n\n",
        "# only a comment\n",
        "~",
        "42",
        "[]",
        "{}",
        "- a\n- b",
        "\"",
        "{",
        "}",
        "a: b: c",
        "\u{feff}",
    ] {
        let faults = parse(text).expect_err(text);
        assert!(faults.list().iter().all(|fault| fault.line >= 1 && fault.column >= 1), "{text:?}: {faults}");
    }
}

#[test]
fn no_character_that_does_not_show_is_let_through() {
    let ranges = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{115f}'..='\u{1160}',
        '\u{180b}'..='\u{180f}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{3164}'..='\u{3164}',
        '\u{fe00}'..='\u{fe0f}',
        '\u{feff}'..='\u{feff}',
        '\u{ffa0}'..='\u{ffa0}',
        '\u{e0100}'..='\u{e01ef}',
    ];
    for character in ranges.into_iter().flatten() {
        let faults = parse(&format!("{DEMO}# a{character}b\n")).expect_err("it is refused");
        assert!(faults.to_string().contains("an invisible character"), "{character:?}: {faults}");
    }
    for shown in ['é', '\u{115e}', '日', '—', '“'] {
        assert!(parse(&format!("{DEMO}# a{shown}b\n")).is_ok(), "{shown:?}");
    }
}

#[test]
fn huge_deep_and_exploding_files_are_refused() {
    let huge = format!("{DEMO}# {}\n", "x".repeat(256 * 1024));
    assert!(parse(&huge).unwrap_err().to_string().contains("at most 262144 bytes are read"));
    for deep in ["[".repeat(100_000), "{a: ".repeat(60_000), "- ".repeat(100_000)] {
        assert!(parse(&deep).is_err());
    }
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for level in 1..100 {
        let before = level - 1;
        writeln!(bomb, "a{level}: &a{level} [*a{before}, *a{before}]").unwrap();
    }
    assert!(parse(&bomb).unwrap_err().to_string().contains("an alias"));
    let many: String = (0..20_000).fold(String::new(), |text, key| text + &format!("k{key}: 1\n"));
    assert!(parse(&many).unwrap_err().list().len() <= 200);
}

#[test]
fn no_beginning_of_a_file_allows_more_than_the_file() {
    // A file that is cut short between two rules of a list is a smaller policy; anywhere else it is refused.
    let whole = parse(DEMO).unwrap();
    let mut accepted = 0;
    for end in 0..DEMO.trim_end().len() {
        let Ok(policy) = parse(&DEMO[..end]) else { continue };
        accepted += 1;
        for (part, all) in policy.pairs().zip(whole.pairs()) {
            assert!(all.3.is_allowed() || !part.3.is_allowed(), "{part:?}");
        }
    }
    assert!(accepted <= 20, "{accepted}");
}

#[test]
fn mangled_files_never_panic() {
    let mut random = Random(7);
    let pieces = [
        "&", "*", "!", "|", ">", "{", "}", "[", "]", ":", "- ", "? ", "\n", " ", "'", "\"", "#", "%", ",",
        "~", "é", "\u{0}",
    ];
    for _ in 0..1_500 {
        let mut text: Vec<char> = DEMO.chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            let cut = random.below(4).min(text.len() - at);
            text.splice(at..at + cut, pieces[random.below(pieces.len())].chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(faults) = parse(&text) {
            assert!(!faults.list().is_empty());
        }
    }
}
