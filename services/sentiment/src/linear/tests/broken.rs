//! Files that are broken on purpose, one for each thing that can be wrong. None may be loaded, and none may panic.

use super::super::file::FileFault;
use super::{LinearModel, MODEL};

/// A small model that is right in all parts.
#[derive(Clone)]
struct Parts {
    signature: Vec<u8>,
    version: u32,
    header: String,
    header_length: Option<u32>,
    words: Vec<u64>,
    count: Option<u32>,
    valences: Vec<i8>,
    weights: Vec<u8>,
    crc: Option<u32>,
    tail: Vec<u8>,
}

fn header(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> String {
    let mut header = serde_json::json!({
        "bits": 8, "hash": "fnv1a64, h ^ h >> 32", "scale_p": 0.01, "scale_q": 0.01, "bias_p": 0.1, "bias_q": -0.1,
        "classes": ["negative", "neutral", "positive"], "cap": 3, "norm": 4.0, "scope": 4, "texts": 9, "features": 9
    });
    change(header.as_object_mut().unwrap());
    header.to_string()
}

impl Parts {
    fn good() -> Self {
        Self {
            signature: b"KSLM".to_vec(),
            version: 1,
            header: header(|_| {}),
            header_length: None,
            words: vec![1, 2, u64::MAX],
            count: None,
            valences: vec![-100, 0, 100],
            weights: vec![7; 512],
            crc: None,
            tail: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let length = |len: usize| u32::try_from(len).unwrap();
        let mut bytes = self.signature.clone();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.header_length.unwrap_or(length(self.header.len())).to_le_bytes());
        bytes.extend(self.header.as_bytes());
        bytes.extend(self.count.unwrap_or(length(self.words.len())).to_le_bytes());
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(self.valences.iter().map(|valence| valence.cast_unsigned()));
        bytes.extend(&self.weights);
        bytes.extend(self.crc.unwrap_or_else(|| crc32fast::hash(&bytes)).to_le_bytes());
        bytes.extend(&self.tail);
        bytes
    }
}

fn fault(change: impl FnOnce(&mut Parts)) -> FileFault {
    let mut parts = Parts::good();
    change(&mut parts);
    LinearModel::parse(&parts.bytes()).expect_err("a broken file was loaded")
}

fn header_fault(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> String {
    fault(|parts| parts.header = header(change)).to_string()
}

#[test]
fn a_users_own_model_is_read() {
    let model = LinearModel::parse(&Parts::good().bytes()).unwrap();
    assert!(model.analyze("any words", true).words.len() == 2);
}

#[test]
fn the_signature_and_the_version_are_checked() {
    assert_eq!(fault(|parts| parts.signature = b"KSLN".to_vec()), FileFault::NotAModel);
    assert_eq!(fault(|parts| parts.version = 2), FileFault::Version(2));
    assert_eq!(LinearModel::parse(b"").unwrap_err(), FileFault::NotAModel);
    assert_eq!(LinearModel::parse(b"\x08\x07onnx").unwrap_err(), FileFault::NotAModel);
}

#[test]
fn lengths_that_lie_are_refused() {
    assert!(matches!(fault(|parts| parts.header_length = Some(u32::MAX)), FileFault::Range(_)));
    assert!(matches!(fault(|parts| parts.header_length = Some(60_000)), FileFault::Truncated("the header")));
    assert!(matches!(fault(|parts| parts.header_length = Some(10)), FileFault::Header(_)));
    assert!(matches!(fault(|parts| parts.count = Some(u32::MAX)), FileFault::Range(_)));
    assert!(matches!(
        fault(|parts| parts.count = Some(999_999)),
        FileFault::Truncated("the lexicon's words")
    ));
    assert!(matches!(fault(|parts| parts.weights.truncate(100)), FileFault::Truncated("the weights")));
    assert_eq!(fault(|parts| parts.tail = vec![0; 3]), FileFault::Trailing(3));
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    for bits in [0, 7, 25, 40, 64, u32::MAX] {
        let told = header_fault(|header| drop(header.insert("bits".into(), bits.into())));
        assert!(told.contains("`bits`"), "{told}");
    }
    for name in ["scale_p", "scale_q", "bias_p", "bias_q", "norm"] {
        let told = header_fault(|header| drop(header.insert(name.into(), 1e300.into())));
        assert!(told.contains(&format!("`{name}`")), "{told}");
    }
    assert!(header_fault(|header| drop(header.insert("cap".into(), 0.into()))).contains("`cap`"));
    assert!(header_fault(|header| drop(header.insert("scope".into(), 5.into()))).contains("`scope`"));
    assert!(header_fault(|header| drop(header.insert("hash".into(), "md5".into()))).contains("`hash`"));
    assert!(
        header_fault(|header| drop(header.insert("classes".into(), serde_json::json!(["a"]))))
            .contains("`classes`")
    );
}

#[test]
fn a_header_is_complete_and_holds_nothing_unknown() {
    assert!(header_fault(|header| drop(header.remove("scale_p"))).contains("scale_p"));
    assert!(
        header_fault(|header| drop(header.insert("bias_q".into(), serde_json::Value::Null)))
            .contains("not valid")
    );
    assert!(header_fault(|header| drop(header.insert("trigrams".into(), true.into()))).contains("trigrams"));
    assert!(matches!(
        fault(|parts| parts.header = header(|_| {}).replace("0.1", "NaN")),
        FileFault::Header(_)
    ));
    assert!(matches!(
        fault(|parts| parts.header = header(|_| {}).replace("0.1", "1e999")),
        FileFault::Header(_)
    ));
}

#[test]
fn words_out_of_order_are_refused() {
    assert!(matches!(fault(|parts| parts.words = vec![2, 1, 3]), FileFault::Range(_)));
    assert!(matches!(fault(|parts| parts.words = vec![2, 2, 3]), FileFault::Range(_)));
}

#[test]
fn a_wrong_checksum_is_refused() {
    assert!(matches!(fault(|parts| parts.crc = Some(0)), FileFault::Checksum { found: 0, .. }));
}

/// Every prefix of the small model and every flipped byte of it; of the embedded one, flips all over the file.
#[test]
fn a_cut_or_a_flip_anywhere_is_noticed() {
    let small = Parts::good().bytes();
    for length in 0..small.len() {
        assert!(LinearModel::parse(&small[..length]).is_err(), "cut to {length} bytes");
    }
    for place in 0..small.len() {
        let mut flipped = small.clone();
        flipped[place] ^= 0x20;
        assert!(LinearModel::parse(&flipped).is_err(), "flipped byte {place}");
    }
    for place in (0..MODEL.len()).step_by(29_989) {
        let mut flipped = MODEL.to_vec();
        flipped[place] ^= 1;
        assert!(LinearModel::parse(&flipped).is_err(), "flipped byte {place}");
    }
}

/// A file whose checksum was made right again after the damage: what cannot be noticed must at least do no harm.
#[test]
fn damage_behind_a_right_checksum_never_panics() {
    let small = Parts::good().bytes();
    let body = small.len() - 4;
    let mut loaded = 0;
    for place in 0..body {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = small[..body].to_vec();
            damaged[place] ^= flip;
            damaged.extend(crc32fast::hash(&damaged).to_le_bytes());
            let Ok(model) = LinearModel::parse(&damaged) else { continue };
            let score = model.analyze("not good, but GREAT :) 😀", true).probabilities.score();
            assert!((-1.0..=1.0).contains(&score), "byte {place} flipped by {flip:#x} gives {score}");
            loaded += 1;
        }
    }
    assert!(loaded > 1_000, "the weights and valences may hold any value");
}
