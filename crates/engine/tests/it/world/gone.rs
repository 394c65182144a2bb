//! What has left the engine's memory, as the archive has it.

use serde::de::DeserializeOwned;
use stagegate_engine::{Archived, Job, Release, Verification};
use stagegate_model::{JobId, ReleaseId, ReleaseStatus, VerificationId};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Gone {
    pub jobs: BTreeMap<JobId, Job>,
    pub releases: BTreeMap<ReleaseId, Release>,
    pub verifications: BTreeMap<VerificationId, Verification>,
}

fn read<T: DeserializeOwned>(body: String) -> T {
    serde_json::from_str(&body).expect("an archived body reads back")
}

impl Gone {
    pub fn take(&mut self, archived: Vec<Archived>) {
        for Archived { kind, id, body, .. } in archived {
            match kind {
                "job" => drop(self.jobs.insert(id.into(), read(body))),
                "release" => drop(self.releases.insert(id.into(), read(body))),
                "verification" => drop(self.verifications.insert(id.into(), read(body))),
                Archived::UNDONE => {
                    let release = self.releases.get_mut(&id.into());
                    let release = release.expect("only what has left is undone there");
                    assert_eq!(release.status, ReleaseStatus::Succeeded);
                    release.status = ReleaseStatus::RolledBack;
                }
                "promotion" => {}
                other => panic!("nothing is archived as {other}"),
            }
        }
    }
}
