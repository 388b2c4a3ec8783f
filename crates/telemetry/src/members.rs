//! The fields of a span, kept for the lines that may be written within it.
//!
//! Every span has fields and hardly any has a line, so keeping them must cost next to nothing: they are appended as the
//! members of a JSON object and read only when a line is written. The JSON of `tracing-subscriber` sorts the fields of each
//! span, and reads and writes all of them again for each that is recorded later.

use std::fmt::{self, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

/// Room for the fields of a usual span, so that their text does not grow step by step.
const ROOM: usize = 384;

/// Fields as members of a JSON object without its braces; of two with one name the later counts.
#[derive(Debug)]
pub(crate) struct Members;

impl Members {
    /// The object.
    pub(crate) fn parse(fields: &FormattedFields<Self>) -> serde_json::Result<Value> {
        serde_json::from_str(&format!("{{{}}}", fields.fields))
    }
}

impl<'w> FormatFields<'w> for Members {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut text = String::with_capacity(ROOM);
        fields.record(&mut Appended(&mut text));
        let mut writer = writer;
        writer.write_str(&text)
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        fields.record(&mut Appended(&mut current.fields));
        Ok(())
    }
}

/// Writing to a string cannot fail, so the results of that are dropped.
struct Appended<'a>(&'a mut String);

impl Appended<'_> {
    /// Begins a member; not for what instructs the trace and is no fact about the call.
    fn begin(&mut self, field: &Field) -> bool {
        if field.name().starts_with("otel.") {
            return false;
        }
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(field.name());
        self.0.push_str("\":");
        true
    }

    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.begin(field) {
            let _ = self.0.write_fmt(value);
        }
    }
}

impl Visit for Appended<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, format_args!("{value:?}"));
        } else {
            self.plain(field, format_args!("null"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.begin(field) {
            self.0.push('"');
            let _ = Escaped(self.0).write_str(value);
            self.0.push('"');
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.begin(field) {
            self.0.push('"');
            let _ = write!(Escaped(self.0), "{value:?}");
            self.0.push('"');
        }
    }
}

/// Text within a JSON string.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
            let (before, from) = rest.split_at(at);
            self.0.push_str(before);
            let mut chars = from.chars();
            match chars.next() {
                Some(c @ ('"' | '\\')) => self.0.extend(['\\', c]),
                Some(c) => write!(self.0, "\\u{:04x}", u32::from(c))?,
                None => {}
            }
            rest = chars.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_field_holds_is_read_back() {
        for text in ["", "plain", "a\"b\\c", "line\nbreak\t\u{1}", "ümläut \u{2028}", "\\\\\"\"", "{}:,"] {
            let mut json = String::from("\"");
            Escaped(&mut json).write_str(text).unwrap();
            json.push('"');
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        }
    }

    #[test]
    fn of_two_with_one_name_the_later_counts() {
        let mut fields = FormattedFields::<Members>::new(String::new());
        fields.fields.push_str(r#""a":1,"b":"x","a":2"#);
        assert_eq!(Members::parse(&fields).unwrap(), serde_json::json!({"a": 2, "b": "x"}));
    }
}
