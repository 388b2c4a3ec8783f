//! The file: a topic a line, or a joke request as JSON a line.

use std::fmt;

use serde::Deserialize;

use crate::domain::{Audience, JokeRequest, Language, Length, Params, Style, Temperature, Topic};

/// More topics are not read.
pub const MAX_ROWS: usize = 10_000;

/// A topic of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Of the file, from 1.
    pub line: usize,
    /// Name of a model; empty for the one of the evaluation.
    pub model: String,
    /// What is wanted.
    pub request: JokeRequest,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of the file, from 1.
    pub line: usize,
    /// The field, and what is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// The fields of a joke request, as the REST API takes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    topic: String,
    style: Option<Style>,
    audience: Option<String>,
    language: Option<String>,
    length: Option<Length>,
    temperature: Option<f64>,
    seed: Option<u32>,
    model: Option<String>,
}

/// Blank lines and those that begin with `#` say nothing.
pub(super) fn parse(
    text: &str,
    defaults: &Params,
    is_model: impl Fn(&str) -> Result<(), String>,
) -> Result<Vec<Case>, Vec<Fault>> {
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for (place, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (number, line) = (place + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = if line.starts_with('{') { wish(line, defaults) } else { topic(line, defaults) };
        let read = read.and_then(|(model, request)| is_model(&model).map(|()| (model, request)));
        match read {
            Ok(_) if cases.len() == MAX_ROWS => {
                faults.push(Fault { line: number, what: format!("there are more than {MAX_ROWS} topics") });
                break;
            }
            Ok((model, request)) => cases.push(Case { line: number, model, request }),
            Err(what) => faults.push(Fault { line: number, what }),
        }
    }
    if faults.is_empty() && cases.is_empty() {
        faults.push(Fault { line: 1, what: "there is no topic in it".to_owned() });
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults) }
}

fn topic(line: &str, defaults: &Params) -> Result<(String, JokeRequest), String> {
    let topic = Topic::parse(line).map_err(|what| format!("topic: {what}"))?;
    Ok((String::new(), JokeRequest { topic, params: defaults.clone() }))
}

fn wish(line: &str, defaults: &Params) -> Result<(String, JokeRequest), String> {
    let wish: Wish = serde_json::from_str(line).map_err(|fault| described(&fault))?;
    let of = |field: &'static str| move |what: String| format!("{field}: {what}");
    let audience = wish.audience.map(|text| Audience::parse(&text)).transpose().map_err(of("audience"))?;
    let language = wish.language.map(|text| Language::parse(&text)).transpose().map_err(of("language"))?;
    let temperature = wish.temperature.map(Temperature::parse).transpose().map_err(of("temperature"))?;
    let params = Params {
        style: wish.style.unwrap_or(defaults.style),
        audience: audience.unwrap_or_else(|| defaults.audience.clone()),
        language: language.unwrap_or_else(|| defaults.language.clone()),
        length: wish.length.unwrap_or(defaults.length),
        temperature: temperature.or(defaults.temperature),
        seed: wish.seed.or(defaults.seed),
    };
    let topic = Topic::parse(&wish.topic).map_err(of("topic"))?;
    Ok((wish.model.unwrap_or_default(), JokeRequest { topic, params }))
}

/// Its line is always the first, which would mislead.
fn described(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (column {})", fault.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Result<(), String> {
        if ["", "m"].contains(&name) { Ok(()) } else { Err(format!("no model {name}")) }
    }

    #[test]
    fn lines_are_topics_or_requests() {
        let defaults = Params { seed: Some(7), length: Length::Short, ..Params::default() };
        let text = "\u{feff}# topics\r\n\r\n  cats \r\n\
                    {\"topic\":\"bears\",\"style\":\"knock_knock\",\"language\":\"de\",\"seed\":1,\"model\":\"m\",\
                    \"temperature\":0.5,\"length\":null}\n#end";
        let cases = parse(text, &defaults, known).unwrap();
        let [cats, bears] = &cases[..] else { panic!("{cases:?}") };
        assert_eq!((cats.line, cats.request.topic.as_str(), cats.model.as_str()), (3, "cats", ""));
        assert_eq!(cats.request.params, defaults);
        assert_eq!((bears.line, bears.request.topic.as_str(), bears.model.as_str()), (4, "bears", "m"));
        let params = &bears.request.params;
        assert_eq!((params.style, params.language.as_str()), (Style::KnockKnock, "de"));
        assert_eq!((params.length, params.seed), (Length::Short, Some(1)));
        assert_eq!(params.temperature.map(Temperature::value), Some(0.5));
    }

    #[test]
    fn every_faulty_line_is_named() {
        let lines = [
            "cats",
            &"x".repeat(201),
            "{\"topic\":\"a\"",
            "{\"topic\":\"a\",\"mood\":1}",
            "{\"style\":\"pun\"}",
            "{\"topic\":\"a\",\"topic\":\"b\"}",
            "{\"topic\":\"a\",\"style\":\"sad\"}",
            "{\"topic\":\"a\",\"language\":\"english\"}",
            "{\"topic\":\"a\",\"temperature\":3}",
            "{\"topic\":\"a\",\"seed\":-1}",
            "{\"topic\":\"a\",\"model\":\"x\"}",
            "{\"topic\":\"a\",\"audience\":\"a\\u0000b\"}",
            "a\tb",
        ];
        let faults = parse(&lines.join("\n"), &Params::default(), known).unwrap_err();
        let places: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(places, (2..=13).collect::<Vec<_>>(), "{faults:#?}");
        let all = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n");
        for part in [
            "2: topic: must have at most 200",
            "4: unknown field `mood`",
            "(column 19)",
            "one_liner",
            "11: no model x",
        ] {
            assert!(all.contains(part), "{part} is missing in\n{all}");
        }
    }

    #[test]
    fn a_file_without_a_topic_and_one_with_too_many_are_refused() {
        assert!(parse("# nothing\n", &Params::default(), known).is_err());
        let faults = parse(&"cats\n".repeat(MAX_ROWS + 2), &Params::default(), known).unwrap_err();
        assert_eq!((faults.len(), faults[0].line), (1, MAX_ROWS + 1));
    }
}
