//! Policies and their rules. A rule's spec is kept as JSON: this crate never changes for a new kind.

use crate::{Json, Metadata};
use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A selector over targets and versions, and the rules that must pass there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub id: String,
    pub workspace_id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub enabled: bool,
    pub priority: i64,
    /// CEL over `environment`, `deployment`, `system`, `resource` and `version`.
    pub selector: String,
    pub rules: Vec<PolicyRule>,
    pub metadata: Metadata,
    pub created_at: String,
    /// Ours: names of policies that do not apply where this one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Vec<String>>,
}

/// The body of `POST …/policies` and `PUT …/policies/{policyId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertPolicy {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// True when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// `true` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    #[serde(default, deserialize_with = "crate::null::as_default")]
    pub rules: Vec<UpsertPolicyRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Ours: names of policies that do not apply where this one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Vec<String>>,
}

/// One rule: `{id, createdAt, policyId, <kind>: {…}}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyRule {
    pub id: String,
    pub created_at: String,
    pub policy_id: String,
    /// The member that holds the spec: `anyApproval`, `retry`, …
    pub kind: String,
    pub spec: Json,
}

/// A rule as it is sent; the id is kept when it is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpsertPolicyRule {
    pub id: Option<String>,
    pub created_at: Option<String>,
    pub policy_id: Option<String>,
    pub kind: String,
    pub spec: Json,
}

impl Serialize for PolicyRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("createdAt", &self.created_at)?;
        map.serialize_entry("policyId", &self.policy_id)?;
        map.serialize_entry(&self.kind, &self.spec)?;
        map.end()
    }
}

impl Serialize for UpsertPolicyRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let known = [
            ("id", &self.id),
            ("createdAt", &self.created_at),
            ("policyId", &self.policy_id),
        ];
        for (member, value) in known {
            if let Some(value) = value {
                map.serialize_entry(member, value)?;
            }
        }
        map.serialize_entry(&self.kind, &self.spec)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for UpsertPolicyRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = crate::JsonMap::deserialize(deserializer)?;
        let mut text = |member: &str| match members.remove(member) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(D::Error::custom(format!(
                "`{member}` of a rule is text, not `{other}`"
            ))),
        };
        let (id, created_at, policy_id) = (text("id")?, text("createdAt")?, text("policyId")?);
        // Clients with optional members for every kind send `null` for those that are not meant.
        let mut kinds = members.into_iter().filter(|(_, spec)| !spec.is_null());
        let Some((kind, spec)) = kinds.next() else {
            return Err(D::Error::custom(
                "a rule needs one member that names its kind, such as `anyApproval`",
            ));
        };
        if let Some((second, _)) = kinds.next() {
            return Err(D::Error::custom(format!(
                "a rule has one kind; this one has `{kind}` and `{second}`: make them two rules"
            )));
        }
        Ok(Self {
            id,
            created_at,
            policy_id,
            kind,
            spec,
        })
    }
}

impl<'de> Deserialize<'de> for PolicyRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rule = UpsertPolicyRule::deserialize(deserializer)?;
        let needed = |value: Option<String>, member| {
            value.ok_or_else(|| D::Error::custom(format!("a rule has no `{member}`")))
        };
        Ok(Self {
            id: needed(rule.id, "id")?,
            created_at: needed(rule.created_at, "createdAt")?,
            policy_id: needed(rule.policy_id, "policyId")?,
            kind: rule.kind,
            spec: rule.spec,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_has_exactly_one_kind() {
        let rule =
            json!({"id": "r", "createdAt": "t", "policyId": "p", "retry": {"maxRetries": 2}});
        let read: PolicyRule = serde_json::from_value(rule.clone()).unwrap();
        assert_eq!(
            (read.kind.as_str(), &read.spec),
            ("retry", &json!({"maxRetries": 2}))
        );
        assert_eq!(serde_json::to_value(&read).unwrap(), rule);

        let refused = |value| {
            serde_json::from_value::<UpsertPolicyRule>(value)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(json!({"retry": {}, "anyApproval": {}})).contains("two rules"));
        assert!(refused(json!({"id": "r"})).contains("names its kind"));
        assert!(refused(json!({"id": 7, "retry": {}})).contains("`id` of a rule is text"));
    }

    #[test]
    fn members_of_other_kinds_may_be_null() {
        let read: UpsertPolicyRule =
            serde_json::from_value(json!({"retry": null, "anyApproval": {"minApprovals": 1}}))
                .unwrap();
        assert_eq!(read.kind, "anyApproval");
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            json!({"anyApproval": {"minApprovals": 1}})
        );
    }
}
