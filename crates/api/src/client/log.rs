//! The log as audit.

use super::{ClientError, Workspace};
use crate::{Audit, AuditQuery, AuditVerification};
use std::time::Duration;

/// Checking a log of many million entries reads them all.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(600);

/// The audit trail. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    /// One page of the entries that fit the query. The next one starts `after` its last entry.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Audit, ClientError> {
        self.client.send(self.to_get(["audit"]).params(query)).await
    }

    /// Has the server recompute the whole chain from its database.
    pub async fn verify_audit(&self) -> Result<AuditVerification, ClientError> {
        let request = self.to_get(["audit", "verify"]);
        self.client
            .send(request.timeout(Some(VERIFY_TIMEOUT)))
            .await
    }
}
