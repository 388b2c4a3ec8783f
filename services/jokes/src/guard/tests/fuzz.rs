//! Random texts and long ones.

use std::time::Instant;

use super::corpus::{BENIGN, INJECTIONS};
use super::{Random, guards, lines, unescaped};

fn fragments() -> Vec<String> {
    let injections = lines(INJECTIONS).map(|line| unescaped(line.split_once('\t').unwrap().1));
    let odd = [
        "\u{200d}",
        "👨‍👩‍👧",
        "[",
        "](",
        "<",
        "&#x3",
        "4111 1111 ",
        "DE89 ",
        "@",
        "\u{301}\u{301}",
        "\n",
        ". ",
        "\u{e0067}",
        "%41%",
        "A".repeat(99).leak(),
    ];
    lines(BENIGN).map(str::to_owned).chain(injections).chain(odd.map(str::to_owned)).collect()
}

#[test]
fn random_texts_do_no_harm() {
    let (guards, fragments, mut random) = (guards(), fragments(), Random(42));
    for _ in 0..10_000 {
        let mut text = String::new();
        for _ in 0..random.below(5) {
            let chars: Vec<char> = fragments[random.below(fragments.len())].chars().collect();
            let (a, b) = (random.below(chars.len() + 1), random.below(chars.len() + 1));
            text.extend(&chars[a.min(b)..a.max(b)]);
            text.extend(
                char::from_u32(u32::try_from(random.below(0x11_0000)).unwrap())
                    .filter(|_| random.below(9) == 0),
            );
        }
        drop(guards.input(&text));
        let mut window =
            guards.window(&["Quipu-Canary-7f3a"], "one two three four five six seven eight nine ten");
        let _ = text.split_inclusive(char::is_whitespace).try_for_each(|piece| window.push(piece).map(drop));
        drop(window.finish());
    }
}

/// Texts of about a length that make the guards work.
fn long(bytes: usize) -> Vec<String> {
    [
        "a",
        "a. ",
        "[a. ",
        "1 ",
        "1. ",
        "ignore all the ",
        "QUJD",
        "a b ",
        "<",
        "the of to and ",
        "\u{301}",
        "猫。",
        "%41",
        "4111 ",
        "a@",
        "! ",
    ]
    .iter()
    .map(|part| part.repeat(bytes / part.len()))
    .collect()
}

#[test]
fn nothing_is_looked_at_often() {
    let yaml = "patterns: {p: {regex: 'zz[a-z ]{0,150}zz', on: both}}";
    let guards = super::Guards::new(&super::GuardPolicy::parse(yaml).unwrap()).unwrap();
    for text in long(16 << 10) {
        let mut window = guards.window(&["Quipu-Canary-7f3a"], "");
        for piece in text.split_inclusive(|_: char| true) {
            if window.push(piece).is_err() {
                break;
            }
        }
        drop(window.end());
        let most = 16 * text.len();
        assert!(window.scanned <= most, "{:?}: {} of {most}", &text[..6], window.scanned);
    }
}

#[test]
#[ignore = "prints times, asserts nothing"]
fn times() {
    let guards = guards();
    let best = |work: &dyn Fn()| {
        (0..5)
            .map(|_| {
                let start = Instant::now();
                work();
                start.elapsed()
            })
            .min()
            .unwrap_or_default()
    };
    for (small, large) in long(16 << 10).iter().zip(&long(64 << 10)) {
        let input = |text: &String| best(&|| drop(guards.input(text)));
        let output = |text: &String| {
            best(&|| {
                let mut window =
                    guards.window(&["Quipu-Canary-7f3a"], "one two three four five six seven eight nine ten");
                let pieces = text.as_bytes().chunks(6).filter_map(|piece| str::from_utf8(piece).ok());
                let _ = pieces.map(|piece| window.push(piece)).find(Result::is_err);
                drop(window.finish());
            })
        };
        let name: String = small.chars().take(8).collect();
        println!(
            "{name:10?} input {:?} / {:?}, output {:?} / {:?}",
            input(small),
            input(large),
            output(small),
            output(large)
        );
    }
    let chat = lines(BENIGN).take(80).collect::<Vec<_>>().join(". ");
    println!("{} bytes of honest text: input {:?}", chat.len(), best(&|| drop(guards.input(&chat))));
}
