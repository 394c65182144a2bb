//! What happens in a run, drawn from its seed: who does what, and what breaks when.

use crate::dice::Dice;

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds after the step before it.
    pub after_millis: i64,
    pub act: Act,
    /// Everything else about it follows from this number.
    pub roll: u64,
}

/// What a person, a program or fate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    CreateVersion,
    PatchVersion,
    Vote,
    EditResource,
    AddResource,
    DeleteResource,
    AddPolicy,
    EditPolicy,
    TogglePolicy,
    DeletePolicy,
    EditEnvironment,
    EditDeployment,
    DecideVerification,
    RerunVerification,
    Redeploy,
    Rollback,
    ReleaseHold,
    ClearQuarantine,
    CancelPromotion,
    ReopenPromotion,
    PauseRollout,
    ResumeRollout,
    BreakGlass,
    CancelJob,
    PutFreeze,
    DeleteFreeze,
    /// A rule is set aside for a while.
    CreateSkip,
    DeleteSkip,
    /// Somebody joins a group, or leaves it.
    EditGroup,
    /// A report of a runner that does not hold the job, or of a job that has ended.
    StrayReport,
    /// A measurement once more, or one that nobody asked for.
    StrayMeasurement,
    /// Everything in memory is gone, and what was decided but not written with it.
    CrashBeforeAppend,
    /// Everything in memory is gone just after it was written; nobody was answered.
    CrashAfterAppend,
    /// The next commit is written, but nobody is told; perhaps it cannot even be looked up.
    UnknownWritten,
    /// The next commit is not written, and nobody is told.
    UnknownLost,
    DiskFull,
    /// Neither reads nor writes work.
    StorageDown,
    ClockForward,
    ClockBack,
    /// Nothing happens for a long time.
    Pause,
    TakeSnapshot,
    DamageSnapshot,
    /// Measurements under way are forgotten.
    LoseMeasurements,
    /// The writer is slow: entries pile up.
    SlowWriter,
}

impl Act {
    /// Whether it is a fault rather than something that people and programs do.
    #[must_use]
    pub fn is_fault(self) -> bool {
        WEIGHTS_OF_FAULTS.iter().any(|(_, act)| *act == self)
    }
}

const WEIGHTS: &[(u32, Act)] = &[
    (20, Act::CreateVersion),
    (8, Act::PatchVersion),
    (16, Act::Vote),
    (6, Act::EditResource),
    (3, Act::AddResource),
    (3, Act::DeleteResource),
    (4, Act::AddPolicy),
    (5, Act::EditPolicy),
    (4, Act::TogglePolicy),
    (3, Act::DeletePolicy),
    (2, Act::EditEnvironment),
    (1, Act::EditDeployment),
    (4, Act::DecideVerification),
    (4, Act::RerunVerification),
    (4, Act::Redeploy),
    (4, Act::Rollback),
    (3, Act::ReleaseHold),
    (3, Act::ClearQuarantine),
    (2, Act::CancelPromotion),
    (2, Act::ReopenPromotion),
    (2, Act::PauseRollout),
    (3, Act::ResumeRollout),
    (2, Act::BreakGlass),
    (3, Act::CancelJob),
    (2, Act::PutFreeze),
    (2, Act::DeleteFreeze),
    (6, Act::CreateSkip),
    (3, Act::DeleteSkip),
    (1, Act::EditGroup),
    (5, Act::StrayReport),
    (5, Act::StrayMeasurement),
];

const WEIGHTS_OF_FAULTS: &[(u32, Act)] = &[
    (4, Act::CrashBeforeAppend),
    (4, Act::CrashAfterAppend),
    (3, Act::UnknownWritten),
    (3, Act::UnknownLost),
    (2, Act::DiskFull),
    (2, Act::StorageDown),
    (2, Act::ClockForward),
    (2, Act::ClockBack),
    (3, Act::Pause),
    (3, Act::TakeSnapshot),
    (2, Act::DamageSnapshot),
    (2, Act::LoseMeasurements),
    (4, Act::SlowWriter),
];

/// The steps of a seed's run.
#[must_use]
pub fn draw(seed: u64, steps: usize) -> Vec<Step> {
    let mut dice = Dice::of(seed, "plan");
    // Some runs are calm, some are rough.
    let faults_percent = *dice.pick(&[0, 10, 20, 35]);
    (0..steps)
        .map(|_| {
            let act = if dice.chance(faults_percent) {
                dice.weighted(WEIGHTS_OF_FAULTS)
            } else {
                dice.weighted(WEIGHTS)
            };
            let after_millis = match dice.below(10) {
                0 => 0,
                1..=4 => dice.between(1, 2_000),
                5..=7 => dice.between(2_000, 60_000),
                8 => dice.between(60_000, 600_000),
                _ => dice.between(600_000, 3_600_000),
            };
            Step {
                after_millis,
                act,
                roll: dice.roll(),
            }
        })
        .collect()
}
