//! Groups of persons, named together as approvers.

use serde::{Deserialize, Serialize};

/// Persons who are named together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub id: String,
    pub name: String,
    pub members: Vec<Member>,
}

/// A person, named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub id: String,
    /// `user ID` for who was erased.
    pub name: String,
}

/// The body of `POST …/groups` and `PUT …/groups/{groupId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertGroup {
    pub name: String,
    /// Users by name or id; all of them, as those who are left out leave.
    pub members: Vec<String>,
}
