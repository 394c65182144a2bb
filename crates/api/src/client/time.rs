//! Groups, rules set aside, freezes, windows, and what waits for a person.

use super::{ClientError, List, Workspace};
use crate::{
    CreatePolicySkip, Freeze, Group, Inbox, Lint, PolicySkip, ReasonQuery, UpsertFreeze,
    UpsertGroup, Windows, WindowsQuery,
};

type Answer<T> = Result<T, ClientError>;

/// Groups. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn groups(&self) -> List<Group> {
        self.list(["groups"])
    }

    pub async fn group(&self, id: &str) -> Answer<Group> {
        self.client.send(self.to_get(["groups", id])).await
    }

    pub async fn create_group(&self, body: &UpsertGroup) -> Answer<Group> {
        self.client.send(self.to_post(["groups"]).json(body)?).await
    }

    /// Sets name and members.
    pub async fn put_group(&self, id: &str, body: &UpsertGroup) -> Answer<Group> {
        let request = self.to_put(["groups", id]);
        self.client.send(request.json(body)?).await
    }

    pub async fn delete_group(&self, id: &str) -> Answer<()> {
        self.client.send_only(self.to_delete(["groups", id])).await
    }
}

/// Rules set aside, freezes and windows. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn policy_skips(&self) -> List<PolicySkip> {
        self.list(["policy-skips"])
    }

    pub async fn policy_skip(&self, id: &str) -> Answer<PolicySkip> {
        self.client.send(self.to_get(["policy-skips", id])).await
    }

    pub async fn create_policy_skip(&self, body: &CreatePolicySkip) -> Answer<PolicySkip> {
        let request = self.to_post(["policy-skips"]);
        self.client.send(request.json(body)?).await
    }

    pub async fn delete_policy_skip(&self, id: &str, why: &ReasonQuery) -> Answer<()> {
        let request = self.to_delete(["policy-skips", id]).params(why);
        self.client.send_only(request).await
    }

    #[must_use]
    pub fn freezes(&self) -> List<Freeze> {
        self.list(["freezes"])
    }

    pub async fn freeze(&self, id: &str) -> Answer<Freeze> {
        self.client.send(self.to_get(["freezes", id])).await
    }

    pub async fn create_freeze(&self, body: &UpsertFreeze) -> Answer<Freeze> {
        self.client
            .send(self.to_post(["freezes"]).json(body)?)
            .await
    }

    pub async fn put_freeze(&self, id: &str, body: &UpsertFreeze) -> Answer<Freeze> {
        let request = self.to_put(["freezes", id]);
        self.client.send(request.json(body)?).await
    }

    /// Ends it.
    pub async fn delete_freeze(&self, id: &str, why: &ReasonQuery) -> Answer<()> {
        let request = self.to_delete(["freezes", id]).params(why);
        self.client.send_only(request).await
    }

    /// The calendar of deployment windows.
    pub async fn windows(&self, query: &WindowsQuery) -> Answer<Windows> {
        let request = self.to_get(["windows"]).params(query);
        self.client.send(request).await
    }

    /// What is legal but unwise in the workspace's configuration.
    pub async fn lint(&self) -> Answer<Lint> {
        self.client.send(self.to_get(["lint"])).await
    }

    /// What waits for the owner of the key.
    pub async fn inbox(&self) -> Answer<Inbox> {
        self.client.send(self.to_get(["inbox"])).await
    }
}
