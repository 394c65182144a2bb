//! Variables: what a deployment may be told that differs from place to place, and how resources are related.

use crate::{
    DeploymentId, Json, Metadata, RelationshipRuleId, Timestamp, VariableId, VariableSetId,
    VariableValueId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VariableValue {
    /// Itself.
    Literal(Json),
    /// What stands somewhere in a related resource.
    Reference(ResourceReference),
    /// A secret by its name; its value is known to whoever carries out the job, and to nobody else.
    Secret(String),
}

impl VariableValue {
    /// What a value means as the API and documents write it: `{"reference": …, "path": […]}` is a reference,
    /// `{"secret": NAME}` a secret, `{"object": {…}}` the object in it, and anything else itself.
    ///
    /// # Errors
    /// What is wrong with something that is meant to be a reference, a secret or an object, and how to mend it.
    pub fn read(json: &Json) -> Result<Self, (&'static str, &'static str)> {
        let Json::Object(fields) = json else {
            return match json {
                Json::Null => Err(("null is no value", "leave it out")),
                json => Ok(Self::Literal(json.clone())),
            };
        };
        let only = |key: &str| fields.get(key).filter(|_| fields.len() == 1);
        if fields.contains_key("reference") {
            let reference = fields.get("reference").and_then(Json::as_str);
            let path = fields.get("path").and_then(Json::as_array);
            let steps = path.and_then(|path| {
                let steps = path.iter().map(|step| step.as_str().map(str::to_owned));
                steps.collect::<Option<Vec<_>>>()
            });
            return match (reference, steps) {
                (Some(reference), Some(path)) if fields.len() == 2 => {
                    let reference = reference.to_owned();
                    Ok(Self::Reference(ResourceReference { reference, path }))
                }
                _ => Err((
                    "that is not a reference",
                    "write `{\"reference\": NAME, \"path\": [\"config\", …]}`, or `{\"object\": {…}}` around an object",
                )),
            };
        }
        if let Some(secret) = only("secret") {
            let name = secret.as_str().map(str::to_owned);
            return name.map(Self::Secret).ok_or((
                "the name of a secret is text",
                "write `{\"object\": {…}}` around an object that is no secret",
            ));
        }
        if fields.contains_key("valueHash") {
            return Err((
                "a secret is kept by its name, not by its hash",
                "write `{\"secret\": NAME}`; the secret itself stays with the runner",
            ));
        }
        Ok(Self::Literal(match only("object") {
            Some(object) if object.is_object() => object.clone(),
            _ => json.clone(),
        }))
    }

    /// The value as [`Self::read`] takes it.
    #[must_use]
    pub fn written(&self) -> Json {
        match self {
            Self::Literal(object) if object.is_object() => serde_json::json!({ "object": object }),
            Self::Literal(json) => json.clone(),
            Self::Reference(it) => {
                serde_json::json!({ "reference": it.reference, "path": it.path })
            }
            Self::Secret(name) => serde_json::json!({ "secret": name }),
        }
    }
}

/// A place in the resource to which a relationship leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceReference {
    /// [`RelationshipRule::reference`] of the rules that lead there.
    pub reference: String,
    /// `["config", "host"]`; the first is a field of resources.
    pub path: Vec<String>,
}

impl fmt::Display for ResourceReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)?;
        self.path.iter().try_for_each(|step| write!(f, ".{step}"))
    }
}

/// A key that a deployment declares, with the values that it may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVariable {
    pub id: VariableId,
    pub deployment: DeploymentId,
    /// Unique in the deployment.
    pub key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where nothing else sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<VariableValue>,
    /// Only for this deployment; the highest priority of those that take the target wins, then the lowest id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<DeploymentVariableValue>,
}

/// One value of a deployment's variable, for the resources that its selector takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentVariableValue {
    /// Unique in the workspace.
    pub id: VariableValueId,
    /// CEL over `resource environment deployment`; every target, when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_selector: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i64,
    pub value: VariableValue,
}

/// Values for many deployments. It declares nothing: a deployment takes from it only what it declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableSet {
    pub id: VariableSetId,
    /// Unique in the workspace, whatever the case of its letters.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// CEL over `resource environment deployment`.
    pub selector: String,
    /// The highest of those that take the target and set the key wins, then the lowest id.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i64,
    pub variables: BTreeMap<String, VariableValue>,
    pub created_at: Timestamp,
    /// Of the last change; `created_at` before the first.
    pub updated_at: Timestamp,
}

/// From which resources a reference leads to which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelationshipRule {
    pub id: RelationshipRuleId,
    /// Unique in the workspace, whatever the case of its letters.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What values call the resource it leads to; several rules may have one reference.
    pub reference: String,
    /// CEL over `from` and `to`, both resources.
    pub cel: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// The variables of a release, by key: fixed when it is created.
pub type Variables = BTreeMap<String, ResolvedVariable>;

/// What a variable came out as on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedVariable {
    pub value: ResolvedValue,
    pub source: VariableSource,
    /// What stood in the way of a value that would have come first; empty when nothing did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A value that needs no further looking up, a secret's name apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResolvedValue {
    Value(Json),
    Secret(String),
}

/// Where a resolved value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "from",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum VariableSource {
    /// The resource's own variable.
    Resource,
    /// A value of the deployment's variable.
    Deployment {
        value: VariableValueId,
        priority: i64,
    },
    /// A variable set; by the name it had.
    Set {
        set: VariableSetId,
        name: String,
        priority: i64,
    },
    Default,
}

impl fmt::Display for VariableSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource => f.write_str("resource"),
            Self::Deployment { value, priority } => write!(f, "value {value} priority {priority}"),
            Self::Set { name, .. } => write!(f, "set {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Whether two releases were told the same: where it came from does not matter.
#[must_use]
pub fn same_values(a: &Variables, b: &Variables) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((key, one), (other, two))| key == other && one.value == two.value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_resolved_reads_back_as_it_was() {
        for (value, source) in [
            (ResolvedValue::Value(json!(null)), VariableSource::Default),
            (
                ResolvedValue::Value(json!({ "a": [1] })),
                VariableSource::Resource,
            ),
            (
                ResolvedValue::Secret("DB".to_owned()),
                VariableSource::Deployment {
                    value: uuid::Uuid::from_u128(7).into(),
                    priority: -3,
                },
            ),
        ] {
            let resolved = ResolvedVariable {
                value,
                source,
                note: String::new(),
            };
            let text = serde_json::to_string(&resolved).unwrap();
            assert_eq!(
                serde_json::from_str::<ResolvedVariable>(&text).unwrap(),
                resolved
            );
        }
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        for json in [
            json!(3),
            json!("a"),
            json!([1, null]),
            json!({ "object": { "reference": 1 } }),
            json!({ "reference": "db", "path": ["config", "host"] }),
            json!({ "secret": "DB" }),
        ] {
            assert_eq!(VariableValue::read(&json).unwrap().written(), json);
        }
        let plain = VariableValue::read(&json!({ "a": 1 })).unwrap();
        assert_eq!(plain, VariableValue::Literal(json!({ "a": 1 })));
        for wrong in [
            json!(null),
            json!({ "reference": "db" }),
            json!({ "reference": "db", "path": "config" }),
            json!({ "reference": "db", "path": [], "more": 1 }),
            json!({ "secret": 1 }),
            json!({ "valueHash": "abc" }),
        ] {
            assert!(VariableValue::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_values_tell_releases_apart() {
        let of = |value: Json, source| {
            let value = ResolvedValue::Value(value);
            let note = String::new();
            let resolved = ResolvedVariable {
                value,
                source,
                note,
            };
            Variables::from([("a".to_owned(), resolved)])
        };
        let one = of(json!(1), VariableSource::Default);
        assert!(same_values(&one, &of(json!(1), VariableSource::Resource)));
        assert!(!same_values(&one, &of(json!(2), VariableSource::Default)));
        assert!(!same_values(&one, &Variables::new()));
    }
}
