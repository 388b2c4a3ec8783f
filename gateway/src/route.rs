//! One route, stated once: from the statement come the axum route, the guard before it and the OpenAPI operation.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use axum::{
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{RefOr, path::Parameter, schema::Schema},
};

use crate::{rate::Class, state::Shared};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody; credentials are not looked at.
    Public,
    /// A user whose token has the scope.
    Scope(&'static str),
}

/// What a request body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// None is read.
    None,
    /// One JSON object.
    Json,
    /// Lines of JSON objects, without end.
    Lines,
}

/// What the guard needs to know of a route.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// `package.Service/Method`, of which the first decides the deadline.
    pub(crate) rpcs: &'static [&'static str],
    pub(crate) access: Access,
    pub(crate) rate: Option<Class>,
    /// Whether it counts as a generation of its user besides.
    pub(crate) generates: bool,
    pub(crate) body: BodyKind,
    pub(crate) body_limit: usize,
    pub(crate) idempotent: bool,
    /// Whether `Accept` may ask for an answer of server-sent events.
    pub(crate) events: bool,
}

impl Info {
    /// Whether it is asked every few seconds by whoever looks after the process.
    pub(crate) fn is_probe(&self) -> bool {
        self.rate.is_none()
    }
}

/// What only the OpenAPI document needs to know.
pub(crate) struct Doc {
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) takes: Option<TypeDoc>,
    pub(crate) answers: BTreeMap<u16, AnswerDoc>,
}

/// A type of the contract.
pub(crate) struct TypeDoc {
    pub(crate) name: Cow<'static, str>,
    pub(crate) schema: RefOr<Schema>,
    pub(crate) nested: Vec<(String, RefOr<Schema>)>,
    pub(crate) media: &'static str,
}

/// One status that a route answers with.
pub(crate) struct AnswerDoc {
    pub(crate) description: &'static str,
    /// One for each media type.
    pub(crate) bodies: Vec<TypeDoc>,
}

/// A route with all that belongs to it.
pub(crate) struct Route {
    pub(crate) info: Info,
    pub(crate) doc: Doc,
    pub(crate) handler: MethodRouter<Shared>,
}

/// The limit of a body unless a route says otherwise: 64 KiB.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

impl TypeDoc {
    /// Of a type, sent as `media`.
    pub(crate) fn of<T: ToSchema>(media: &'static str) -> Self {
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        Self { name: T::name(), schema: T::schema(), nested, media }
    }
}

impl Route {
    fn new<H, T>(method: Method, filter: MethodFilter, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        let info = Info {
            method,
            path,
            rpcs: &[],
            access: Access::Public,
            rate: Some(Class::Anonymous),
            generates: false,
            body: BodyKind::None,
            body_limit: BODY_LIMIT,
            idempotent: false,
            events: false,
        };
        let doc = Doc {
            id: "",
            tag: "",
            summary: "",
            description: "",
            parameters: Vec::new(),
            takes: None,
            answers: BTreeMap::new(),
        };
        Self { info, doc, handler: on(filter, handler) }
    }

    /// `GET`, and with it `HEAD`.
    pub(crate) fn get<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, MethodFilter::GET, path, handler)
    }

    /// `POST`.
    pub(crate) fn post<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, MethodFilter::POST, path, handler)
    }

    /// `PUT`.
    pub(crate) fn put<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, MethodFilter::PUT, path, handler)
    }

    /// `PATCH`.
    pub(crate) fn patch<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PATCH, MethodFilter::PATCH, path, handler)
    }

    /// `DELETE`.
    pub(crate) fn delete<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    /// How the document names and describes it.
    pub(crate) fn named(mut self, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        (self.doc.tag, self.doc.id, self.doc.summary) = (tag, id, summary);
        self
    }

    /// More than the summary.
    pub(crate) fn about(mut self, description: &'static str) -> Self {
        self.doc.description = description;
        self
    }

    /// The methods of services that it calls.
    pub(crate) fn calls(mut self, rpcs: &'static [&'static str]) -> Self {
        self.info.rpcs = rpcs;
        self
    }

    /// Needs a user with the scope; then each user has a quota of its own.
    pub(crate) fn needs(mut self, scope: &'static str) -> Self {
        self.info.access = Access::Scope(scope);
        self.info.rate = Some(Class::User);
        self
    }

    /// Which limit of client addresses counts.
    pub(crate) fn rated(mut self, class: Class) -> Self {
        self.info.rate = Some(class);
        self
    }

    /// Costs money: charged as a generation besides.
    pub(crate) fn generates(mut self) -> Self {
        self.info.generates = true;
        self
    }

    /// For probes: never limited and never traced.
    pub(crate) fn probe(mut self) -> Self {
        self.info.rate = None;
        self
    }

    /// Takes one JSON object.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.info.body = BodyKind::Json;
        self.doc.takes = Some(TypeDoc::of::<T>(crate::body::JSON));
        self
    }

    /// Takes lines of JSON objects.
    pub(crate) fn takes_lines<T: ToSchema>(mut self) -> Self {
        self.info.body = BodyKind::Lines;
        self.doc.takes = Some(TypeDoc::of::<T>(crate::body::NDJSON));
        self
    }

    /// A body of another size than usual.
    pub(crate) fn body_limit(mut self, bytes: usize) -> Self {
        self.info.body_limit = bytes;
        self
    }

    /// Honours `Idempotency-Key`.
    pub(crate) fn idempotent(mut self) -> Self {
        self.info.idempotent = true;
        self
    }

    /// Path or query parameters.
    pub(crate) fn parameters<P: IntoParams>(mut self) -> Self {
        self.doc.parameters.extend(P::into_params(|| None));
        self
    }

    /// One more parameter.
    pub(crate) fn parameter(mut self, parameter: Parameter) -> Self {
        self.doc.parameters.push(parameter);
        self
    }

    /// An answer of JSON.
    pub(crate) fn answers<T: ToSchema>(self, status: u16, description: &'static str) -> Self {
        self.answer(status, description, Some(TypeDoc::of::<T>(crate::body::JSON)))
    }

    /// An answer with a body of the media type, or none.
    pub(crate) fn answer(mut self, status: u16, description: &'static str, body: Option<TypeDoc>) -> Self {
        self.doc.answers.insert(status, AnswerDoc { description, bodies: body.into_iter().collect() });
        self
    }

    /// An answer of server-sent events for who asks for it by `Accept`; the type is that of an event's data.
    pub(crate) fn streams<T: ToSchema>(mut self, status: u16, description: &'static str) -> Self {
        self.info.events = true;
        let answer = self.doc.answers.entry(status).or_insert(AnswerDoc { description, bodies: Vec::new() });
        answer.bodies.push(TypeDoc::of::<T>(crate::body::EVENTS));
        self
    }

    /// A failure of its own, beyond those that every such route has.
    pub(crate) fn fails(self, status: u16, description: &'static str) -> Self {
        self.answer(status, description, None)
    }
}

/// The facts of a route, shared.
pub(crate) type SharedInfo = Arc<Info>;
