use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<TelemetryConfig, Vec<String>> {
    let mut reader = Reader::from_pairs(pairs.iter().copied());
    let config = TelemetryConfig::read(&mut reader);
    match reader.finish() {
        Ok(_) => Ok(config.expect("no fault")),
        Err(faults) => Err(faults.0.into_iter().map(|fault| fault.name).collect()),
    }
}

#[test]
fn nothing_is_exported_unless_asked() {
    let config = read(&[]).expect("valid");
    assert_eq!((config.otlp_endpoint, config.sampling), (None, Sampling::ParentBasedAlwaysOn));
}

#[test]
fn the_traces_endpoint_wins() {
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:4317"),
    ];
    assert_eq!(read(&pairs[..1]).expect("valid").otlp_endpoint.as_deref(), Some("http://a:4317"));
    assert_eq!(read(&pairs).expect("valid").otlp_endpoint.as_deref(), Some("http://b:4317"));
}

#[test]
fn the_standard_switches_turn_export_off() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317");
    for switch in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        assert_eq!(read(&[endpoint, switch]).expect("valid").otlp_endpoint, None);
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let faults = read(&[
        ("QUIPU_LOG", "mesh=loud"),
        ("QUIPU_LOG_FORMAT", "xml"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a:4317"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "novalue"),
    ]);
    assert_eq!(faults.expect_err("faulty").len(), 7);
}

#[test]
fn resource_attributes_are_pairs() {
    let config =
        read(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1, deployment.environment.name = dev,")]).expect("valid");
    let expected =
        [("a".to_owned(), "1".to_owned()), ("deployment.environment.name".to_owned(), "dev".to_owned())];
    assert_eq!(config.resource_attributes, expected);
}
