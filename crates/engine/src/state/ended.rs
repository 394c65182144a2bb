//! What has succeeded and leaves memory: what is kept of it, and how it is found again.

use super::{Ended, Release, State, TargetView};
use serde::{Deserialize, Serialize};
use stagegate_model::{
    JobId, PromotionId, ReleaseId, ReleaseStatus, StartKind, TargetKey, Timestamp, Variables,
    VersionId,
};

/// What decisions ask of a target's release, whether it is in memory or has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brief {
    pub id: ReleaseId,
    pub number: u64,
    pub version: VersionId,
    pub promotion: PromotionId,
    /// Its latest job.
    pub job: JobId,
    pub kind: StartKind,
    pub status: ReleaseStatus,
    /// When it ended; before that, when it was created.
    pub at: Timestamp,
    /// Of what its variables and its job's configuration came out as; `None` while both are in memory.
    pub fingerprint: Option<u64>,
    /// Whether it had variables.
    pub variables: bool,
}

impl From<&Release> for Brief {
    fn from(release: &Release) -> Self {
        Self {
            id: release.id,
            number: release.number,
            version: release.version,
            promotion: release.promotion,
            job: release.job,
            kind: release.kind,
            status: release.status,
            at: release.ended_at.unwrap_or(release.created_at),
            fingerprint: None,
            variables: !release.variables.is_empty(),
        }
    }
}

/// What is kept of a target's current release once it has left memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub number: u64,
    pub version: VersionId,
    pub promotion: PromotionId,
    pub job: JobId,
    pub kind: StartKind,
    pub ended_at: Timestamp,
    /// It was rolled back since.
    pub undone: bool,
    pub variables: bool,
    pub fingerprint: u64,
}

impl Kept {
    /// What decisions ask of it.
    pub fn brief(&self, id: ReleaseId) -> Brief {
        Brief {
            id,
            number: self.number,
            version: self.version,
            promotion: self.promotion,
            job: self.job,
            kind: self.kind,
            status: match self.undone {
                true => ReleaseStatus::RolledBack,
                false => ReleaseStatus::Succeeded,
            },
            at: self.ended_at,
            fingerprint: Some(self.fingerprint),
            variables: self.variables,
        }
    }
}

impl State {
    /// One of a target's releases that something may still be asked of: its latest or its current.
    #[must_use]
    pub fn brief(&self, target: TargetView<'_>, id: ReleaseId) -> Option<Brief> {
        match self.releases.get(&id) {
            Some(release) => Some(Brief::from(&**release)),
            None => target.left().filter(|left| left.id == id),
        }
    }

    /// What a target was last given.
    #[must_use]
    pub fn latest(&self, target: TargetView<'_>) -> Option<Brief> {
        self.brief(target, target.latest()?)
    }

    /// What last succeeded on a target.
    #[must_use]
    pub fn current(&self, target: TargetView<'_>) -> Option<Brief> {
        self.brief(target, target.current()?)
    }

    /// The current releases of targets that have left memory.
    pub(crate) fn left(&self) -> impl Iterator<Item = Brief> {
        let targets = self.lanes.values().flat_map(|lane| lane.targets.values());
        targets.filter_map(|target| target.left())
    }

    /// Lets what succeeded in entries before this one leave memory. It stays for the entry in which it succeeded, so that
    /// whoever looks at what an entry did finds it.
    pub(crate) fn retire(&mut self) {
        let seq = self.head.seq;
        while let Some((_, id)) = self.succeeded.pop_front_if(|(at, _)| *at < seq) {
            self.let_go(id);
        }
    }

    /// Takes a release that succeeded out of memory. Where its deployment redeploys when its configuration changes, that
    /// is compared again and again, so it stays until the next.
    fn let_go(&mut self, id: ReleaseId) {
        let Some(release) = self.releases.get(&id) else {
            return;
        };
        let key = release.target;
        let compared = self
            .deployments
            .get(&key.deployment)
            .is_some_and(|it| it.redeploy_on_variable_change);
        let config = self.jobs.get(&release.job).map(|job| job.config.text());
        let (false, Some(config)) = (compared, config) else {
            return;
        };
        let kept = Kept {
            number: release.number,
            version: release.version,
            promotion: release.promotion,
            job: release.job,
            kind: release.kind,
            ended_at: release.ended_at.unwrap_or(release.created_at),
            undone: release.status == ReleaseStatus::RolledBack,
            variables: !release.variables.is_empty(),
            fingerprint: fingerprint(&release.variables, config),
        };
        let lane = self.lanes.get_mut(&key.into());
        let known = lane.and_then(|lane| {
            lane.change(key.resource, |target| {
                let current = target.current == Some(id);
                if current {
                    target.kept = Some(Box::new(kept));
                }
                current
            })
        });
        if known == Some(true) {
            self.archive_release(id);
        }
    }

    /// Says of a release that has left memory that it was rolled back: the archive's copy of it is as it was.
    pub(crate) fn undo_left(&mut self, key: TargetKey, left: Brief) {
        if let Some(lane) = self.lanes.get_mut(&key.into()) {
            lane.change(key.resource, |target| {
                if let Some(kept) = &mut target.kept {
                    kept.undone = true;
                }
            });
        }
        self.archive.push(Ended::Undone(left.id));
    }
}

/// Tells what a job was made of from what another is made of (FNV-1a, 64 bits).
pub(crate) fn fingerprint(variables: &Variables, config: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        // No text holds this byte: where one ends is part of what is told.
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for (key, resolved) in variables {
        take(key.as_bytes());
        // What cannot be written as JSON equals nothing else that cannot, which orders nothing.
        take(
            serde_json::to_string(&resolved.value)
                .unwrap_or_default()
                .as_bytes(),
        );
    }
    take(config.as_bytes());
    hash
}
