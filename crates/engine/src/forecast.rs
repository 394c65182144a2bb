//! When a version will be where, if approvals and jobs take their usual time: a copy of the state is driven forward
//! under a clock of its own. Windows, soaks, rollouts, cooldowns and freezes come out of the engine as they would.

mod drive;
mod history;

pub use history::{Assumption, Given, History, Source, Subject};

use crate::engine::Engine;
use crate::explain::{Need, NeedKind, Shown, TargetState};
use crate::state::LaneKey;
use drive::Drive;
use stagegate_model::{DeploymentId, EnvironmentId, Timestamp, VersionId};
use std::collections::{BTreeMap, BTreeSet};

/// How far a forecast looks, in days.
pub const HORIZON_DAYS: i64 = 90;
/// How many steps a forecast takes at most.
pub const STEPS_MAX: usize = 5_000;

/// When a version will be where, and what that goes by.
#[derive(Clone, Debug)]
pub struct Forecast {
    pub deployment: DeploymentId,
    pub version: VersionId,
    /// The moment it looks from.
    pub from: Timestamp,
    /// In the order in which one environment waits for another.
    pub environments: Vec<Expected>,
    /// Every length of time that was asked for, known or not.
    pub assumptions: Vec<Assumption>,
}

/// When a version will be in an environment.
#[derive(Clone, Debug)]
pub struct Expected {
    pub environment: EnvironmentId,
    /// How many targets there are.
    pub targets: usize,
    /// How many of them have it when the forecast ends.
    pub reached: usize,
    /// When the first target has it, and when all have; the moment it looks from, where they do already.
    pub first: Option<Timestamp>,
    pub all: Option<Timestamp>,
    pub outcome: Outcome,
    /// Why it does not get everywhere; empty where it does.
    pub because: String,
}

/// What becomes of a version in an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is on all targets.
    There,
    /// It will be on all targets.
    Expected,
    /// Something it waits for takes a time that nothing is known of.
    Unknown,
    /// It is still on its way when the forecast ends.
    Beyond,
    /// Time brings it no further: someone has to do something.
    Never,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Expected => "expected",
            Self::Unknown => "unknown",
            Self::Beyond => "beyond",
            Self::Never => "never",
        }
    }
}

impl Engine {
    /// When a version will be where, from `now` on; `None` when it is gone. Takes the engine, since it changes it: give
    /// it a copy.
    #[must_use]
    pub fn forecast(
        self,
        version: VersionId,
        history: &History,
        given: Given,
        now: Timestamp,
    ) -> Option<Forecast> {
        let now = now.max(self.state.head.time);
        let deployment = self.state.versions.get(&version)?.deployment;
        let mut drive = Drive::new(self, deployment, version, history, given, now);
        drive.settle();
        let lanes = drive.lanes();
        let mut seen: BTreeMap<LaneKey, Seen> = BTreeMap::new();
        loop {
            let mut all_there = true;
            for lane in &lanes {
                let seen = seen.entry(*lane).or_default();
                seen.look(&drive, *lane);
                all_there &= seen.all.is_some();
            }
            if all_there || !drive.step() {
                break;
            }
        }
        Some(Forecast {
            deployment,
            version,
            from: now,
            environments: told(&drive, now, &seen),
            assumptions: drive.assumptions(),
        })
    }
}

/// What was seen of a lane so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    targets: usize,
    reached: usize,
    first: Option<Timestamp>,
    all: Option<Timestamp>,
}

impl Seen {
    fn look(&mut self, drive: &Drive<'_>, lane: LaneKey) {
        (self.reached, self.targets) = drive.reached(lane);
        if self.reached > 0 {
            self.first = self.first.or(Some(drive.now));
        }
        if self.reached == self.targets && self.targets > 0 {
            self.all = self.all.or(Some(drive.now));
        }
    }
}

fn told(drive: &Drive<'_>, from: Timestamp, seen: &BTreeMap<LaneKey, Seen>) -> Vec<Expected> {
    let Some(chain) = drive.engine.chain(drive.version, Shown::NONE, drive.now) else {
        return Vec::new();
    };
    let open = drive.open();
    let mut behind: BTreeMap<EnvironmentId, BTreeSet<EnvironmentId>> = BTreeMap::new();
    let mut never: BTreeSet<EnvironmentId> = BTreeSet::new();
    let mut expected = Vec::new();
    for link in &chain.links {
        let lane = link.explanation.lane;
        let environment = lane.environment;
        // Whatever holds up what it waits for holds it up too; that stands before it.
        let mut all: BTreeSet<EnvironmentId> = BTreeSet::from([environment]);
        for need in link.needs.iter().flat_map(|need| &need.environments) {
            all.insert(*need);
            all.extend(behind.get(need).into_iter().flatten());
        }
        let unknown: Vec<&Subject> = open
            .iter()
            .filter(|subject| all.contains(&subject.environment()))
            .collect();
        // What time does not bring is not waited for, whatever else is not known.
        let given_up = |need: &Need| match need.kind {
            NeedKind::Change => true,
            NeedKind::Approval => !drive.unapproved(&BTreeSet::from([environment])).is_empty(),
            NeedKind::Environment => {
                let mut alternatives = need.environments.iter();
                alternatives.all(|id| never.contains(id))
            }
            NeedKind::Time | NeedKind::Event => false,
        };
        let given_up = link.needs.iter().any(given_up);
        let unapproved = drive.unapproved(&all);
        behind.insert(environment, all);
        let seen = seen.get(&lane).copied().unwrap_or_default();
        let tally = &link.explanation.tally;
        let passed = tally.of(TargetState::Newer);
        let (outcome, because) = match seen.all {
            Some(at) if at <= from => (Outcome::There, String::new()),
            Some(_) => (Outcome::Expected, String::new()),
            None if passed > 0 && passed == tally.total() => {
                (Outcome::Never, link.explanation.summary.clone())
            }
            None if !given_up && !unknown.is_empty() => {
                let missing: Vec<String> = unknown.iter().map(|it| drive.unknown(it)).collect();
                (Outcome::Unknown, missing.join("; "))
            }
            None if drive.is_cut && !given_up => (Outcome::Beyond, link.story.clone()),
            None => (Outcome::Never, format!("{}{unapproved}", link.story)),
        };
        if outcome == Outcome::Never {
            never.insert(environment);
        }
        expected.push(Expected {
            environment,
            targets: seen.targets.max(tally.total()),
            reached: seen.reached,
            first: seen.first,
            all: seen.all,
            outcome,
            because,
        });
    }
    expected
}
