//! Orders outside the ordinary course, and the lists of releases that show what came of them.

use super::{ClientError, List, Workspace};
use crate::{
    BreakGlass, ClearQuarantine, OrderReport, OrderTargets, Page, Promotion, PromotionAct,
    Quarantine, ReleaseDiff, ReleaseRecord, ReleaseTarget, ReleasesQuery, Rollback,
};

type Answer<T> = Result<T, ClientError>;

/// Orders for targets. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    /// The same version once more; every gate is asked.
    pub async fn redeploy(&self, body: &OrderTargets) -> Answer<OrderReport> {
        let request = self.to_post(["release-targets", "redeploy"]);
        self.client.send(request.json(body)?).await
    }

    /// Back to an earlier release, past approvals, windows and queues.
    pub async fn roll_back(&self, body: &Rollback) -> Answer<OrderReport> {
        let request = self.to_post(["release-targets", "rollback"]);
        self.client.send(request.json(body)?).await
    }

    /// Targets that were rolled back take part in automatic deployments again.
    pub async fn release_hold(&self, body: &OrderTargets) -> Answer<OrderReport> {
        let request = self.to_post(["release-targets", "release-hold"]);
        self.client.send(request.json(body)?).await
    }

    /// A version past every gate but one active job on each target.
    pub async fn break_glass(&self, body: &BreakGlass) -> Answer<OrderReport> {
        let request = self.to_post(["release-targets", "break-glass"]);
        self.client.send(request.json(body)?).await
    }

    /// Which targets rejecting a version would roll back.
    pub async fn rejection_preview(&self, version: &str) -> Answer<OrderReport> {
        let request = self.to_get(["deployment-versions", version, "rejection"]);
        self.client.send(request).await
    }

    /// What is quarantined where.
    #[must_use]
    pub fn quarantine(&self) -> List<Quarantine> {
        self.list(["quarantine"])
    }

    pub async fn clear_quarantine(&self, body: &ClearQuarantine) -> Answer<crate::Accepted> {
        let request = self.to_post(["quarantine", "clear"]);
        self.client.send(request.json(body)?).await
    }

    /// Nothing starts for the promotion any more.
    pub async fn cancel_promotion(&self, id: &str, body: &PromotionAct) -> Answer<Promotion> {
        self.promotion_act(id, "cancel", body).await
    }

    /// Lets a promotion that was cancelled go on, as a new attempt; gives that.
    pub async fn reopen_promotion(&self, id: &str, body: &PromotionAct) -> Answer<Promotion> {
        self.promotion_act(id, "reopen", body).await
    }

    /// No further target starts until it is resumed.
    pub async fn pause_promotion(&self, id: &str, body: &PromotionAct) -> Answer<Promotion> {
        self.promotion_act(id, "pause", body).await
    }

    pub async fn resume_promotion(&self, id: &str, body: &PromotionAct) -> Answer<Promotion> {
        self.promotion_act(id, "resume", body).await
    }

    async fn promotion_act(&self, id: &str, act: &str, body: &PromotionAct) -> Answer<Promotion> {
        let request = self.to_post(["promotions", id, act]);
        self.client.send(request.json(body)?).await
    }
}

/// Releases, newest first. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    /// One page of a target's releases.
    pub async fn target_releases(
        &self,
        target: &ReleaseTarget,
        limit: usize,
        offset: usize,
    ) -> Answer<Page<ReleaseRecord>> {
        let request = self.to_get(["release-targets", &target.to_string(), "releases"]);
        let request = request.param("limit", limit).param("offset", offset);
        self.client.send(request).await
    }

    /// One page of a deployment's releases, as the query says.
    pub async fn deployment_releases(
        &self,
        deployment: &str,
        query: &ReleasesQuery,
    ) -> Answer<Page<ReleaseRecord>> {
        let request = self.to_get(["deployments", deployment, "releases"]);
        self.client.send(request.params(query)).await
    }

    /// A release beside the one before it on its target.
    pub async fn release_diff(&self, id: &str) -> Answer<ReleaseDiff> {
        let request = self.to_get(["releases", id, "diff"]);
        self.client.send(request).await
    }
}
