//! Versions on their way: versions, votes, promotions, targets, verifications, and the questions about them.

use super::{ClientError, List, Workspace};
use crate::{
    Accepted, CastVotes, ChangedVersion, CreateVersion, DecideVerification, DeploymentVersion,
    DeploymentVersionDependency, DeploymentVersionWithDependencies, Forecast, ForecastQuery,
    JobWhy, Page, Promotion, PromotionDetail, PromotionQuery, PromotionsQuery, Release,
    ReleaseTarget, ReleaseTargetStateQuery, ReleaseTargetStateResponse, ReleaseTargetWithState,
    RerunVerification, Status, UpdateVersion, Verification, VersionDependency, Why, WhyChain,
    WhyChainQuery, WhyQuery,
};
use reqwest::Method;

type Answer<T> = Result<T, ClientError>;

/// Versions and votes. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    /// The deployment's versions, newest first.
    #[must_use]
    pub fn versions(&self, deployment: &str) -> List<DeploymentVersionWithDependencies> {
        self.list(["deployments", deployment, "versions"])
    }

    /// Sending the same content again gives the version that is there.
    pub async fn create_version(
        &self,
        deployment: &str,
        body: &CreateVersion,
    ) -> Answer<DeploymentVersion> {
        let request = self.to_post(["deployments", deployment, "versions"]);
        self.client.send(request.json(body)?).await
    }

    /// What a version needs on the resource of each target.
    pub async fn version_dependencies(&self, id: &str) -> Answer<Vec<DeploymentVersionDependency>> {
        let request = self.to_get(["deployment-versions", id, "dependencies"]);
        self.client.send(request).await
    }

    /// Sets what a version needs of one deployment.
    pub async fn put_version_dependency(
        &self,
        id: &str,
        deployment: &str,
        body: &VersionDependency,
    ) -> Answer<Accepted> {
        let request = self.to_put(["deployment-versions", id, "dependencies", deployment]);
        self.client.send(request.json(body)?).await
    }

    /// Takes a dependency out of a version.
    pub async fn delete_version_dependency(&self, id: &str, deployment: &str) -> Answer<Accepted> {
        let path = ["deployment-versions", id, "dependencies", deployment];
        self.client.send(self.to_delete(path)).await
    }

    /// Says also how many targets go back when that rejects the version.
    pub async fn update_version(&self, id: &str, body: &UpdateVersion) -> Answer<ChangedVersion> {
        let request = self.to(Method::PATCH, ["deploymentversions", id]);
        self.client.send(request.json(body)?).await
    }

    /// Votes as the key's owner, in all of the environments or in none.
    pub async fn vote(&self, version: &str, body: &CastVotes) -> Answer<Accepted> {
        let request = self.to_put(["deployment-versions", version, "user-approval-records"]);
        self.client.send(request.json(body)?).await
    }
}

/// Promotions and the questions about them. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    /// One page, as the query says.
    pub async fn promotions(&self, query: &PromotionsQuery) -> Answer<Page<Promotion>> {
        let request = self.to_get(["promotions"]).params(query);
        self.client.send(request).await
    }

    /// All that fit the query, page by page; its limit and offset do not matter.
    #[must_use]
    pub fn all_promotions(&self, query: &PromotionsQuery) -> List<Promotion> {
        List::new(
            self.client.clone(),
            self.to_get(["promotions"]).params(query),
        )
    }

    pub async fn promotion(&self, id: &str) -> Answer<PromotionDetail> {
        self.promotion_page(id, &PromotionQuery::default()).await
    }

    /// [`Self::promotion`] with another page of its jobs.
    pub async fn promotion_page(
        &self,
        id: &str,
        query: &PromotionQuery,
    ) -> Answer<PromotionDetail> {
        let request = self.to_get(["promotions", id]).params(query);
        self.client.send(request).await
    }

    /// Why a version is, or is not, in an environment, and when it will be.
    pub async fn why(&self, query: &WhyQuery) -> Answer<Why> {
        self.client.send(self.to_get(["why"]).params(query)).await
    }

    /// The same for every environment of the version's deployment, with who waits for whom.
    pub async fn why_chain(&self, query: &WhyChainQuery) -> Answer<WhyChain> {
        let request = self.to_get(["why", "chain"]).params(query);
        self.client.send(request).await
    }

    /// Why a job was started, whenever that was.
    pub async fn job_why(&self, job: &str) -> Answer<JobWhy> {
        self.client.send(self.to_get(["jobs", job, "why"])).await
    }

    /// When a version will be where, if approvals and jobs take their usual time.
    pub async fn forecast(&self, query: &ForecastQuery) -> Answer<Forecast> {
        let request = self.to_get(["forecast"]).params(query);
        self.client.send(request).await
    }

    /// What runs where; of one deployment (slug or id) or of all.
    pub async fn status(&self, deployment: Option<&str>) -> Answer<Status> {
        let mut request = self.to_get(["status"]);
        if let Some(deployment) = deployment {
            request = request.param("deployment", deployment);
        }
        self.client.send(request).await
    }
}

/// Targets, releases and verifications. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    pub async fn target_states(
        &self,
        query: &ReleaseTargetStateQuery,
        limit: usize,
        offset: usize,
    ) -> Answer<Page<ReleaseTargetWithState>> {
        let request = self.to_post(["release-targets", "state"]);
        let request = request.param("limit", limit).param("offset", offset);
        self.client.send(request.json(query)?).await
    }

    pub async fn target_state(&self, target: &ReleaseTarget) -> Answer<ReleaseTargetStateResponse> {
        let request = self.to_get(["release-targets", &target.to_string(), "state"]);
        self.client.send(request).await
    }

    pub async fn release(&self, id: &str) -> Answer<Release> {
        self.client.send(self.to_get(["releases", id])).await
    }

    pub async fn verification(&self, id: &str) -> Answer<Verification> {
        self.client.send(self.to_get(["verifications", id])).await
    }

    /// Decides where measurements could not.
    pub async fn decide_verification(
        &self,
        id: &str,
        body: &DecideVerification,
    ) -> Answer<Verification> {
        let request = self.to_post(["verifications", id, "decide"]);
        self.client.send(request.json(body)?).await
    }

    /// Measures again; gives the new verification.
    pub async fn rerun_verification(
        &self,
        id: &str,
        body: &RerunVerification,
    ) -> Answer<Verification> {
        let request = self.to_post(["verifications", id, "rerun"]);
        self.client.send(request.json(body)?).await
    }
}
