//! Which spans belong to which answer, from the beginning of its first span to the end of it.

use std::collections::HashMap;

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

/// Answers under way; of more nothing is kept.
const MOST_ANSWERS: usize = 4_096;
/// Spans of one answer; more are left away.
const MOST_SPANS: usize = 256;

/// The answers under way.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    answers: HashMap<SpanId, Group>,
    /// The answer that each span under way is of.
    members: HashMap<SpanId, SpanId>,
}

#[derive(Debug, Default)]
struct Group {
    members: Vec<SpanId>,
    ended: Vec<SpanData>,
}

impl Groups {
    /// A span has begun within an answer, if its parent is of one; whether it is.
    pub(crate) fn join(&mut self, parent: SpanId, span: SpanId) -> bool {
        let Some(answer) = self.members.get(&parent).copied() else { return false };
        if let Some(group) = self.answers.get_mut(&answer).filter(|group| group.members.len() < MOST_SPANS) {
            group.members.push(span);
            self.members.insert(span, answer);
        }
        true
    }

    /// An answer has begun with its first span; false if there are too many.
    pub(crate) fn begin(&mut self, answer: SpanId) -> bool {
        if self.answers.len() >= MOST_ANSWERS {
            return false;
        }
        self.answers.insert(answer, Group { members: vec![answer], ended: Vec::new() });
        self.members.insert(answer, answer);
        true
    }

    /// A span has ended; with its first span an answer is complete: that one is the last of the spans. One that goes on after it
    /// is left away.
    pub(crate) fn end(&mut self, span: SpanData) -> Option<Vec<SpanData>> {
        let id = span.span_context.span_id();
        let answer = self.members.remove(&id)?;
        if id != answer {
            self.answers.get_mut(&answer)?.ended.push(span);
            return None;
        }
        let mut group = self.answers.remove(&answer)?;
        for member in &group.members {
            self.members.remove(member);
        }
        group.ended.push(span);
        Some(group.ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn id(n: u64) -> SpanId {
        SpanId::from(n)
    }

    fn span(n: u64) -> SpanData {
        let context =
            SpanContext::new(TraceId::from(1), id(n), TraceFlags::SAMPLED, false, TraceState::default());
        SpanData {
            span_context: context,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: n.to_string().into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn names(spans: &[SpanData]) -> Vec<&str> {
        spans.iter().map(|span| span.name.as_ref()).collect()
    }

    #[test]
    fn an_answer_is_its_first_span_and_all_below() {
        let mut groups = Groups::default();
        assert!(!groups.join(id(1), id(2)), "outside of answers");
        assert!(groups.begin(id(10)) && groups.join(id(10), id(11)) && groups.join(id(11), id(12)));
        assert!(groups.begin(id(20)) && groups.join(id(20), id(21)));
        for n in [2, 12, 21, 11] {
            assert!(groups.end(span(n)).is_none(), "{n}");
        }
        assert_eq!(names(&groups.end(span(10)).unwrap()), ["12", "11", "10"]);
        assert_eq!(names(&groups.end(span(20)).unwrap()), ["21", "20"]);
        assert!(groups.answers.is_empty() && groups.members.is_empty());
    }

    #[test]
    fn what_outlives_its_answer_is_left_away() {
        let mut groups = Groups::default();
        assert!(groups.begin(id(1)) && groups.join(id(1), id(2)));
        assert_eq!(names(&groups.end(span(1)).unwrap()), ["1"]);
        assert!(groups.end(span(2)).is_none() && groups.members.is_empty());
    }

    #[test]
    fn it_stays_within_bounds() {
        let mut groups = Groups::default();
        for n in 1..=MOST_ANSWERS as u64 {
            assert!(groups.begin(id(n)));
        }
        assert!(!groups.begin(id(1 << 40)));
        for n in 0..2 * MOST_SPANS as u64 {
            assert!(groups.join(id(1), id((1 << 32) + n)));
        }
        assert_eq!(groups.answers[&id(1)].members.len(), MOST_SPANS);
    }
}
