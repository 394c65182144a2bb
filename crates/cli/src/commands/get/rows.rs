//! What there is, as tables.

use crate::output::{Cell, Paint, Table};
use stagegate_api::{
    DeploymentAndSystems, Environment, JobAgent, Metadata, Notifier, Policy, RelationshipRule,
    Resource, System, VariableSet,
};

/// How much of a selector a table shows, in characters.
const SELECTOR_CHARS_MAX: usize = 80;

pub fn systems(all: &[System], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "SLUG", "DESCRIPTION", "ID"]);
    for it in all {
        table.row([
            Cell::strong(&it.name),
            Cell::from(&it.slug),
            Cell::from(it.description.as_deref().unwrap_or_default()),
            Cell::dim(&it.id),
        ]);
    }
    or_none(all.len(), "systems", table.render(paint))
}

pub fn environments(all: &[Environment], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "RESOURCES", "DESCRIPTION", "ID"]);
    for it in all {
        table.row([
            Cell::strong(&it.name),
            selector(it.resource_selector.as_deref()),
            Cell::from(it.description.as_deref().unwrap_or_default()),
            Cell::dim(&it.id),
        ]);
    }
    or_none(all.len(), "environments", table.render(paint))
}

pub fn deployments(all: &[DeploymentAndSystems], paint: Paint) -> String {
    let mut table = Table::new(["SLUG", "NAME", "SYSTEMS", "RESOURCES", "ID"]);
    for it in all {
        let systems: Vec<&str> = it
            .systems
            .iter()
            .map(|system| system.name.as_str())
            .collect();
        table.row([
            Cell::strong(&it.deployment.slug),
            Cell::from(&it.deployment.name),
            Cell::from(systems.join(", ")),
            selector(it.deployment.resource_selector.as_deref()),
            Cell::dim(&it.deployment.id),
        ]);
    }
    or_none(all.len(), "deployments", table.render(paint))
}

pub fn resources(all: &[Resource], paint: Paint) -> String {
    let mut table = Table::new(["IDENTIFIER", "NAME", "KIND", "METADATA"]);
    for it in all {
        table.row([
            Cell::strong(&it.identifier),
            Cell::from(&it.name),
            Cell::from(&it.kind),
            Cell::dim(pairs(&it.metadata)),
        ]);
    }
    or_none(all.len(), "resources", table.render(paint))
}

pub fn job_agents(all: &[JobAgent], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "TYPE", "METADATA", "ID"]);
    for it in all {
        table.row([
            Cell::strong(&it.name),
            Cell::from(&it.kind),
            Cell::dim(pairs(&it.metadata)),
            Cell::dim(&it.id),
        ]);
    }
    or_none(all.len(), "job agents", table.render(paint))
}

pub fn notifiers(all: &[Notifier], paint: Paint) -> String {
    let mut table = Table::new([
        "NAME",
        "TYPE",
        "EVENTS",
        "IN",
        "DELIVERED",
        "PENDING",
        "LAST ERROR",
    ]);
    let any = |all: &[String]| match all {
        [] => "all".to_owned(),
        some => some.join(", "),
    };
    for it in all {
        let status = &it.status;
        let error = status.last_error.as_ref();
        table.row([
            Cell::strong(&it.name),
            Cell::from(&it.kind),
            Cell::from(any(&it.events)),
            Cell::from(any(&it.environments)),
            Cell::from(status.delivered.to_string()),
            Cell::from(status.pending.to_string()),
            Cell::dim(error.map_or(String::new(), |it| format!("{} ({})", it.message, it.at))),
        ]);
    }
    or_none(all.len(), "notifiers", table.render(paint))
}

pub fn variable_sets(all: &[VariableSet], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "PRIORITY", "APPLIES TO", "KEYS", "ID"]);
    for it in all {
        let keys: Vec<&str> = it.variables.iter().map(|it| it.key.as_str()).collect();
        table.row([
            Cell::strong(&it.name),
            Cell::from(it.priority.to_string()),
            selector(Some(&it.selector)),
            Cell::from(keys.join(", ")),
            Cell::dim(&it.id),
        ]);
    }
    or_none(all.len(), "variable sets", table.render(paint))
}

pub fn relationship_rules(all: &[RelationshipRule], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "REFERENCE", "RELATES", "ID"]);
    for it in all {
        table.row([
            Cell::strong(&it.name),
            Cell::from(&it.reference),
            selector(Some(&it.cel)),
            Cell::dim(&it.id),
        ]);
    }
    or_none(all.len(), "relationship rules", table.render(paint))
}

pub fn policies(all: &[Policy], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "", "RULES", "APPLIES TO", "ID"]);
    for it in all {
        let rules: Vec<&str> = it.rules.iter().map(|rule| rule.kind.as_str()).collect();
        table.row([
            Cell::strong(&it.name),
            Cell::dim(if it.enabled { "" } else { "disabled" }),
            Cell::from(rules.join(", ")),
            selector(Some(&it.selector)),
            Cell::dim(&it.id),
        ]);
    }
    or_none(all.len(), "policies", table.render(paint))
}

fn or_none(count: usize, noun: &str, table: String) -> String {
    if count == 0 {
        format!("no {noun}\n")
    } else {
        table
    }
}

fn selector(cel: Option<&str>) -> Cell {
    let cel = cel.unwrap_or("none");
    let shown: String = cel.chars().take(SELECTOR_CHARS_MAX).collect();
    let cut = if shown.len() < cel.len() { "…" } else { "" };
    Cell::dim(format!("{shown}{cut}"))
}

fn pairs(metadata: &Metadata) -> String {
    let pairs: Vec<String> = metadata
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(" ")
}
