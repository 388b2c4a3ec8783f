use super::*;

#[test]
fn every_fault_is_reported_at_once() {
    let mut r = Reader::from_pairs([("QUIPU_PORT", "http"), ("QUIPU_PROT", "1")]);
    let port = r.or::<u16>("QUIPU_PORT", 80, "port");
    let host = r.required::<String>("QUIPU_HOST", "host name");
    assert_eq!((port, host), (Err(Reported), Err(Reported)));
    let text = r.finish().unwrap_err().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("QUIPU_PORT: \"http\": invalid digit"), "{text}");
    assert_eq!(lines[1], "QUIPU_HOST: is not set; host name");
    assert_eq!(lines[2], "QUIPU_PROT: is not a setting of this program; see --help");
}

#[test]
fn a_secret_comes_from_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "hunter2\n").unwrap();
    let mut r = Reader::from_pairs([("QUIPU_KEY_FILE", path.to_str().unwrap())]);
    let secret = r.required_secret("QUIPU_KEY", "key").unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert_eq!(format!("{secret} {secret:?}"), "[hidden] [hidden]");
    assert_eq!(r.finish().unwrap().to_string(), "QUIPU_KEY=[hidden]\n");
}

#[test]
fn a_secret_in_two_places_or_in_an_empty_file_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "\n").unwrap();
    let file = path.to_str().unwrap();
    let mut r = Reader::from_pairs([("QUIPU_A", "x"), ("QUIPU_A_FILE", file), ("QUIPU_B_FILE", file)]);
    assert!(r.secret("QUIPU_A", "").is_err() && r.secret("QUIPU_B", "").is_err());
    let text = r.finish().unwrap_err().to_string();
    assert!(text.contains("together with QUIPU_A_FILE") && text.contains("is empty"), "{text}");
}

#[test]
fn defaults_hold_and_an_empty_value_counts_as_missing() {
    let mut r = Reader::from_pairs([("QUIPU_PORT", ""), ("PATH", "/bin")]);
    assert_eq!(r.or::<u16>("QUIPU_PORT", 80, "port"), Ok(80));
    assert_eq!(r.optional::<u16>("QUIPU_OTHER", "other"), Ok(None));
    assert_eq!(r.finish().unwrap().to_string(), "QUIPU_PORT=80\nQUIPU_OTHER=\n");
}
