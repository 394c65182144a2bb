//! Whether what was expected holds, and if not, what is the case instead.

mod departures;
mod gates;
mod runs;
mod standing;
mod variables;

use crate::format::{ExpectKind, Expectation};
use crate::reader::{Moment, spelled};
use crate::world::World;
use stagegate_engine::LaneKey;
use stagegate_model::{DeploymentId, Timestamp, VersionId};

/// What was expected and is not so.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub expected: String,
    pub got: String,
    /// Which `why` explains it best; the newest version everywhere when nothing narrower is known.
    pub about: About,
}

/// What an expectation is about, as far as it says so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    pub deployment: Option<DeploymentId>,
    pub lane: Option<LaneKey>,
    pub version: Option<VersionId>,
}

/// Judges one expectation.
///
/// # Errors
/// What is the case instead, or why it cannot be judged.
pub(crate) fn check(world: &World, expectation: &Expectation) -> Result<(), Mismatch> {
    let deployment = expectation.deployment.as_deref();
    let about = About {
        deployment: world.deployment(deployment).ok(),
        ..About::default()
    };
    let judged = match &expectation.kind {
        ExpectKind::Standing {
            released,
            place,
            wanted,
        } => standing::standing(world, deployment, *released, place, wanted),
        ExpectKind::Targets {
            environment,
            wanted,
        } => standing::targets(world, deployment, environment, wanted),
        ExpectKind::Version { tag, status } => standing::version(world, deployment, tag, *status),
        ExpectKind::Jobs { place, wanted } => runs::jobs(world, deployment, place, wanted),
        ExpectKind::NoJobs(filter) => runs::no_jobs(world, deployment, filter),
        ExpectKind::Promotion(expect) => runs::promotion(world, deployment, expect),
        ExpectKind::Verification(expect) => runs::verification(world, deployment, expect),
        ExpectKind::Gate(expect) => gates::gate(world, deployment, expect),
        ExpectKind::Departure(expect) => departures::departure(world, deployment, expect),
        ExpectKind::Why(expect) => gates::why(world, deployment, expect),
        ExpectKind::NextWake(wanted) => next_wake(world, *wanted),
        ExpectKind::Facts(wanted) => facts(world, wanted),
    };
    judged.map_err(|mut mismatch| {
        mismatch.about.deployment = mismatch.about.deployment.or(about.deployment);
        mismatch
    })
}

fn mismatch<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch {
        expected: expected.into(),
        got: got.into(),
        about: About::default(),
    })
}

impl Mismatch {
    fn about(mut self, lane: Option<LaneKey>, version: Option<VersionId>) -> Self {
        self.about.lane = self.about.lane.or(lane);
        self.about.version = self.about.version.or(version);
        self
    }
}

/// The expectation names something that does not exist.
fn unknown(what: &str, message: String) -> Mismatch {
    Mismatch {
        expected: what.to_owned(),
        got: message,
        about: About::default(),
    }
}

/// A time since the start, as steps write it.
fn when(world: &World, at: Timestamp) -> String {
    spelled(at.millis_since(world.start))
}

fn when_or_none(world: &World, at: Option<Timestamp>) -> String {
    at.map_or_else(|| "none".to_owned(), |at| when(world, at))
}

fn moment_or_none(world: &World, wanted: Option<Moment>) -> Option<Timestamp> {
    wanted.map(|moment| moment.after(world.start))
}

fn next_wake(world: &World, wanted: Option<Moment>) -> Result<(), Mismatch> {
    let wanted = moment_or_none(world, wanted);
    let got = world.engine.next_wake();
    if got == wanted {
        return Ok(());
    }
    mismatch(
        format!("nextWake: {}", when_or_none(world, wanted)),
        format!("nextWake: {}", when_or_none(world, got)),
    )
}

fn facts(world: &World, wanted: &[String]) -> Result<(), Mismatch> {
    let mut got: Vec<String> = Vec::new();
    for fact in &world.step_facts {
        let kind = crate::world::words::kind(fact);
        if !got.contains(&kind) {
            got.push(kind);
        }
    }
    let fits = match wanted.is_empty() {
        true => got.is_empty(),
        false => wanted.iter().all(|kind| got.contains(kind)),
    };
    if fits {
        return Ok(());
    }
    let list = |kinds: &[String]| match kinds {
        [] => "none".to_owned(),
        kinds => kinds.join(", "),
    };
    mismatch(
        format!("facts: {}", list(wanted)),
        format!("facts: {}", list(&got)),
    )
}

/// Collects what differs between what was expected of one thing and what is the case.
#[derive(Default)]
struct Comparison {
    expected: Vec<String>,
    got: Vec<String>,
}

impl Comparison {
    /// Compares, if something was expected.
    fn equal<T: PartialEq>(
        &mut self,
        name: &str,
        wanted: Option<T>,
        got: T,
        shown: impl Fn(&T) -> String,
    ) {
        if let Some(wanted) = wanted
            && wanted != got
        {
            self.differs(name, &shown(&wanted), &shown(&got));
        }
    }

    /// The text must hold what was expected, whatever the case of its letters.
    fn contains(&mut self, name: &str, wanted: Option<&String>, got: &str) {
        if let Some(wanted) = wanted
            && !got.to_lowercase().contains(&wanted.to_lowercase())
        {
            self.differs(name, &format!("… {wanted} …"), &format!("`{got}`"));
        }
    }

    fn differs(&mut self, name: &str, wanted: &str, got: &str) {
        self.expected.push(format!("{name}: {wanted}"));
        self.got.push(format!("{name}: {got}"));
    }

    /// `what` names the thing; `rest` says how it stands besides.
    fn judge(self, what: &str, rest: &str) -> Result<(), Mismatch> {
        if self.expected.is_empty() {
            return Ok(());
        }
        let rest = match rest {
            "" => String::new(),
            rest => format!(" ({rest})"),
        };
        mismatch(
            format!("{what}: {}", self.expected.join(", ")),
            format!("{}{rest}", self.got.join(", ")),
        )
    }
}

/// `Production` or `Production/production-1`; a slash in the environment's own name is taken for it first.
fn split_place<'p>(world: &World, place: &'p str) -> (&'p str, Option<&'p str>) {
    if world.environment(place).is_ok() {
        return (place, None);
    }
    match place.split_once('/') {
        Some((environment, resource)) => (environment, Some(resource)),
        None => (place, None),
    }
}
