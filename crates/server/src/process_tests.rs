use std::process::ExitCode;

use mesh_config::Reported;
use mesh_error::Error;

use super::*;

/// A program that does what its one setting says.
struct Program(String);

impl Application for Program {
    const NAME: &'static str = "test-program";
    type Config = (String, Option<mesh_config::Secret>);

    fn read(reader: &mut Reader) -> Result<Self::Config, Reported> {
        let what = reader.or("QUIPU_WHAT", "end".to_owned(), "what the program does");
        let secret = reader.secret("QUIPU_SECRET", "what nobody may see");
        let needed = reader.required::<u16>("QUIPU_NEEDED", "a number");
        needed?;
        Ok((what?, secret?))
    }

    async fn build((what, _): Self::Config, _: Lifecycle) -> Result<Self> {
        match what.as_str() {
            "panicking build" => panic!("as told"),
            "no build" => Err(Error::unavailable("DATABASE", "no database")),
            _ => Ok(Self(what)),
        }
    }

    async fn run(self) -> Result<()> {
        match self.0.as_str() {
            "fail" => Err(Error::internal("listener gone")),
            "panic" => panic!("as told"),
            _ => Ok(()),
        }
    }
}

const NEEDED: (&str, &str) = ("QUIPU_NEEDED", "7");
/// Nothing to wait for, and nothing to read.
const QUIET: [(&str, &str); 2] = [("QUIPU_LOG", "off"), ("QUIPU_DRAIN_ENDPOINTS", "0")];

/// The exit code as text, since the type cannot be compared.
fn run_with(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
    let reader = Reader::from_pairs(settings.iter().chain(&QUIET).copied());
    format!("{:?}", run::<Program>(&arguments, reader))
}

fn code(code: u8) -> String {
    format!("{:?}", ExitCode::from(code))
}

#[test]
fn an_orderly_end_is_zero() {
    assert_eq!(run_with(&[], &[NEEDED]), code(0));
}

#[test]
fn failures_are_one() {
    for what in ["fail", "panic", "no build", "panicking build"] {
        assert_eq!(run_with(&[], &[NEEDED, ("QUIPU_WHAT", what)]), code(1), "{what}");
    }
}

#[test]
fn a_faulty_configuration_is_sixty_four() {
    assert_eq!(run_with(&[], &[]), code(64));
    assert_eq!(run_with(&["--check-config"], &[("QUIPU_NEEDED", "seven")]), code(64));
    assert_eq!(run_with(&["--check-config"], &[NEEDED, ("QUIPU_NEDED", "7")]), code(64));
    assert_eq!(run_with(&["--check-config"], &[NEEDED]), code(0));
}

#[test]
fn a_faulty_command_line_is_sixty_four() {
    assert_eq!(run_with(&["--frobnicate"], &[NEEDED]), code(64));
    assert_eq!(run_with(&["--help", "--version"], &[NEEDED]), code(64));
    assert_eq!(run_with(&["--help"], &[]), code(0));
    assert_eq!(run_with(&["--version"], &[]), code(0));
}

#[test]
fn every_fault_is_reported_at_once() {
    let reader = Reader::from_pairs([("QUIPU_LOG_FORMAT", "xml"), ("QUIPU_DRAIN_SECONDS", "soon")]);
    let Err(faults) = settings::<Program>(reader) else { panic!("faulty") };
    let names: Vec<_> = faults.0.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["QUIPU_DRAIN_SECONDS", "QUIPU_LOG_FORMAT", "QUIPU_NEEDED"]);
}

#[test]
fn help_lists_every_setting_with_its_default_the_required_first() {
    let text = help::<Program>();
    for expected in [
        "  QUIPU_NEEDED\n      a number [required]",
        "  QUIPU_WHAT\n      what the program does [default: end]",
        "  QUIPU_SECRET[_FILE]\n",
        "QUIPU_DRAIN_SECONDS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "QUIPU_LOG_FORMAT",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
    assert!(text.find("QUIPU_NEEDED") < text.find("OTEL_"));
}

#[test]
fn secrets_are_not_shown() {
    let reader = Reader::from_pairs([NEEDED, ("QUIPU_SECRET", "hunter2")]);
    let settings = settings::<Program>(reader).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(!settings.effective.to_string().contains("hunter2"));
}
