//! The policy of one mesh, checked and indexed for the decision of each call.
//!
//! A decision is three hash look-ups and allocates nothing. Paths are compared byte for byte, so that no other
//! spelling of a method (case, double slashes, escapes, a query) reaches a rule. What no rule allows is denied.

mod build;
mod model;

use std::{collections::HashMap, io::Read as _, path::Path, sync::Arc, time::Duration};

use mesh_identity::{SpiffeId, TrustDomain};

pub use self::model::{Call, Grpc, Http, Monitoring, Reach, Resource, Role, Scope, Workload};
use crate::{
    check,
    contract::{Contract, Method},
    decision::{Decision, Denial, Pair, Rule},
    fault::{Collector, Faults},
    file::Document,
    yaml,
};

/// A checked policy file.
#[derive(Clone, Debug)]
pub struct Policy {
    file: String,
    /// The text as it was read, so that a reload knows news from a mere touch.
    source: Arc<str>,
    contract: Contract,
    trust_domain: TrustDomain,
    namespace: String,
    monitoring: Monitoring,
    scopes: Vec<Scope>,
    roles: Vec<Role>,
    workloads: Vec<Workload>,
    resources: Vec<Resource>,
    calls: Vec<Call>,
    by_id: HashMap<SpiffeId, usize>,
    by_name: HashMap<Arc<str>, usize>,
    /// For each callee: for each path that it serves, the index of the call that allows each caller.
    tables: Vec<HashMap<Arc<str>, Vec<Option<usize>>>>,
    /// Every method that exists, and the workloads that serve it: one, or several for health and reflection.
    methods: HashMap<Arc<str>, (Method, Vec<usize>)>,
}

impl Policy {
    /// Reads and checks the text of a policy file; `name` is what faults call the file.
    ///
    /// # Errors
    /// Everything that is wrong with the text, each fault with its line and column.
    pub fn parse(name: &str, text: &str, contract: &Contract) -> Result<Self, Faults> {
        let mut faults = Collector::default();
        let document = yaml::parse(text, &mut faults).map(|root| Document::read(&root, &mut faults));
        let Some(document) = document else { return Err(faults.into_faults(name)) };
        check::check(&document, contract, &mut faults);
        if !faults.is_empty() {
            return Err(faults.into_faults(name));
        }
        build::build((name, text), &document, contract)
    }

    /// Reads and checks a policy file.
    ///
    /// # Errors
    /// Those of [`Policy::parse`], and one when the file cannot be read.
    pub fn load(path: &Path, contract: &Contract) -> Result<Self, Faults> {
        let name = path.display().to_string();
        let text = std::fs::File::open(path).and_then(|file| {
            let mut text = String::new();
            // One byte more than is legal, so that the parser says what is wrong with a file that is too large.
            file.take(yaml::MAX_BYTES as u64 + 1).read_to_string(&mut text).map(|_| text)
        });
        match text {
            Ok(text) => Self::parse(&name, &text, contract),
            Err(error) => Err(Faults::whole(&name, format!("cannot be read: {error}"))),
        }
    }

    /// What the policy says of `caller` calling `path` on the workload `callee`.
    pub fn decide(&self, callee: &str, caller: &SpiffeId, path: &str) -> Decision<'_> {
        match self.by_id.get(caller) {
            Some(caller) => self.decide_indexed(self.by_name.get(callee).copied(), *caller, path),
            None => Decision::Deny(Denial::UnknownCaller),
        }
    }

    fn decide_indexed(&self, callee: Option<usize>, caller: usize, path: &str) -> Decision<'_> {
        let table = callee.and_then(|callee| self.tables.get(callee));
        let Some(callers) = table.and_then(|table| table.get(path)) else {
            return Decision::Deny(Denial::UnknownMethod);
        };
        let call = callers.get(caller).copied().flatten().and_then(|call| self.calls.get(call));
        call.map_or(Decision::Deny(Denial::NoRule), |call| Decision::Allow(&call.rule))
    }

    /// The whole matrix: each workload that serves gRPC × each workload × each method that exists anywhere, with
    /// health and reflection. Methods that the callee does not serve are in it too, and denied.
    pub fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let mut paths: Vec<&str> = self.methods.keys().map(AsRef::as_ref).collect();
        paths.sort_unstable();
        let callees = self.workloads.iter().enumerate().filter(|(_, workload)| workload.grpc.is_some());
        callees.flat_map(move |(callee_index, callee)| {
            let paths = paths.clone();
            self.workloads.iter().enumerate().flat_map(move |(caller_index, caller)| {
                paths.clone().into_iter().map(move |path| {
                    let decision = self.decide_indexed(Some(callee_index), caller_index, path);
                    (&*callee.name, &*caller.name, path, decision)
                })
            })
        })
    }

    /// The rule by which `caller` may call `path`, on whichever workload serves it. For health and reflection, which
    /// several serve on the same terms, the first that allows it.
    pub fn rule(&self, caller: &SpiffeId, path: &str) -> Option<&Rule> {
        let caller = *self.by_id.get(caller)?;
        let (_, callees) = self.methods.get(path)?;
        callees.iter().find_map(|callee| self.decide_indexed(Some(*callee), caller, path).rule())
    }

    /// The deadline that `caller` puts on a call of `path`; `None` when it may not call it.
    pub fn deadline(&self, caller: &SpiffeId, path: &str) -> Option<Duration> {
        self.rule(caller, path).map(|rule| rule.deadline)
    }

    /// The method with exactly this path.
    pub fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path).map(|(method, _)| method)
    }

    /// Every method that exists, with health and reflection, in no particular order.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.methods.values().map(|(method, _)| method)
    }

    /// Names of the workloads that serve `path`.
    pub fn callees(&self, path: &str) -> impl Iterator<Item = &str> {
        let indices = self.methods.get(path).map(|(_, callees)| callees.as_slice()).unwrap_or_default();
        indices.iter().filter_map(|index| self.workloads.get(*index)).map(|workload| workload.name.as_ref())
    }

    /// The identity of a workload.
    pub fn id_of(&self, workload: &str) -> Option<SpiffeId> {
        self.workload(workload).map(|workload| workload.id.clone())
    }

    /// The workload with this identity.
    pub fn workload_of(&self, id: &SpiffeId) -> Option<&Workload> {
        self.by_id.get(id).and_then(|index| self.workloads.get(*index))
    }

    /// The workload of this name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.by_name.get(name).and_then(|index| self.workloads.get(*index))
    }

    /// The workloads, in the order of the file.
    pub fn workloads(&self) -> &[Workload] {
        &self.workloads
    }

    /// The resources, in the order of the file.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Every allowed (caller, method) pair: the rules in the order of the file, then health and reflection.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The scopes that exist, in the order of the file.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The roles that exist, in the order of the file.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The trust domain of every identity.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The Kubernetes namespace of every workload.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Who may read the admin ports.
    pub fn monitoring(&self) -> &Monitoring {
        &self.monitoring
    }

    /// What the file was called when it was read.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The contract that the file was checked against.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }
}
