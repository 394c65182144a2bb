//! The data and schema that the tests look at.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stagegate_expressions::{Object, Roots, Schema, Shape, View};

pub struct Resource {
    pub kind: String,
    pub metadata: BTreeMap<String, String>,
    pub config: Value,
    pub replicas: u64,
    pub created_ms: i64,
}

struct Labels<'a>(&'a BTreeMap<String, String>);

impl Object for Labels<'_> {
    fn get(&self, key: &str) -> Option<View<'_>> {
        self.0.get(key).map(|value| View::Str(value))
    }

    fn keys(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Owns what a view borrows.
pub struct Seen<'a> {
    resource: &'a Resource,
    labels: Labels<'a>,
}

impl Object for Seen<'_> {
    fn get(&self, key: &str) -> Option<View<'_>> {
        Some(match key {
            "kind" => View::Str(&self.resource.kind),
            "name" => View::OwnedStr(format!("{}-1", self.resource.kind)),
            "metadata" => View::Object(&self.labels),
            "config" => View::Json(&self.resource.config),
            "replicas" => View::UInt(self.resource.replicas),
            "createdAt" => View::TimestampMillis(self.resource.created_ms),
            "provider" => View::Null,
            _ => return None,
        })
    }

    fn keys(&self) -> Vec<String> {
        [
            "config",
            "createdAt",
            "kind",
            "metadata",
            "name",
            "provider",
            "replicas",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

pub fn resource() -> Resource {
    Resource {
        kind: "kubernetes".to_owned(),
        metadata: BTreeMap::from([
            ("env".to_owned(), "prod".to_owned()),
            ("app/name".to_owned(), "shop".to_owned()),
        ]),
        config: json!({
            "host": "db.example", "port": 5432, "ratio": 0.5, "tls": true, "none": null,
            "zones": ["a", "b", "c"], "big": u64::MAX,
            "nested": {"one": {"two": "deep"}},
        }),
        replicas: 3,
        // 2026-01-31T12:00:00Z
        created_ms: 1_769_860_800_000,
    }
}

pub fn seen(resource: &Resource) -> Seen<'_> {
    Seen {
        resource,
        labels: Labels(&resource.metadata),
    }
}

pub fn schema() -> Schema {
    Schema {
        roots: vec![
            (
                "resource",
                Shape::Fields(&[
                    ("kind", Shape::Scalar),
                    ("name", Shape::Scalar),
                    ("metadata", Shape::Map),
                    ("config", Shape::Any),
                    ("replicas", Shape::Scalar),
                    ("createdAt", Shape::Scalar),
                    ("provider", Shape::Any),
                ]),
            ),
            ("result", Shape::Any),
            ("version", Shape::Any),
        ],
    }
}

/// Runs a test over the resource above and a `result`; `version` is known to the schema but not given.
pub fn with_roots<T>(result: &Value, test: impl FnOnce(&Roots<'_>) -> T) -> T {
    let resource = resource();
    let seen = seen(&resource);
    test(
        &Roots::new()
            .with("resource", View::Object(&seen))
            .with("result", View::Json(result)),
    )
}
