//! Short texts that people write and others read: names and the like.

use mesh_telemetry::is_hostile;

/// A text of `min` to `max` characters without control characters; spaces around it are cut off.
pub(crate) fn line(text: &str, min: usize, max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(is_hostile) {
        return Err("must not contain control characters".to_owned());
    }
    let count = text.chars().take(max + 1).count();
    if count < min || count > max {
        return Err(match min {
            0 => format!("must have at most {max} characters"),
            _ => format!("must have {min} to {max} characters"),
        });
    }
    Ok(text.to_owned())
}

/// A text that is kept for information only: cut to `max` characters, control characters replaced.
pub(crate) fn harmless(text: &str, max: usize) -> String {
    text.trim().chars().take(max).map(|c| if is_hostile(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters_after_trimming() {
        assert_eq!(line("  ünïcode ", 1, 7).unwrap(), "ünïcode");
        assert!(line("   ", 1, 7).is_err());
        assert!(line("", 0, 7).is_ok());
        assert!(line("12345678", 1, 7).is_err());
    }

    #[test]
    fn control_characters_are_refused_or_replaced() {
        for bad in ["a\0b", "a\nb", "a\u{1b}[31mb", "a\u{2028}b", "a\u{202e}b"] {
            assert!(line(bad, 0, 100).is_err(), "{bad:?}");
            assert_eq!(harmless(bad, 2), "a\u{fffd}");
        }
    }
}
