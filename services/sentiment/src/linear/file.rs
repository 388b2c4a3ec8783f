//! The model file, read with distrust: every length is checked before it is used, every number before it counts.
//!
//! Layout, little endian: `KSLM`, u32 version 1, u32 n, n bytes of JSON header, u32 k, k × u64 token hashes in ascending
//! order, k × i8 valence × 25, 2^bits × (i8 p, i8 q), u32 CRC-32 of all before. Nothing may follow.

use serde::Deserialize;

/// Largest file that is read: the largest table and lexicon that the limits below allow fit.
pub const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_LEXICON: usize = 1_000_000;
const BITS: std::ops::RangeInclusive<u32> = 8..=24;
const HASH: &str = "fnv1a64, h ^ h >> 32";
const CLASSES: [&str; 3] = ["negative", "neutral", "positive"];

/// What is wrong with a model file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// The first four bytes are not `KSLM`.
    #[error("it is no KSLM model file (the first four bytes are not `KSLM`)")]
    NotAModel,
    /// A version that this reader does not know.
    #[error("its format version is {0}; this reader knows version 1")]
    Version(u32),
    /// The file ends inside the named section.
    #[error("it ends inside {0}; the file is incomplete: copy it again")]
    Truncated(&'static str),
    /// There is more than the sections need.
    #[error("{0} bytes follow the end of the model")]
    Trailing(usize),
    /// The checksum does not match.
    #[error(
        "its checksum is {found:08x} but the content has {computed:08x}; the file is damaged: copy it again"
    )]
    Checksum {
        /// As the file states it.
        found: u32,
        /// Of the bytes that were read.
        computed: u32,
    },
    /// The JSON header cannot be read.
    #[error("its header is not valid: {0}")]
    Header(String),
    /// A value of the header, or a count, is outside of what the reader accepts.
    #[error("{0}")]
    Range(String),
}

/// The JSON header. Unknown fields are refused: they could change what the numbers mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    bits: u32,
    hash: String,
    pub(crate) scale_p: f64,
    pub(crate) scale_q: f64,
    pub(crate) bias_p: f64,
    pub(crate) bias_q: f64,
    classes: Vec<String>,
    /// How often one feature counts at most.
    pub(crate) cap: u8,
    pub(crate) norm: f64,
    scope: u8,
    /// Size of the training set; for people.
    #[serde(rename = "texts")]
    _texts: Option<u64>,
    /// Number of distinct features seen in training; for people.
    #[serde(rename = "features")]
    _features: Option<u64>,
}

/// The numbers of a model.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub(crate) header: Header,
    /// `2^bits - 1`.
    pub(crate) mask: u64,
    /// (p, q) of each bucket.
    pub(crate) weights: Vec<[i8; 2]>,
    /// Hashes of the lexicon's words, ascending.
    pub(crate) words: Vec<u64>,
    /// Valence × 25 of each word.
    pub(crate) valences: Vec<i8>,
}

/// Reads and checks a whole file.
///
/// # Errors
/// [`FileFault`] names the section and what is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parameters, FileFault> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FileFault::Range(format!(
            "it has {} bytes; at most {MAX_FILE_BYTES} are read",
            bytes.len()
        )));
    }
    let mut rest = Sections(bytes);
    if rest.take(4, "the signature").ok() != Some(b"KSLM") {
        return Err(FileFault::NotAModel);
    }
    let version = rest.number("the version")?;
    if version != 1 {
        return Err(FileFault::Version(version));
    }
    let length = rest.length("the header's length", MAX_HEADER_BYTES)?;
    let header = header(rest.take(length, "the header")?)?;
    let count = rest.length("the lexicon's length", MAX_LEXICON)?;
    let hashes = rest.take(count * 8, "the lexicon's words")?;
    let valences = rest.take(count, "the lexicon's valences")?;
    let buckets = 1_usize << header.bits;
    let weights = rest.take(buckets * 2, "the weights")?;
    let found = rest.number("the checksum")?;
    if !rest.0.is_empty() {
        return Err(FileFault::Trailing(rest.0.len()));
    }
    let computed = crc32fast::hash(bytes.get(..bytes.len() - 4).unwrap_or_default());
    if found != computed {
        return Err(FileFault::Checksum { found, computed });
    }
    Ok(Parameters {
        mask: (1_u64 << header.bits) - 1,
        weights: weights.as_chunks::<2>().0.iter().map(|pair| pair.map(u8::cast_signed)).collect(),
        words: ascending(hashes)?,
        valences: valences.iter().map(|byte| byte.cast_signed()).collect(),
        header,
    })
}

/// What has not been read yet.
struct Sections<'a>(&'a [u8]);

impl<'a> Sections<'a> {
    fn take(&mut self, length: usize, section: &'static str) -> Result<&'a [u8], FileFault> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(FileFault::Truncated(section))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, section: &'static str) -> Result<u32, FileFault> {
        let bytes = self.take(4, section)?;
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| FileFault::Truncated(section))
    }

    fn length(&mut self, section: &'static str, most: usize) -> Result<usize, FileFault> {
        let stated = self.number(section)?;
        usize::try_from(stated)
            .ok()
            .filter(|length| *length <= most)
            .ok_or_else(|| FileFault::Range(format!("{section} is {stated}; at most {most} is accepted")))
    }
}

fn header(bytes: &[u8]) -> Result<Header, FileFault> {
    let header: Header =
        serde_json::from_slice(bytes).map_err(|fault| FileFault::Header(fault.to_string()))?;
    let refuse = |what: String| Err(FileFault::Range(format!("header: {what}")));
    if !BITS.contains(&header.bits) {
        return refuse(format!("`bits` is {}; {} to {} is accepted", header.bits, BITS.start(), BITS.end()));
    }
    if header.hash != HASH {
        return refuse(format!("`hash` is `{}`; this reader knows `{HASH}`", header.hash));
    }
    if header.classes != CLASSES {
        return refuse(format!("`classes` is {:?}; this reader knows {CLASSES:?}", header.classes));
    }
    if header.cap == 0 {
        return refuse("`cap` is 0; a feature must count at least once".into());
    }
    if header.scope != super::feature::SCOPE {
        return refuse(format!("`scope` is {}; this reader knows {}", header.scope, super::feature::SCOPE));
    }
    let numbers = [
        ("scale_p", header.scale_p),
        ("scale_q", header.scale_q),
        ("bias_p", header.bias_p),
        ("bias_q", header.bias_q),
        ("norm", header.norm),
    ];
    // The bound keeps every sum finite: 10,000 characters make fewer than a million features of at most 127 each.
    match numbers.iter().find(|(_, value)| !value.is_finite() || value.abs() > 1e6) {
        Some((name, value)) => {
            refuse(format!("`{name}` is {value}; a number between -1e6 and 1e6 is accepted"))
        }
        None => Ok(header),
    }
}

fn ascending(bytes: &[u8]) -> Result<Vec<u64>, FileFault> {
    let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    match words.windows(2).position(|pair| matches!(pair, [a, b] if a >= b)) {
        Some(place) => Err(FileFault::Range(format!(
            "the lexicon's words are not in ascending order at word {}",
            place + 1
        ))),
        None => Ok(words),
    }
}
