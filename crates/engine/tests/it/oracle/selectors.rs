//! The selectors of this world, each with what it means in plain Rust.

use stagegate_model::*;

/// What a selector is asked about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub environment: &'a Environment,
    pub deployment: &'a Deployment,
    /// One of those that environment and deployment share, if they share any.
    pub system: Option<&'a System>,
    pub resource: &'a Resource,
    pub version: &'a Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    No,
    Error,
    Yes,
}

fn yes(holds: bool) -> Said {
    if holds { Said::Yes } else { Said::No }
}

fn says(metadata: &Metadata, key: &str, value: &str) -> bool {
    metadata.get(key).is_some_and(|it| it == value)
}

/// A date that is missing says no; one that is none is an error.
fn before_2030(metadata: &Metadata, key: &str) -> Said {
    match metadata.get(key) {
        None => Said::No,
        Some(date) if date == GOOD_DATE => Said::Yes,
        Some(_) => Said::Error,
    }
}

pub const GOOD_DATE: &str = "2026-01-01T00:00:00Z";
pub const BAD_DATE: &str = "soon";

type Meaning = fn(Subject<'_>) -> Said;
/// A text and what it means.
type Selector<M> = (&'static str, M);
type OfResource = fn(&Resource) -> bool;
type OfEnvironment = fn(&Environment) -> bool;
type OfAgent = fn(&JobAgent) -> bool;

/// What policies select by.
pub const POLICY_SELECTORS: &[Selector<Meaning>] = &[
    ("environment.name == \"Production\"", |it| {
        yes(it.environment.name == "Production")
    }),
    ("environment.name == \"Staging\"", |it| {
        yes(it.environment.name == "Staging")
    }),
    ("true", |_| Said::Yes),
    ("environment.name != \"QA\"", |it| {
        yes(it.environment.name != "QA")
    }),
    ("environment.metadata[\"tier\"] == \"prod\"", |it| {
        yes(says(&it.environment.metadata, "tier", "prod"))
    }),
    (
        "environment.name == \"Production\" && resource.metadata[\"zone\"] == \"eu\"",
        |it| yes(it.environment.name == "Production" && says(&it.resource.metadata, "zone", "eu")),
    ),
    (
        "environment.name != \"QA\" && version.metadata[\"channel\"] == \"hotfix\"",
        |it| yes(it.environment.name != "QA" && says(&it.version.metadata, "channel", "hotfix")),
    ),
    (
        "environment.name == \"Production\" && system.name == \"shop\"",
        |it| {
            let shop = it.system.is_some_and(|system| system.name == "shop");
            yes(it.environment.name == "Production" && shop)
        },
    ),
    ("deployment.slug == \"web\"", |it| {
        yes(it.deployment.slug == "web")
    }),
    (
        "resource.metadata[\"zone\"] == \"eu\" || version.metadata[\"channel\"] == \"hotfix\"",
        |it| {
            yes(says(&it.resource.metadata, "zone", "eu")
                || says(&it.version.metadata, "channel", "hotfix"))
        },
    ),
    (
        "environment.name == \"Production\" && timestamp(version.metadata[\"due\"]) < timestamp(\"2030-01-01T00:00:00Z\")",
        |it| match yes(it.environment.name == "Production") {
            Said::Yes => before_2030(&it.version.metadata, "due"),
            no => no,
        },
    ),
    (
        "timestamp(resource.metadata[\"since\"]) < timestamp(\"2030-01-01T00:00:00Z\")",
        |it| before_2030(&it.resource.metadata, "since"),
    ),
];

/// What deployments take.
pub const DEPLOYMENT_SELECTORS: &[Selector<OfResource>] = &[
    ("true", |_| true),
    ("resource.kind == \"server\"", |it| it.kind == "server"),
    ("resource.metadata[\"zone\"] == \"eu\"", |it| {
        says(&it.metadata, "zone", "eu")
    }),
];

/// What environments take: those of a name, perhaps with something more.
pub const ENVIRONMENTS: [&str; 3] = ["QA", "Staging", "Production"];
const MORE: &[Selector<OfResource>] = &[
    ("", |_| true),
    (" && resource.kind == \"server\"", |it| it.kind == "server"),
    (" && resource.metadata[\"zone\"] != \"us\"", |it| {
        it.metadata.get("zone").is_some_and(|zone| zone != "us")
    }),
];

pub fn environment_selector(name: &str, more: usize) -> String {
    let more = MORE[more % MORE.len()].0;
    format!("resource.metadata[\"env\"] == \"{name}\"{more}")
}

/// What progression waits for, by selector.
pub const UPSTREAM_SELECTORS: &[Selector<OfEnvironment>] = &[
    ("environment.metadata[\"tier\"] == \"test\"", |it| {
        says(&it.metadata, "tier", "test")
    }),
    ("environment.name != \"Production\"", |it| {
        it.name != "Production"
    }),
];

/// What deployments choose their agent by.
pub const AGENT_SELECTORS: &[Selector<OfAgent>] = &[
    ("jobAgent.name == \"runner\"", |it| it.name == "runner"),
    ("true", |_| true),
    ("jobAgent.name == \"second\"", |it| it.name == "second"),
];

/// The meaning of a text in a table.
pub fn meaning<T: Copy>(table: &[Selector<T>], text: &str) -> T {
    let found = table.iter().find(|(known, _)| *known == text);
    found
        .unwrap_or_else(|| panic!("`{text}` has no meaning here"))
        .1
}

pub fn takes(environment: &Environment, deployment: &Deployment, resource: &Resource) -> bool {
    let text = &environment.resource_selector;
    let of_name = |name: &&str| {
        let more = |(index, (_, holds)): (usize, &Selector<OfResource>)| {
            (*text == environment_selector(name, index))
                .then(|| says(&resource.metadata, "env", name) && holds(resource))
        };
        MORE.iter().enumerate().find_map(more)
    };
    let by_environment = ENVIRONMENTS.iter().find_map(of_name);
    by_environment.unwrap_or_else(|| panic!("`{text}` has no meaning here"))
        && meaning(DEPLOYMENT_SELECTORS, &deployment.resource_selector)(resource)
}
