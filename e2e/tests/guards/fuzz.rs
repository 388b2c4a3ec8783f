//! I12: the guards judge any text, alike each time, and in little time for its length.

use std::{
    collections::BTreeMap,
    panic::catch_unwind,
    time::{Duration, Instant},
};

use quipu_e2e::{Proof, count, is_full};
use quipu_jokes::guard::{GuardPolicy, Guards, Refusal};

use crate::samples::{POLICY, Random, benign, fragments, long};

const CANARY: &str = "7f3a9c2155e04d6b8e1f0a9b3c4d5e6f";
const SYSTEM: &str = "one two three four five six seven eight nine ten";

/// The built-in guards, each alone; then those of a policy, and all of them.
const GUARDS: [&str; 6] = ["control_characters", "html", "injection", "personal_data", "secrets", "words"];

/// Longest of a thing judged.
const P99: Duration = Duration::from_millis(5);

fn guards() -> Vec<(&'static str, Guards)> {
    let of = |policy: &str| Guards::new(&GuardPolicy::parse(policy).unwrap()).unwrap().keeping(&[CANARY]);
    let alone = |name: &str| {
        let others: Vec<_> =
            GUARDS.iter().filter(|other| **other != name).map(|other| format!("{other}: false")).collect();
        format!("rules: {{{}}}\n", others.join(", "))
    };
    let mut all: Vec<_> = GUARDS.iter().map(|name| (*name, of(&alone(name)))).collect();
    all.push(("policy", of(&format!("{}{POLICY}", alone("")))));
    all.push(("all", of(POLICY)));
    all
}

/// A side of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    In,
    Out,
}

const SIDES: [Side; 2] = [Side::In, Side::Out];

impl Side {
    /// The verdict over a text; out, it comes in pieces of so many characters.
    fn judge(self, guards: &Guards, text: &str, size: usize) -> Result<(), Refusal> {
        if self == Self::In {
            return guards.input(text);
        }
        let mut window = guards.window(SYSTEM);
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
            let (piece, after) = rest.split_at(end);
            window.push(piece)?;
            rest = after;
        }
        window.finish().map(drop)
    }
}

#[test]
fn i12_guards_are_quick_and_sure() {
    let mut proof = Proof::new(
        "I12",
        "every guard judges every text alike, soon, and in time that grows as the text does",
    );
    let all = guards();
    let inputs = inputs(count(10_000));
    let (mut slowest, mut refused) = (BTreeMap::new(), 0);
    for (name, guards) in &all {
        for side in SIDES {
            let mut times = Vec::with_capacity(inputs.len());
            for text in &inputs {
                let verdict = |size| catch_unwind(|| side.judge(guards, text, size)).ok();
                let begun = Instant::now();
                let first = verdict(7);
                times.push(begun.elapsed());
                // Once more, and out in other pieces.
                let alike = first.is_some() && first == verdict(64);
                proof.check(alike, || format!("{name}, {side:?}: {first:?} of {text:?}"));
                refused += usize::from(matches!(first, Some(Err(_))));
            }
            times.sort_unstable();
            let p99 = times[times.len() * 99 / 100];
            proof.require_time(p99 <= P99, || format!("{name}, {side:?}: p99 {p99:?}"));
            slowest.insert((*name, side), p99);
        }
    }
    let growth = linear(&mut proof, &all);
    let worst = slowest.iter().max_by_key(|(_, time)| **time).unwrap();
    proof.require(refused > 0, || "no text was refused");
    proof.figure(format!(
        "{} guards, in and out, {} texts of up to {} bytes each; worst p99 {:.2} ms ({} {:?}); 64 KiB take at most {growth:.2} \
         times as long as 16 KiB",
        all.len(),
        inputs.len(),
        inputs.iter().map(String::len).max().unwrap(),
        worst.1.as_secs_f64() * 1e3,
        worst.0.0,
        worst.0.1,
    ));
    proof.limit("0 panics, each verdict twice; p99 ≤ 5 ms; 64 KiB ≤ 4.4 × 16 KiB");
    proof.finish();
}

/// Short ones as most topics are, and some as long as a message may be: so many that they decide the 99th of a hundred.
fn inputs(count: usize) -> Vec<String> {
    let (fragments, mut random) = (fragments(), Random(42));
    let every = if is_full() { 20 } else { 100 };
    let mut one = |n: usize| {
        let parts = if n.is_multiple_of(every) { 200 } else { 1 + n % 3 };
        let text: String = (0..parts).map(|_| random.text(&fragments)).collect();
        text.chars().take(4_000).collect()
    };
    (0..count).map(&mut one).collect()
}

/// The worst factor between the times of a text and of one four times as long.
fn linear(proof: &mut Proof, all: &[(&'static str, Guards)]) -> f64 {
    // In a debug build it would take minutes, for times that do not count there.
    let unit = if is_full() { 16 << 10 } else { 1 << 10 };
    let (small, large) = (texts(unit), texts(4 * unit));
    let mut worst: f64 = 0.0;
    for (name, guards) in all {
        for side in SIDES {
            for (small, large) in small.iter().zip(&large) {
                // What is refused early takes no time at all.
                if side.judge(guards, large, 7).is_err() {
                    continue;
                }
                let factor = factor(|text| drop(side.judge(guards, text, 7)), small, large);
                let limit = 4.0 * 1.1;
                let start: String = small.chars().take(12).collect();
                proof.require_time(factor <= limit, || {
                    format!("{name}, {side:?}, {start:?}: {factor:.2} times")
                });
                worst = worst.max(factor);
            }
        }
    }
    worst
}

/// Long texts, honest ones among them.
fn texts(bytes: usize) -> Vec<String> {
    let honest = benign().collect::<Vec<_>>().join(". ");
    let mut texts = long(bytes);
    texts.push(honest.chars().cycle().take(bytes).collect());
    texts
}

/// How many times as long the work takes on the large text: of the best times, each pair measured by turns, and once more
/// if something came between.
fn factor(work: impl Fn(&str), small: &str, large: &str) -> f64 {
    let time = |text: &str| {
        let begun = Instant::now();
        work(text);
        begun.elapsed()
    };
    let (mut least, mut factor) = ((Duration::MAX, Duration::MAX), f64::MAX);
    for round in 0..40 {
        least = (least.0.min(time(small)), least.1.min(time(large)));
        factor = least.1.as_secs_f64() / least.0.as_secs_f64();
        if round >= 4 && factor <= 4.2 {
            break;
        }
    }
    factor
}
