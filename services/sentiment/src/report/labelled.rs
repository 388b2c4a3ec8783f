//! Labelled files: tab-separated, plain or gzip, in one of three forms that the first line decides.
//!
//! `label⇥text`, `source⇥label⇥text`, `source⇥label⇥rating⇥text` (the rating may be empty).

use std::io::Read;
use std::path::Path;

use crate::domain::Label;

/// Most bytes of a file, unpacked.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// One labelled text.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Line of the file, from 1.
    pub line: usize,
    /// Where it comes from, if the file says it.
    pub source: Option<String>,
    /// What people said.
    pub label: Label,
    /// How strongly they said it, if the file says it.
    pub rating: Option<f64>,
    /// The text.
    pub text: String,
}

/// Why a labelled file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelledFault {
    /// It cannot be read.
    #[error("{file}: cannot be read: {what}")]
    Unreadable {
        /// The file.
        file: String,
        /// What happened.
        what: String,
    },
    /// It holds no text.
    #[error("{file}: holds no labelled text; write one per line, as in `positive<TAB>What a day!`")]
    Empty {
        /// The file.
        file: String,
    },
    /// A line is not of the form.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong and how it should be.
        what: String,
    },
}

/// The columns of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Label, text.
    Bare,
    /// Source, label, text.
    Sourced,
    /// Source, label, rating, text.
    Rated,
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Vec<Example>, LabelledFault> {
    let file = path.display().to_string();
    let text = unpack(path)
        .map_err(|fault| LabelledFault::Unreadable { file: file.clone(), what: fault.to_string() })?;
    parse(&text).map_err(|fault| match fault {
        Some((line, what)) => LabelledFault::Line { file, line, what },
        None => LabelledFault::Empty { file },
    })
}

fn unpack(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    let mut text = String::new();
    if bytes.starts_with(&GZIP) {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(MAX_BYTES).read_to_string(&mut text)?;
    } else {
        bytes.as_slice().take(MAX_BYTES).read_to_string(&mut text)?;
    }
    if u64::try_from(text.len()).is_ok_and(|length| length >= MAX_BYTES) {
        return Err(std::io::Error::other(format!("it holds {MAX_BYTES} bytes or more; split it")));
    }
    Ok(text)
}

/// `Err(None)` when there is no line; the fault of a line carries its number.
fn parse(text: &str) -> Result<Vec<Example>, Option<(usize, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = || {
        text.split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
    };
    let (first, line) = lines().next().ok_or(None)?;
    let form = Form::of(line).map_err(|what| Some((first + 1, what)))?;
    lines()
        .map(|(place, line)| form.example(place + 1, line).map_err(|what| Some((place + 1, what))))
        .collect()
}

impl Form {
    fn of(line: &str) -> Result<Self, String> {
        let columns: Vec<&str> = line.split('\t').collect();
        let is_label =
            |place: usize| columns.get(place).is_some_and(|column| column.parse::<Label>().is_ok());
        let is_rating =
            columns.get(2).is_some_and(|column| column.is_empty() || column.parse::<f64>().is_ok());
        if columns.len() >= 2 && is_label(0) {
            Ok(Self::Bare)
        } else if columns.len() >= 4 && is_label(1) && is_rating {
            Ok(Self::Rated)
        } else if columns.len() >= 3 && is_label(1) {
            Ok(Self::Sourced)
        } else {
            Err("is none of `label<TAB>text`, `source<TAB>label<TAB>text`, `source<TAB>label<TAB>rating<TAB>text`; a label is positive (1), neutral (0) or negative (-1)".into())
        }
    }

    fn columns(self) -> usize {
        match self {
            Self::Bare => 2,
            Self::Sourced => 3,
            Self::Rated => 4,
        }
    }

    fn example(self, line: usize, row: &str) -> Result<Example, String> {
        let columns: Vec<&str> = row.splitn(self.columns(), '\t').collect();
        let example = match (self, columns.as_slice()) {
            (Self::Bare, [label, text]) => {
                Example { line, source: None, label: label.parse()?, rating: None, text: (*text).to_owned() }
            }
            (Self::Sourced, [source, label, text]) => Example {
                line,
                source: Some((*source).to_owned()),
                label: label.parse()?,
                rating: None,
                text: (*text).to_owned(),
            },
            (Self::Rated, [source, label, rating, text]) => Example {
                line,
                source: Some((*source).to_owned()),
                label: label.parse()?,
                rating: number(rating)?,
                text: (*text).to_owned(),
            },
            _ => {
                return Err(format!(
                    "has {} columns where the first line has {}; columns are separated by tabs",
                    columns.len(),
                    self.columns()
                ));
            }
        };
        Ok(example)
    }
}

fn number(rating: &str) -> Result<Option<f64>, String> {
    if rating.is_empty() {
        return Ok(None);
    }
    let number = rating.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Some).ok_or_else(|| format!("the rating `{rating}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_decides_the_form() {
        let two = parse("positive\tWhat a day!\r\n\n-1\tnever\tagain\n").unwrap();
        assert_eq!((two[0].label, two[0].text.as_str(), two[0].line), (Label::Positive, "What a day!", 1));
        assert_eq!((two[1].label, two[1].text.as_str(), two[1].line), (Label::Negative, "never\tagain", 3));
        let three = parse("negation\t-1\tnot good").unwrap();
        assert_eq!((three[0].source.as_deref(), three[0].rating), (Some("negation"), None));
        let four = parse("a\t1\t2.5\tgood\nb\t0\t\tit is").unwrap();
        assert_eq!((four[0].rating, four[1].rating, four[1].text.as_str()), (Some(2.5), None, "it is"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, part) in [
            ("good", 1, "is none of"),
            ("1\tgood\nbad", 2, "has 1 columns where the first line has 2"),
            ("1\tgood\nsplendid\tday", 2, "`splendid` is none of positive"),
            ("a\t1\t2\tgood\na\t1\tnan\tbad", 2, "the rating `nan` is no number"),
        ] {
            let (at, what) = parse(text).unwrap_err().unwrap();
            assert_eq!(at, line, "{text}");
            assert!(what.contains(part), "{what}");
        }
        assert_eq!(parse("\n\n"), Err(None));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let fault = read(Path::new("no/such.tsv")).unwrap_err().to_string();
        assert!(fault.starts_with("no/such.tsv: cannot be read"), "{fault}");
    }
}
