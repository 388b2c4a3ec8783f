//! The call graph: a Mermaid picture, and the page of the documentation with the picture and every rule in a table.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    contract::Surface,
    explain::{span, user},
    policy::{Call, Policy},
};

/// A Mermaid flow chart: workloads, who calls which service of whom, resources, and what is open to any source.
pub fn mermaid(policy: &Policy) -> String {
    let mut out = String::from("flowchart LR\n");
    nodes(policy, &mut out);
    for ((caller, callee), label) in edges(policy) {
        line(&mut out, &format!("{} -->|\"{label}\"| {}", node("w", caller), node("w", callee)));
    }
    for workload in policy.workloads() {
        for from in workload.http.iter().flat_map(|http| &http.from) {
            line(&mut out, &format!("{} -->|HTTP| {}", node("w", from), node("w", &workload.name)));
        }
        if workload.http.as_ref().is_some_and(|http| http.internet) {
            line(&mut out, &format!("internet -->|HTTP| {}", node("w", &workload.name)));
        }
        for resource in &workload.uses {
            line(&mut out, &format!("{} -.-> {}", node("w", &workload.name), node("r", resource)));
        }
    }
    out
}

fn nodes(policy: &Policy, out: &mut String) {
    if policy.workloads().iter().any(|workload| workload.http.as_ref().is_some_and(|http| http.internet)) {
        line(out, "internet((internet))");
    }
    for workload in policy.workloads() {
        let id = node("w", &workload.name);
        if workload.external {
            line(out, &format!("{id}([\"{}\"])", workload.name));
        } else {
            line(out, &format!("{id}[\"{}\"]", workload.name));
        }
    }
    for resource in policy.resources() {
        line(out, &format!("{}[(\"{}\")]", node("r", &resource.name), resource.name));
    }
}

/// Each pair of workloads that may talk over gRPC, with the services and how many of their methods.
fn edges(policy: &Policy) -> BTreeMap<(&str, &str), String> {
    let mut counts: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    for call in policy.calls() {
        let services = counts.entry((&call.caller, &call.callee)).or_default();
        *services.entry(short(call)).or_default() += 1;
    }
    let label = |services: BTreeMap<&str, usize>| {
        let parts: Vec<String> = services
            .into_iter()
            .map(|(service, count)| match service {
                "health" | "reflection" => service.to_owned(),
                _ if count == 1 => format!("{service}: 1 method"),
                _ => format!("{service}: {count} methods"),
            })
            .collect();
        parts.join("<br/>")
    };
    counts.into_iter().map(|(pair, services)| (pair, label(services))).collect()
}

/// What a picture calls the service: its name without the package, or the surface.
fn short(call: &Call) -> &str {
    let service = call.method.service.as_ref();
    match Surface::of(service) {
        Some(Surface::Health) => "health",
        Some(Surface::Reflection) => "reflection",
        None => service.rsplit('.').next().unwrap_or(service),
    }
}

/// A node's id; the prefix keeps Mermaid's own words (`end`) out.
fn node(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", name.replace('-', "_"))
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "  {text}");
}

/// The page of the documentation.
pub fn page(policy: &Policy) -> String {
    let mut out = format!(
        "# Who calls whom\n\n\
         Rendered from `policies/mesh.yaml` by `quipu policy render`. Do not edit.\n\n\
         ```mermaid\n{}```\n\n\
         Solid arrows are calls, dotted ones connections to resources. Whatever is not in the table below is denied.\n\n\
         | caller | callee | method | user | deadline | retry |\n|---|---|---|---|---|---|\n",
        mermaid(policy)
    );
    for call in policy.calls() {
        let rule = &call.rule;
        let idle = rule.idle.map(|idle| format!(", idle {}", span(idle))).unwrap_or_default();
        let retry = if call.method.retry_safe { "yes" } else { "only if never sent" };
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "| {} | {} | `{}` | {} | {}{idle} | {retry} |",
            call.caller,
            call.callee,
            call.method.path.trim_start_matches('/'),
            user(&rule.user),
            span(rule.deadline),
        );
    }
    out
}
