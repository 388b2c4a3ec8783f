//! One message of spans to Opik, again when that may help. For a thread of its own: it waits.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::runtime::Runtime;

use crate::client::{cause, http, is_passing};
use crate::config::OpikConfig;

/// The header that says which project spans are of.
const PROJECT: HeaderName = HeaderName::from_static("projectname");
/// Before each further try.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// The way to Opik's door for OTLP.
pub(crate) struct Post {
    url: Url,
    headers: HeaderMap,
    client: Client,
    runtime: Runtime,
}

impl Post {
    pub(crate) fn new(config: &OpikConfig) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mut headers = config.headers().map_err(ToString::to_string)?;
        let project = HeaderValue::try_from(&config.project).map_err(|error| error.to_string())?;
        headers.insert(PROJECT, project);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let client = http(&config.api).map_err(|error| cause(&error))?;
        Ok(Self { url: config.at("otel/v1/traces"), headers, client, runtime })
    }

    /// Sends spans; whether Opik took them.
    pub(crate) fn traces(&self, spans: Vec<SpanData>, resource: &Resource) -> bool {
        let resource = ResourceAttributesWithSchema::from(resource);
        let resource_spans = group_spans_by_resource_and_scope(spans, &resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        self.runtime.block_on(self.until_taken(body))
    }

    async fn until_taken(&self, body: Vec<u8>) -> bool {
        let begun = Instant::now();
        let mut pauses = PAUSES.iter();
        loop {
            let (why, again) = match self.once(body.clone()).await {
                Ok(status) if status.is_success() => return true,
                Ok(status) => (status.to_string(), is_passing(status)),
                Err(error) => (cause(&error), true),
            };
            let Some(pause) = pauses.next().filter(|_| again) else {
                tracing::warn!(error = why, took = ?begun.elapsed(), "Opik does not take answers");
                return false;
            };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn once(&self, body: Vec<u8>) -> reqwest::Result<StatusCode> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        request.send().await.map(|response| response.status())
    }
}
