//! Why a call is allowed or not, in words, with the line of the file that decided.

use std::{fmt, time::Duration};

use crate::{
    contract::Method,
    decision::{Decision, Rule, UserRule},
    nearest::suggestion,
    policy::{Policy, Workload},
};

/// The answer to `quipu policy explain CALLER METHOD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the caller may call the method on at least one workload.
    pub allowed: bool,
    text: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Policy {
    /// Explains whether `caller` (a workload's name or SPIFFE id) may call `method`, and by which rule.
    ///
    /// The method is `/quipu.auth.v1.AuthService/Login`, the same without the first slash, with a dot for the slash
    /// before the method, or any end of it that begins at a dot or slash and fits only one method (`Login`).
    pub fn explain(&self, caller: &str, method: &str) -> Explanation {
        let denied = |text: String| Explanation { allowed: false, text };
        let found =
            self.workload(caller).or_else(|| self.workloads().iter().find(|one| one.id.as_str() == caller));
        let Some(caller) = found else {
            let near = suggestion(caller, self.workloads().iter().map(|workload| workload.name.as_ref()));
            return denied(format!("denied: unknown workload \"{caller}\"{near}"));
        };
        match self.find_method(method).as_slice() {
            [] => {
                let near = suggestion(method.rsplit(['/', '.']).next().unwrap_or(method), self.names());
                denied(format!("denied: unknown method \"{method}\"{near}"))
            }
            [method] => self.explain_method(caller, method),
            several => {
                let paths: Vec<&str> = several.iter().map(|method| method.path.as_ref()).collect();
                denied(format!("\"{method}\" is not one method; say which of {}", paths.join(", ")))
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.methods().map(|method| method.name.as_ref())
    }

    /// The methods whose path ends with `wanted`, in order of their paths.
    fn find_method(&self, wanted: &str) -> Vec<&Method> {
        let wanted = wanted.trim_start_matches('/');
        let fits = |method: &&Method| {
            let path = method.path.trim_start_matches('/');
            let dotted = path.replace('/', ".");
            let before = dotted.strip_suffix(&wanted.replace('/', "."));
            !wanted.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let mut found: Vec<&Method> = self.methods().filter(fits).collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    fn explain_method(&self, caller: &Workload, method: &Method) -> Explanation {
        let mut allowed = false;
        let mut lines = Vec::new();
        for callee in self.callees(&method.path) {
            match self.decide(callee, &caller.id, &method.path) {
                Decision::Allow(rule) => {
                    allowed = true;
                    lines.push(self.allow_line(caller, callee, method, rule));
                }
                Decision::Deny(denial) => {
                    lines.push(self.deny_line(caller, callee, method, &denial.to_string()))
                }
            }
        }
        Explanation { allowed, text: lines.join("\n") }
    }

    fn allow_line(&self, caller: &Workload, callee: &str, method: &Method, rule: &Rule) -> String {
        let idle = rule.idle.map(|idle| format!(", at most {} of silence", span(idle))).unwrap_or_default();
        let retry = if method.retry_safe { "may be retried" } else { "is never retried once sent" };
        format!(
            "allowed: {} may call {} on {callee}, by {}:{}:{}; {}; within {}{idle}; {retry}",
            caller.name,
            method.path,
            self.file(),
            rule.line,
            rule.column,
            user(&rule.user),
            span(rule.deadline),
        )
    }

    fn deny_line(&self, caller: &Workload, callee: &str, method: &Method, why: &str) -> String {
        let calls = self.calls().iter().filter(|call| &*call.callee == callee && call.method == *method);
        let others: Vec<String> =
            calls.map(|call| format!("{} (line {})", call.caller, call.rule.line)).collect();
        let others = if others.is_empty() { "nobody".to_owned() } else { others.join(", ") };
        format!(
            "denied: {} may not call {} on {callee}: {why}; it may be called by {others}",
            caller.name, method.path
        )
    }
}

/// What the rule asks of the user, in words.
pub(crate) fn user(rule: &UserRule) -> String {
    match rule {
        UserRule::None => "no user needed".to_owned(),
        UserRule::Required { scope: None } => "for any signed-in user".to_owned(),
        UserRule::Required { scope: Some(scope) } => format!("for a user with scope {scope}"),
    }
}

/// A duration as the file would write it.
pub(crate) fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}
