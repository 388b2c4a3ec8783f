//! Where Opik is, and as whom it is spoken to: the variables that its own libraries read.

use mesh_config::{Reader, Reported, Secret, is_loopback};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Opik as a service, where a key is for unless told otherwise.
const CLOUD: &str = "https://www.comet.com/opik/api";
/// The project of traces and experiments unless told otherwise.
const PROJECT: &str = "quipu";
const WORKSPACE: HeaderName = HeaderName::from_static("comet-workspace");

/// Where Opik is, and as whom it is spoken to.
#[derive(Clone, Debug)]
pub struct OpikConfig {
    /// The base of its API, up to and with `/api`.
    pub(crate) api: Url,
    key: Option<Secret>,
    workspace: Option<String>,
    /// The project that traces and experiments are of.
    pub(crate) project: String,
}

impl OpikConfig {
    /// Without key or workspace, as a server of one's own has it.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn new(url: &str, project: &str) -> Result<Self, String> {
        Ok(Self { api: base(url)?, key: None, workspace: None, project: project.to_owned() })
    }

    /// Reads `OPIK_URL_OVERRIDE`, `OPIK_API_KEY`, `OPIK_WORKSPACE` and `OPIK_PROJECT_NAME`; none unless there is a URL or a key.
    ///
    /// # Errors
    /// When a value is faulty; the reader has recorded each.
    pub fn read(reader: &mut Reader) -> Result<Option<Self>, Reported> {
        let url = reader.optional::<String>(
            "OPIK_URL_OVERRIDE",
            "Opik's API, to which traces of answers go [default: Comet's, with a key]",
        );
        let key = reader.secret("OPIK_API_KEY", "key of Opik");
        let workspace = reader.optional::<String>("OPIK_WORKSPACE", "workspace of Opik that the key is of");
        let project = reader.or("OPIK_PROJECT_NAME", PROJECT.to_owned(), "project of Opik");
        let (url, key, workspace, project) = (url?, key?, workspace?, project?);
        let workspace = reader.check("OPIK_WORKSPACE", workspace.map(|name| named(&name)).transpose());
        let project = reader.check("OPIK_PROJECT_NAME", named(&project));
        let api = reader.check("OPIK_URL_OVERRIDE", base(url.as_deref().unwrap_or(CLOUD)));
        let (workspace, project, api) = (workspace?, project?, api?);
        if url.is_none() && key.is_none() {
            let alone = match workspace {
                Some(_) => Err("needs OPIK_API_KEY or OPIK_URL_OVERRIDE"),
                None => Ok(()),
            };
            return reader.check("OPIK_WORKSPACE", alone).map(|()| None);
        }
        let is_open = api.scheme() == "http" && !is_loopback(api.host_str().unwrap_or_default());
        let safe = match (&key, is_open) {
            (Some(_), true) => Err("must be https:// where OPIK_API_KEY is sent to another machine"),
            _ => Ok(()),
        };
        reader.check("OPIK_URL_OVERRIDE", safe)?;
        let headers = Self { api, key, workspace, project };
        reader.check("OPIK_API_KEY", headers.headers().map(|_| ()))?;
        Ok(Some(headers))
    }

    /// A place of the API, below its base.
    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.api.clone();
        url.set_path(&format!("{}/v1/private/{path}", self.api.path()));
        url
    }

    /// What every call carries.
    pub(crate) fn headers(&self) -> Result<HeaderMap, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            // Without `Bearer`, as Opik wants it.
            let mut value = HeaderValue::try_from(key.expose())
                .map_err(|_| "must be visible ASCII: is there a line break at its end?")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let text = |text: &str| HeaderValue::try_from(text).map_err(|_| "must be visible ASCII");
        if let Some(workspace) = &self.workspace {
            headers.insert(WORKSPACE, text(workspace)?);
        }
        Ok(headers)
    }
}

/// A name that a header can carry.
fn named(name: &str) -> Result<String, &'static str> {
    let is_plain = name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    match name.trim() {
        name if is_plain && (1..=150).contains(&name.len()) => Ok(name.to_owned()),
        _ => Err("must be 1 to 150 visible ASCII characters"),
    }
}

/// The base of the API; `/api` is added where it was left out, and a slash at the end is taken away.
fn base(text: &str) -> Result<Url, String> {
    let mut url: Url = text.parse().map_err(|fault| format!("is no URL: {fault}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must be http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user or a password: the key has a variable of its own".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&if path.ends_with("/api") { path } else { format!("{path}/api") });
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<OpikConfig>, Vec<String>> {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        let config = OpikConfig::read(&mut reader);
        match reader.finish() {
            Ok(_) => Ok(config.expect("no fault")),
            Err(faults) => Err(faults.0.into_iter().map(|fault| fault.name).collect()),
        }
    }

    #[test]
    fn nothing_is_sent_unless_asked() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OPIK_PROJECT_NAME", "jokes")]).unwrap().is_none());
    }

    #[test]
    fn a_key_alone_is_for_the_service() {
        let config = read(&[("OPIK_API_KEY", "k"), ("OPIK_WORKSPACE", "w")]).unwrap().unwrap();
        let traces = config.at("otel/v1/traces");
        assert_eq!(traces.as_str(), "https://www.comet.com/opik/api/v1/private/otel/v1/traces");
        let headers = config.headers().unwrap();
        assert_eq!(headers["authorization"], "k");
        assert_eq!(headers["comet-workspace"], "w");
        assert!(!format!("{config:?} {headers:?}").contains("\"k\""), "{config:?} {headers:?}");
    }

    #[test]
    fn the_base_may_be_written_with_or_without_its_end() {
        for url in [
            "http://localhost:5173",
            "http://localhost:5173/",
            "http://localhost:5173/api",
            "http://localhost:5173/api/",
        ] {
            let config = read(&[("OPIK_URL_OVERRIDE", url)]).unwrap().unwrap();
            assert_eq!(config.at("traces").as_str(), "http://localhost:5173/api/v1/private/traces");
        }
    }

    #[test]
    fn faults_name_their_variable() {
        let faulty = |pairs: &[(&str, &str)], name: &str| {
            assert_eq!(read(pairs).unwrap_err(), [name], "{pairs:?}");
        };
        faulty(&[("OPIK_URL_OVERRIDE", "localhost:5173")], "OPIK_URL_OVERRIDE");
        faulty(&[("OPIK_URL_OVERRIDE", "http://u:p@localhost")], "OPIK_URL_OVERRIDE");
        faulty(
            &[("OPIK_URL_OVERRIDE", "http://opik.example/api"), ("OPIK_API_KEY", "k")],
            "OPIK_URL_OVERRIDE",
        );
        faulty(&[("OPIK_WORKSPACE", "w")], "OPIK_WORKSPACE");
        faulty(&[("OPIK_API_KEY", "k"), ("OPIK_WORKSPACE", "w\u{e9}")], "OPIK_WORKSPACE");
        faulty(&[("OPIK_API_KEY", "k"), ("OPIK_PROJECT_NAME", " ")], "OPIK_PROJECT_NAME");
        faulty(&[("OPIK_API_KEY", "a\nb")], "OPIK_API_KEY");
        assert!(
            read(&[("OPIK_URL_OVERRIDE", "http://opik.quipu/api")]).unwrap().is_some(),
            "no key to be read"
        );
    }
}
