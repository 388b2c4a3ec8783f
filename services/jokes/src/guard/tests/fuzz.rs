//! Random texts and long ones.

use super::guards;
use super::samples::{Random, fragments, long};

#[test]
fn random_texts_do_no_harm() {
    let (guards, fragments, mut random) = (guards().keeping(&["Quipu-Canary-7f3a"]), fragments(), Random(42));
    for _ in 0..10_000 {
        let text = random.text(&fragments);
        drop(guards.input(&text));
        let mut window = guards.window("one two three four five six seven eight nine ten");
        let _ = text.split_inclusive(char::is_whitespace).try_for_each(|piece| window.push(piece).map(drop));
        drop(window.finish());
    }
}

#[test]
fn nothing_is_looked_at_often() {
    let yaml = "patterns: {p: {regex: 'zz[a-z ]{0,150}zz', on: both}}";
    let guards = super::Guards::new(&super::GuardPolicy::parse(yaml).unwrap()).unwrap();
    let guards = guards.keeping(&["Quipu-Canary-7f3a"]);
    for text in long(16 << 10) {
        let mut window = guards.window("");
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
