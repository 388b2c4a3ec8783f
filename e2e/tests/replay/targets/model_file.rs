//! Model files, whole or built around the input so that lengths and checksum are right: what loads answers sanely.

use quipu_sentiment::{domain::Label, linear::LinearModel};

const TEXTS: [&str; 3] = ["not bad at all :)", "I LOVE it, but the ending is terrible!!! 😡", "…"];

/// The first byte says how to read the rest: as a file; as a header, a line end, weights and a lexicon of a sound file; or
/// the latter with a wrong checksum.
pub(crate) fn model_file(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else { return };
    let file = match form % 3 {
        0 => rest.to_vec(),
        _ => assemble(rest),
    };
    if form % 3 == 2 {
        let mut damaged = file;
        let at = damaged.len() - 1;
        damaged[at] ^= 1;
        assert!(LinearModel::parse(&damaged).is_err(), "its checksum is wrong");
        return;
    }
    match LinearModel::parse(&file) {
        Ok(model) => {
            check(&model);
            assert!(LinearModel::parse(&file[..file.len() - 1]).is_err(), "cut off");
            assert!(LinearModel::parse(&[&file[..], &[0]].concat()).is_err(), "a byte too many");
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

/// `KSLM`, version, header, as many words as the first byte behind the header says, 2^8 weights, checksum.
fn assemble(parts: &[u8]) -> Vec<u8> {
    let at = parts.iter().position(|b| *b == b'\n').unwrap_or(parts.len());
    let (header, rest) = parts.split_at(at);
    let rest = rest.get(1..).unwrap_or_default();
    let words = rest.first().map_or(0, |count| usize::from(*count).min(rest.len() / 9));
    let (lexicon, weights) =
        rest.get(1..).unwrap_or_default().split_at_checked(words * 9).unwrap_or_default();
    let words = lexicon.len() / 9;
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut file =
        [b"KSLM", &1_u32.to_le_bytes(), &length(header.len()), header, &length(words), lexicon].concat();
    file.extend(weights.iter().copied().chain([1, 0xff]).cycle().take(512));
    let checksum = crc32fast::hash(&file);
    file.extend(checksum.to_le_bytes());
    file
}

/// Whatever the weights: probabilities, and words that lie in the text.
fn check(model: &LinearModel) {
    for text in TEXTS {
        let analysis = model.analyze(text, true);
        let all = Label::ALL.map(|label| analysis.probabilities.of(label));
        assert!(all.iter().all(|p| (0.0..=1.0).contains(p)), "{all:?}");
        assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{all:?}");
        assert!(analysis.words.iter().all(|word| word.weight.is_finite()));
        assert_eq!(model.analyze(text, true), analysis);
    }
}
