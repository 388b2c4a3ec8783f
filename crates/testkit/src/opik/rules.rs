//! Where Opik puts an attribute of a span.

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Model,
    Provider,
    Usage,
    Input,
    Output,
    Metadata,
    Thread,
    Tags,
}

/// One rule: the key, or with a star at its end the beginning of the key; the place; whether the span is then one of a
/// language model.
type Rule = (&'static str, Place, bool);

/// In Opik's order, of which the first that fits counts (`GenAIMappingRules` and `GeneralMappingRules` there). Those of
/// other libraries' attributes are left out.
const RULES: &[Rule] = &[
    ("gen_ai.prompt", Place::Input, false),
    ("gen_ai.completion", Place::Output, false),
    ("gen_ai.request.model", Place::Model, true),
    ("gen_ai.request.temperature", Place::Metadata, true),
    ("gen_ai.response.id", Place::Metadata, true),
    ("gen_ai.response.model", Place::Model, true),
    ("gen_ai.response.finish_reasons", Place::Metadata, false),
    ("gen_ai.system", Place::Provider, true),
    ("gen_ai.provider.name", Place::Provider, true),
    ("gen_ai.usage.*", Place::Usage, true),
    ("gen_ai.input.*", Place::Input, true),
    ("gen_ai.output.*", Place::Output, true),
    ("gen_ai.system_instructions", Place::Input, true),
    ("gen_ai.cost.*", Place::Metadata, true),
    ("gen_ai.tool.*", Place::Metadata, false),
    ("gen_ai.agent.*", Place::Metadata, false),
    ("gen_ai.token.type", Place::Metadata, false),
    ("gen_ai.framework", Place::Metadata, false),
    ("gen_ai.request.*", Place::Input, false),
    ("gen_ai.response*", Place::Output, false),
    ("gen_ai.operation.name", Place::Metadata, false),
    ("gen_ai.conversation.id", Place::Thread, false),
    ("input*", Place::Input, false),
    ("output*", Place::Output, false),
    ("error.type", Place::Metadata, false),
    ("error.message", Place::Metadata, false),
    ("error.stack", Place::Metadata, false),
    ("error.stacktrace", Place::Metadata, false),
    ("exception.type", Place::Metadata, false),
    ("exception.message", Place::Metadata, false),
    ("exception.stacktrace", Place::Metadata, false),
    ("server.address", Place::Metadata, false),
    ("server.port", Place::Metadata, false),
    ("thread_id", Place::Thread, false),
    ("opik.tags", Place::Tags, false),
    ("opik.metadata*", Place::Metadata, false),
];

/// The place of an attribute, and whether its span is one of a language model.
pub(super) fn place(key: &str) -> (Place, bool) {
    let fits = |rule: &str| match rule.strip_suffix('*') {
        Some(beginning) => key.starts_with(beginning),
        None => key == rule,
    };
    let found = RULES.iter().find(|(rule, ..)| fits(rule));
    found.map_or((Place::Input, false), |(_, place, is_llm)| (*place, *is_llm))
}
