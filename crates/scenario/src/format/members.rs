//! The members of the format, in one table: what the reader accepts, what the schema says, what the guide lists.

use stagegate_model::{
    JobStatus, PromotionStatus, ReleaseStatus, Role, VerificationStatus, VerificationTrigger,
    VersionStatus,
};

/// A mapping with fixed members.
pub(crate) struct Object {
    /// What it is called in messages: `a version`, `the scenario`…
    pub name: &'static str,
    pub members: &'static [Member],
}

pub(crate) struct Member {
    pub name: &'static str,
    pub doc: &'static str,
    pub shape: Shape,
}

/// What may stand at a place.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Bool,
    Count,
    Integer,
    Duration,
    /// A duration since the start, or an absolute time.
    Moment,
    Null,
    Anything,
    AnyObject,
    Word(fn() -> Vec<&'static str>),
    Object(&'static Object),
    OneOrMany(&'static Shape),
    MapOf(&'static Shape),
    Either(&'static [Shape]),
}

pub(crate) fn job_statuses() -> Vec<&'static str> {
    JobStatus::ALL.iter().map(|it| it.as_str()).collect()
}

pub(crate) fn version_statuses() -> Vec<&'static str> {
    VersionStatus::ALL.iter().map(|it| it.as_str()).collect()
}

pub(crate) fn promotion_statuses() -> Vec<&'static str> {
    PromotionStatus::ALL.iter().map(|it| it.as_str()).collect()
}

pub(crate) fn verification_statuses() -> Vec<&'static str> {
    VerificationStatus::ALL
        .iter()
        .map(|it| it.as_str())
        .collect()
}

pub(crate) fn triggers() -> Vec<&'static str> {
    VerificationTrigger::ALL
        .iter()
        .map(|it| it.as_str())
        .collect()
}

pub(crate) fn roles() -> Vec<&'static str> {
    Role::ALL.iter().map(|it| it.as_str()).collect()
}

pub(crate) fn agent_outcomes() -> Vec<&'static str> {
    let mut words = job_statuses();
    words.push("never");
    words
}

pub(crate) fn measured_words() -> Vec<&'static str> {
    vec!["passed", "failed", "inconclusive", "error", "never"]
}

pub(crate) fn action_types() -> Vec<&'static str> {
    vec!["approval", "wait", "none"]
}

pub(crate) fn target_states() -> Vec<&'static str> {
    vec![
        "newer",
        "succeeded",
        "failed",
        "retrying",
        "held",
        "running",
        "verifying",
        "busy",
        "blocked",
        "waiting",
    ]
}

pub(crate) fn release_statuses() -> Vec<&'static str> {
    ReleaseStatus::ALL.iter().map(|it| it.as_str()).collect()
}

pub(crate) fn start_kinds() -> Vec<&'static str> {
    vec!["forward", "redeploy", "rollback", "breakGlass"]
}

fn log_or_snapshots() -> Vec<&'static str> {
    vec!["log", "snapshots"]
}

fn none_word() -> Vec<&'static str> {
    vec!["none"]
}

macro_rules! objects {
    ($($name:ident = $title:literal { $($member:literal : $shape:expr => $doc:literal),* $(,)? })*) => {$(
        pub(crate) static $name: Object = Object {
            name: $title,
            members: &[$(Member { name: $member, doc: $doc, shape: $shape }),*],
        };
    )*};
}

use Shape::{
    AnyObject, Anything, Bool, Count, Duration, Either, Integer, MapOf, Moment, Null, OneOrMany,
    Text, Word,
};

static TEXT: Shape = Text;
static ANY_OBJECT: Shape = AnyObject;
static WANTED: Shape = Either(&[Count, Text, MapOf(&Shape::Count)]);
static JOBS_WANTED: Shape = Either(&[
    Count,
    Text,
    MapOf(&Shape::Count),
    OneOrMany(&Shape::Object(&JOB)),
]);
static TARGETS_WANTED: Shape = Either(&[Count, OneOrMany(&TEXT)]);
static DOCUMENT: Shape = Either(&[Text, AnyObject]);
static PERSON: Shape = Either(&[Word(roles), Shape::Object(&PERSON_KEYS)]);
static AGENT_SCRIPT: Shape = Either(&[Word(agent_outcomes), Shape::Object(&AGENT)]);
static AGENTS: Shape = Either(&[
    Word(agent_outcomes),
    MapOf(&AGENT_SCRIPT),
    OneOrMany(&Shape::Object(&AGENT)),
]);
static MEASURED: Shape = Either(&[Word(measured_words), Shape::Object(&MEASURED_ONE)]);
static METRICS: Shape = Either(&[
    Word(measured_words),
    MapOf(&Shape::OneOrMany(&MEASURED)),
    OneOrMany(&Shape::Object(&METRIC)),
]);
static STATUS_BY_TAG: Shape = MapOf(&Shape::Word(promotion_statuses));
static COUNTS: Shape = MapOf(&Shape::Count);
static RELEASES_WANTED: Shape = Either(&[
    Count,
    Text,
    OneOrMany(&Shape::Either(&[Shape::Text, Shape::Object(&RELEASE)])),
]);
static RETRY_WANTED: Shape = Either(&[Word(none_word), Shape::Object(&RETRY)]);
static STATES: Shape = Either(&[Word(target_states), MapOf(&Shape::Word(target_states))]);

objects! {
    SCENARIO = "the scenario" {
        "name": Text => "what is shown, in words",
        "description": Text => "what a reader should know",
        "start": Moment => "when it begins; 2026-01-05T09:00:00Z unless said otherwise",
        "golden": Bool => "compare the timeline with the file `<name>.timeline` beside this one",
        "given": OneOrMany(&TEXT) => "files of documents, relative to this one",
        "documents": OneOrMany(&DOCUMENT) => "documents in place: text, or a list of texts and documents; applied after the files",
        "people": MapOf(&PERSON) => "who acts: a role, or several keys",
        "agents": AGENTS => "what agents answer by themselves",
        "metrics": METRICS => "what is measured by itself",
        "steps": OneOrMany(&Shape::Object(&STEP)) => "what happens, in the order of time",
    }
    PERSON_KEYS = "a person" {
        "role": Word(roles) => "the role, of a person with one key",
        "keys": MapOf(&Shape::Word(roles)) => "the role of each key, by its name",
        "groups": OneOrMany(&TEXT) => "the groups to which the person belongs from the start",
    }
    AGENT = "an agent's script" {
        "agent": Text => "only jobs of this job agent",
        "deployment": Text => "only jobs of this deployment",
        "environment": Text => "only jobs in this environment",
        "resource": Text => "only jobs on this resource",
        "version": Text => "only jobs of this version",
        "attempt": Count => "only this attempt of a release",
        "outcome": Word(agent_outcomes) => "the status it reports in the end, or `never`",
        "after": Duration => "how long after the job was created; at once if absent",
        "started": Duration => "when it claims the job; not at all if absent",
        "message": Text => "what it says with the outcome",
    }
    METRIC = "a metric's script" {
        "metric": Text => "only this metric",
        "deployment": Text => "only jobs of this deployment",
        "environment": Text => "only jobs in this environment",
        "resource": Text => "only jobs on this resource",
        "version": Text => "only jobs of this version",
        "results": Shape::OneOrMany(&MEASURED) => "the results in order; the last one goes on",
    }
    MEASURED_ONE = "a result" {
        "result": Anything => "what the provider returns; the metric's own conditions judge it",
        "error": Text => "why nothing could be measured",
    }
    STEP = "a step" {
        "at": Moment => "when, since the start",
        "after": Duration => "when, since the step before",
        "note": Text => "a remark for the timeline",
        "version": OneOrMany(&Shape::Either(&[Shape::Text, Shape::Object(&NEW_VERSION)])) => "CI announces a version",
        "update": OneOrMany(&Shape::Object(&UPDATE)) => "a version changes",
        "apply": OneOrMany(&DOCUMENT) => "documents are applied",
        "applyFiles": OneOrMany(&TEXT) => "files of documents are applied",
        "delete": Shape::Object(&DELETE) => "entities are deleted",
        "approve": OneOrMany(&Shape::Object(&VOTE)) => "a person approves",
        "reject": OneOrMany(&Shape::Object(&VOTE)) => "a person rejects",
        "withdraw": OneOrMany(&Shape::Object(&VOTE)) => "a person withdraws their vote",
        "jobs": OneOrMany(&Shape::Object(&REPORT)) => "agents report jobs",
        "claim": OneOrMany(&Shape::Object(&CLAIM)) => "runners claim jobs",
        "measure": OneOrMany(&Shape::Object(&MEASURE)) => "a measurement is taken, whether due or not",
        "decide": OneOrMany(&Shape::Object(&DECIDE)) => "a person decides a verification",
        "rerun": OneOrMany(&Shape::Object(&RERUN)) => "a person has a verification run again",
        "redeploy": OneOrMany(&Shape::Object(&TARGETS)) => "a person has what is there deployed once more",
        "rollback": OneOrMany(&Shape::Object(&ROLLBACK)) => "a person takes targets back",
        "releaseHold": OneOrMany(&Shape::Object(&TARGETS)) => "a person lets targets take part again",
        "clearQuarantine": OneOrMany(&Shape::Object(&PROMOTION_ACT)) => "a person lifts the quarantine of a version",
        "cancel": OneOrMany(&Shape::Object(&PROMOTION_ACT)) => "a person ends a promotion",
        "reopen": OneOrMany(&Shape::Object(&PROMOTION_ACT)) => "a person lets a promotion that was cancelled or expired go on",
        "pause": OneOrMany(&Shape::Object(&PROMOTION_ACT)) => "a person pauses a rollout",
        "resume": OneOrMany(&Shape::Object(&PROMOTION_ACT)) => "a person has a rollout go on",
        "breakGlass": OneOrMany(&Shape::Object(&BREAK_GLASS)) => "a person deploys past every gate",
        "group": OneOrMany(&Shape::Object(&GROUP)) => "a group is made, changed or deleted",
        "skip": OneOrMany(&Shape::Object(&SKIP)) => "a person sets a rule aside",
        "unskip": OneOrMany(&Shape::Object(&UNSKIP)) => "a person takes back skips",
        "freeze": OneOrMany(&Shape::Object(&FREEZE)) => "a person makes or changes a freeze",
        "unfreeze": OneOrMany(&Shape::Either(&[Shape::Text, Shape::Object(&UNFREEZE)])) => "a person ends a freeze",
        "revokeKey": OneOrMany(&TEXT) => "keys lose their rights: `alice` or `alice/phone`",
        "agents": AGENTS => "what agents answer from here on",
        "metrics": METRICS => "what is measured from here on",
        "restart": Either(&[Word(log_or_snapshots), Shape::Object(&RESTART)]) => "the state is folded anew and must be the same",
        "refused": Either(&[Text, Shape::Object(&REFUSED)]) => "the act of this step must be refused: a code, or more",
        "expect": OneOrMany(&Shape::Object(&EXPECT)) => "what must hold after the acts of this step",
    }
    NEW_VERSION = "a version" {
        "deployment": Text => "its slug; may be left out when there is only one",
        "tag": Text => "unique in the deployment",
        "name": Text => "the tag if absent",
        "config": AnyObject => "part of the content",
        "jobAgentConfig": AnyObject => "part of the content; laid over the deployment's",
        "dependencies": MapOf(&TEXT) => "what it needs on each target's resource: CEL over `version`, by the slug of the deployment",
        "status": Word(version_statuses) => "`ready` if absent",
        "message": Text => "what CI says",
        "metadata": MapOf(&TEXT) => "pairs of text",
        "createdAt": Moment => "now if absent",
        "by": Text => "the person whose key CI uses; Stagegate itself if absent",
    }
    UPDATE = "an update" {
        "deployment": Text => "may be left out when there is only one",
        "version": Text => "the tag of the version that changes",
        "tag": Text => "the new tag",
        "name": Text => "the new name",
        "config": AnyObject => "the new content",
        "jobAgentConfig": AnyObject => "the new content",
        "dependencies": MapOf(&TEXT) => "dependencies that are set, by slug; `none` takes one out",
        "status": Word(version_statuses) => "the new status",
        "message": Text => "the new message",
        "metadata": MapOf(&TEXT) => "laid over what is there",
        "by": Text => "the person; Stagegate itself if absent",
    }
    DELETE = "a deletion" {
        "resource": OneOrMany(&TEXT) => "identifiers",
        "policy": OneOrMany(&TEXT) => "names",
        "environment": OneOrMany(&TEXT) => "names",
        "deployment": OneOrMany(&TEXT) => "slugs",
        "jobAgent": OneOrMany(&TEXT) => "names",
        "system": OneOrMany(&TEXT) => "names",
        "variableSet": OneOrMany(&TEXT) => "names",
        "relationshipRule": OneOrMany(&TEXT) => "names",
        "by": Text => "the person; Stagegate itself if absent",
    }
    VOTE = "a vote" {
        "version": Text => "its tag",
        "deployment": Text => "may be left out when there is only one",
        "environment": OneOrMany(&TEXT) => "one or several, all or nothing",
        "by": Text => "the person: `alice`, or one of several keys `alice/phone`",
        "reason": Text => "why",
    }
    REPORT = "a report" {
        "agent": Text => "only jobs of this job agent",
        "deployment": Text => "only jobs of this deployment",
        "environment": Text => "only jobs in this environment",
        "resource": Text => "only jobs on this resource",
        "version": Text => "only jobs of this version",
        "attempt": Count => "only this attempt",
        "is": OneOrMany(&Shape::Word(job_statuses)) => "only jobs that stand so; those that have not ended if absent",
        "first": Count => "only so many, in the order of creation and resource",
        "last": Count => "only so many, from the end",
        "outcome": Word(job_statuses) => "the status that is reported",
        "message": Text => "what is said with it",
        "runner": Text => "who reports; whoever holds the claim if absent",
        "externalId": Text => "what the agent knows the job by",
        "times": Count => "how often the same is reported; once if absent",
    }
    CLAIM = "a claim" {
        "agent": Text => "only jobs of this job agent",
        "deployment": Text => "only jobs of this deployment",
        "environment": Text => "only jobs in this environment",
        "resource": Text => "only jobs on this resource",
        "version": Text => "only jobs of this version",
        "attempt": Count => "only this attempt",
        "is": OneOrMany(&Shape::Word(job_statuses)) => "only jobs that stand so; those that have not ended if absent",
        "first": Count => "only so many",
        "last": Count => "only so many, from the end",
        "runner": Text => "who claims",
    }
    MEASURE = "a measurement" {
        "metric": Text => "its name",
        "deployment": Text => "only for this deployment",
        "environment": Text => "only in this environment",
        "resource": Text => "only on this resource",
        "version": Text => "only for this version",
        "outcome": Word(measured_words) => "how it is judged",
        "result": Anything => "what the provider returned; the metric's own conditions judge it",
        "error": Text => "why nothing could be measured",
        "ordinal": Count => "which measurement of the metric, from 0; the next one if absent",
    }
    DECIDE = "a decision" {
        "deployment": Text => "only for this deployment",
        "environment": Text => "only in this environment",
        "resource": Text => "only on this resource",
        "version": Text => "only for this version",
        "pass": Bool => "whether it passes",
        "by": Text => "the person",
        "reason": Text => "why",
    }
    RERUN = "a re-run" {
        "deployment": Text => "only for this deployment",
        "environment": Text => "only in this environment",
        "resource": Text => "only on this resource",
        "version": Text => "only for this version",
        "by": Text => "the person",
        "reason": Text => "why",
    }
    TARGETS = "the targets" {
        "deployment": Text => "only of this deployment",
        "environment": Text => "only in this environment",
        "resource": OneOrMany(&TEXT) => "only on these resources",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why",
    }
    ROLLBACK = "a rollback" {
        "deployment": Text => "only of this deployment",
        "environment": Text => "only in this environment",
        "resource": OneOrMany(&TEXT) => "only on these resources",
        "to": Either(&[Text, Count]) => "to the latest release of this version, or to the release of this number; to the last good one if absent",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why",
    }
    BREAK_GLASS = "breaking the glass" {
        "version": Text => "its tag",
        "deployment": Text => "may be left out when there is only one",
        "environment": Text => "only in this environment",
        "resource": OneOrMany(&TEXT) => "only on these resources",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why; it cannot be left out in earnest",
    }
    PROMOTION_ACT = "the promotion" {
        "version": Text => "its tag",
        "deployment": Text => "may be left out when there is only one",
        "environment": Text => "where",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why",
    }
    GROUP = "a group" {
        "name": Text => "its name; made if there is none of that name",
        "add": OneOrMany(&TEXT) => "people who join",
        "remove": OneOrMany(&TEXT) => "people who leave",
        "rename": Text => "its new name",
        "delete": Bool => "`true`: it is deleted",
        "by": Text => "the person; Stagegate itself if absent",
    }
    SKIP = "a skip" {
        "rule": Text => "the kind of the rule, `Policy/kind`, `Policy/kind/2` for the second of that kind, or `Name/freeze`",
        "deployment": Text => "of the version; may be left out when there is only one",
        "version": Text => "for this version only, by its tag",
        "environment": Text => "in this environment only",
        "resource": Text => "on this resource only",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why; it cannot be left out in earnest",
        "expires": Moment => "until when; until it is taken back if absent",
    }
    UNSKIP = "the skips" {
        "rule": Text => "as in the skip; any if absent",
        "deployment": Text => "of the version",
        "version": Text => "only those for this version",
        "environment": Text => "only those in this environment",
        "resource": Text => "only those on this resource",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why",
    }
    FREEZE = "a freeze" {
        "name": Text => "its name; the freeze of that name is changed if there is one",
        "selector": Text => "CEL as a policy's; everything if absent",
        "starts": Moment => "now if absent",
        "ends": Moment => "when it ends; when a person ends it if absent",
        "allowRollback": Bool => "whether rollbacks start all the same; `true` if absent",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why; `the scenario says so` if absent",
    }
    UNFREEZE = "the freeze" {
        "name": Text => "its name",
        "by": Text => "the person; Stagegate itself if absent",
        "reason": Text => "why",
    }
    RESTART = "a restart" {
        "snapshotAt": Integer => "fold from a snapshot after this entry of the log; negative counts from the end",
    }
    REFUSED = "a refusal" {
        "code": Text => "its stable code",
        "message": Text => "a part of its message",
        "field": Text => "the field it names",
        "line": Count => "the line of the documents it points at",
    }
    EXPECT = "an expectation" {
        "deployment": Text => "which deployment the rest is about; may be left out when there is only one",
        "released": MapOf(&WANTED) => "what last succeeded, by `Environment` or `Environment/resource`: how many targets have something, the tag all have, or how many have which",
        "desired": MapOf(&WANTED) => "what targets have or are being brought to, in the same way",
        "targets": MapOf(&TARGETS_WANTED) => "the release targets of an environment: how many, or which resources",
        "jobs": MapOf(&JOBS_WANTED) => "all jobs so far, by `Environment` or `Environment/resource`: how many, of which versions, or each in the order of creation",
        "noJobs": OneOrMany(&Shape::Object(&NO_JOBS)) => "no job like this was ever created",
        "gate": OneOrMany(&Shape::Object(&GATE)) => "how a rule stands for a version",
        "gates": OneOrMany(&Shape::Object(&GATE)) => "the same as `gate`",
        "promotion": OneOrMany(&Shape::Object(&PROMOTION)) => "how a promotion stands",
        "promotions": MapOf(&STATUS_BY_TAG) => "the latest promotion of each tag, by environment",
        "verification": OneOrMany(&Shape::Object(&VERIFICATION)) => "how the latest verifications stand",
        "releases": MapOf(&RELEASES_WANTED) => "all releases of a target so far, by `Environment/resource`, in the order of their numbers: how many, or each by its tag or in full",
        "variables": MapOf(&ANY_OBJECT) => "what variables come out as now, by `Environment/resource` and key: any of `value`, `secret`, `from` and a part of the `note` or of the `error`",
        "retry": MapOf(&RETRY_WANTED) => "the retry that a target waits for, by `Environment/resource`, or `none`",
        "held": MapOf(&TARGETS_WANTED) => "the targets that take nothing until something newer comes, by environment: how many, which, or `none`",
        "quarantined": MapOf(&OneOrMany(&TEXT)) => "the tags that nothing starts with, by environment, or `none`",
        "rollout": OneOrMany(&Shape::Object(&ROLLOUT)) => "how far a gradual rollout is",
        "versions": MapOf(&Shape::Word(version_statuses)) => "the status of versions, by tag",
        "why": OneOrMany(&Shape::Either(&[Shape::Text, Shape::Object(&WHY)])) => "what `stagegate why` says",
        "nextWake": Either(&[Word(none_word), Moment, Null]) => "when Stagegate next looks by itself, or `none`",
        "facts": OneOrMany(&TEXT) => "kinds of facts that this step wrote to the log, each at least once; `none`: nothing was written",
    }
    JOB = "a job" {
        "resource": Text => "where",
        "version": Text => "which version",
        "status": Word(job_statuses) => "how it stands",
        "attempt": Count => "which attempt of its release",
        "message": Text => "a part of what its agent said",
        "runner": Text => "who holds it",
        "config": AnyObject => "members of its rendered configuration",
    }
    RELEASE = "a release" {
        "number": Count => "its number on the target",
        "version": Text => "its version's tag",
        "status": Word(release_statuses) => "how it stands",
        "kind": Word(start_kinds) => "why it was made",
        "rollbackOf": Either(&[Word(none_word), Count]) => "the number of the release it undoes, or `none`",
        "reason": Text => "a part of why it ended so",
        "variables": AnyObject => "what it was told, by key: any of `value`, `secret`, `from` and a part of the `note`",
    }
    RETRY = "a retry" {
        "version": Text => "of which version",
        "attempt": Count => "which attempt it will be",
        "at": Moment => "when it starts",
    }
    ROLLOUT = "a rollout" {
        "environment": Text => "where; may be left out when the version is rolled out in one only",
        "version": Text => "the newest version if absent",
        "policy": Text => "the policy whose rule it is; may be left out when there is only one",
        "begun": Bool => "`false`: none has begun",
        "startedAt": Moment => "when its first target was due",
        "due": Count => "targets whose turn has come",
        "total": Count => "targets there are",
        "wave": Count => "waves that have begun",
        "waves": Count => "waves there are",
        "paused": Either(&[Bool, Text]) => "whether it is paused, or a part of why",
        "next": Either(&[Word(none_word), Moment]) => "when the next target is due by time alone, or `none`",
    }
    NO_JOBS = "a job that must not exist" {
        "agent": Text => "of this job agent",
        "environment": Text => "in this environment",
        "resource": Text => "on this resource",
        "version": Text => "of this version",
        "attempt": Count => "this attempt",
    }
    GATE = "a gate" {
        "environment": Text => "where; may be left out when the rule is in one environment only",
        "version": Text => "the newest version if absent",
        "rule": Text => "its kind",
        "policy": Text => "the name of its policy",
        "applies": Bool => "`false`: there is no such gate for this version",
        "allowed": Bool => "whether it is open",
        "actionRequired": Bool => "whether someone must act",
        "actionType": Word(action_types) => "what is waited for",
        "message": Text => "a part of its message",
        "opens": Text => "a part of what would open it",
        "who": Text => "a part of who can open it",
        "code": Text => "its stable code",
        "satisfiedAt": Moment => "when it opened",
        "nextEvaluationTime": Either(&[Word(none_word), Moment]) => "when time alone may change it, or `none`",
        "latched": Bool => "whether it stays open because the rollout has begun",
    }
    PROMOTION = "a promotion" {
        "environment": Text => "where; may be left out when the version has one only",
        "version": Text => "the newest version if absent",
        "attempt": Count => "which one; the latest if absent",
        "status": Word(promotion_statuses) => "how it stands",
        "reason": Text => "a part of why it ended",
        "kind": Word(start_kinds) => "why it was opened",
        "supersededBy": Text => "the tag that took its place",
        "attempts": Count => "how many there were",
    }
    VERIFICATION = "a verification" {
        "environment": Text => "where; anywhere if absent",
        "resource": Text => "on which resource; on any if absent",
        "version": Text => "of which version; of any if absent",
        "trigger": Word(triggers) => "those with this trigger",
        "status": Either(&[Word(verification_statuses), Word(none_word)]) => "how each of them stands; `none`: there is none",
        "reason": Text => "a part of the reason",
        "decidedBy": Text => "the person who decided",
        "count": Count => "how many there were, re-runs included",
        "taken": COUNTS => "how many measurements were taken, by metric",
        "passed": COUNTS => "how many passed, by metric",
        "failed": COUNTS => "how many failed, by metric",
        "inconclusive": COUNTS => "how many were inconclusive, by metric",
        "errors": COUNTS => "how many ended in error, by metric",
    }
    WHY = "an explanation" {
        "environment": Text => "where; may be left out when the deployment has one only",
        "version": Text => "the newest version if absent",
        "summary": Text => "a part of the sentence",
        "stopped": Text => "the code of what stops it apart from rules, or `none`",
        "earliest": Either(&[Word(none_word), Moment]) => "when it can start if nothing but time is missing, or `none`",
        "targets": STATES => "how every target stands, or each by its resource",
        "reason": Text => "a part of the reason of some target",
    }
}
