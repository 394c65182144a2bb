//! Why a job was started, whenever that was: from the log, not from what is the case now.

mod tell;

use crate::answer::{Answer, Failure, Json};
use crate::people::People;
use crate::scope::Scope;
use stagegate_api as api;
use stagegate_engine::{Beginning, Job, Past, PastJob, Release};
use stagegate_model::{Cause, Entry, Fact, JobId, PolicyId, Rule, RuleId, Timestamp, WorkspaceId};
use stagegate_store::{EntityRef, Store, StoreError};
use std::collections::BTreeMap;

/// How many entries about a version are folded, at most: the last ones before the job.
const ENTRIES_MAX: usize = 20_000;
/// How many places in the log are looked up at once.
const PAGE: usize = 2_000;
/// How many entries back the one is sought that another went on from; it is nearly always the one before.
const CONTINUED_MAX: u64 = 1_000;

pub(super) async fn get(scope: Scope) -> Answer<Json<api::JobWhy>> {
    let id: JobId = scope.id("jobId")?;
    let job = super::jobs::find(&scope, id).await?;
    let people = People::of(&scope).await?;
    let created_at = job.created_at;
    let of = PastJob {
        job: job.id,
        release: job.release,
        promotion: job.promotion,
        version: job.version,
        environment: job.target.environment,
        resource: job.target.resource,
    };
    let found = scope
        .store(move |store, workspace| look(store, workspace, of, created_at))
        .await?;
    let found = found.ok_or_else(Failure::internal)?;
    let before = match found.beginning.tried_before {
        Some(before) => Some((before, super::jobs::find(&scope, before).await.ok())),
        None => None,
    };
    let release = release(&scope, &job).await?;
    let told = scope
        .read(move |engine| {
            let subject = tell::Subject {
                state: engine.state(),
                people: &people,
                job: &job,
                release: release.as_ref(),
                before: before.as_ref().map(|(id, job)| (*id, job.as_ref())),
                found: &found,
            };
            subject.tell()
        })
        .await?;
    Ok(Json(told))
}

/// What the log says of a job's beginning.
struct Found {
    beginning: Beginning,
    /// The entry that the one that created the job went on from.
    set_in_motion: Option<Entry>,
    /// What the gates' policies were then.
    policies: BTreeMap<PolicyId, PolicyThen>,
    complete: bool,
}

/// A policy, or a freeze, as it was written at some moment.
struct PolicyThen {
    name: String,
    rules: Vec<Rule>,
}

impl PolicyThen {
    fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

async fn release(scope: &Scope, job: &Job) -> Answer<Option<Release>> {
    let id = job.release;
    let known = scope
        .read(move |engine| engine.state().releases().get(&id).cloned())
        .await?;
    match known {
        Some(known) => Ok(Some(*known)),
        None => crate::archive::one(scope, "release", id.0).await,
    }
}

fn entry(store: &dyn Store, workspace: WorkspaceId, seq: u64) -> Result<Option<Entry>, StoreError> {
    let row = store.row(workspace, seq)?;
    Ok(row.and_then(|row| Entry::from_bytes(&row.body).ok()))
}

/// `None` when the log does not hold the job's creation.
fn look(
    store: &dyn Store,
    workspace: WorkspaceId,
    of: PastJob,
    created_at: Timestamp,
) -> Result<Option<Found>, StoreError> {
    let (seqs, mut complete) = before(store, workspace, of, created_at)?;
    let mut past = Past::new(of);
    let mut beginning = None;
    for seq in seqs {
        // What this binary cannot read is told by the audit, not here.
        let Some(entry) = entry(store, workspace, seq)? else {
            complete = false;
            continue;
        };
        beginning = past.follow(&entry);
        if beginning.is_some() {
            break;
        }
    }
    let Some(beginning) = beginning else {
        return Ok(None);
    };
    let set_in_motion = match beginning.cause {
        Cause::Continued { .. } => continued(store, workspace, &beginning)?,
        Cause::Command { .. } | Cause::Timer => None,
    };
    let mut policies = BTreeMap::new();
    for gate in &beginning.gates {
        let id = gate.record.policy;
        if !policies.contains_key(&id)
            && let Some(policy) = policy_then(store, workspace, id, beginning.at.seq)?
        {
            policies.insert(id, policy);
        }
    }
    Ok(Some(Found {
        beginning,
        set_in_motion,
        policies,
        complete,
    }))
}

/// The entries about the version up to the moment, oldest first, and whether they are all.
fn before(
    store: &dyn Store,
    workspace: WorkspaceId,
    of: PastJob,
    created_at: Timestamp,
) -> Result<(Vec<u64>, bool), StoreError> {
    let entity = EntityRef::new("version", of.version.0);
    let later = |seq: u64| -> Result<bool, StoreError> {
        let row = store.row(workspace, seq)?;
        let time = row.and_then(|row| Entry::from_bytes(&row.body).ok());
        Ok(time.is_some_and(|entry| entry.time > created_at))
    };
    let mut seqs: Vec<u64> = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.touching(workspace, &entity, cursor, PAGE)?;
        let Some(oldest) = page.last().copied() else {
            return Ok((reversed(seqs), true));
        };
        cursor = Some(oldest);
        // Newest first: whole pages of what came later are passed over, and of the others what is later is folded
        // in vain at most once.
        if !later(oldest)? {
            seqs.extend(page);
        }
        if seqs.len() > ENTRIES_MAX {
            // The job's own entry must be among them.
            let mut kept = Vec::with_capacity(ENTRIES_MAX);
            for seq in seqs.iter().copied() {
                if !kept.is_empty() || !later(seq)? {
                    kept.push(seq);
                }
            }
            if kept.len() > ENTRIES_MAX {
                kept.truncate(ENTRIES_MAX);
                return Ok((reversed(kept), false));
            }
            seqs = kept;
        }
    }
}

fn reversed(mut seqs: Vec<u64>) -> Vec<u64> {
    seqs.reverse();
    seqs
}

/// The entry with the command or the time that another only went on from.
fn continued(
    store: &dyn Store,
    workspace: WorkspaceId,
    beginning: &Beginning,
) -> Result<Option<Entry>, StoreError> {
    let mut sought = match &beginning.cause {
        Cause::Continued { of } => *of,
        Cause::Command { .. } | Cause::Timer => return Ok(None),
    };
    let mut found = None;
    for back in 1..=CONTINUED_MAX.min(beginning.at.seq.saturating_sub(1)) {
        let Some(entry) = entry(store, workspace, beginning.at.seq - back)? else {
            continue;
        };
        if entry.id != sought {
            continue;
        }
        match entry.cause {
            Cause::Continued { of } => sought = of,
            Cause::Command { .. } | Cause::Timer => return Ok(Some(entry)),
        }
        found = Some(entry);
    }
    Ok(found)
}

/// The policy, or freeze, as it was last written up to that entry.
fn policy_then(
    store: &dyn Store,
    workspace: WorkspaceId,
    id: PolicyId,
    seq: u64,
) -> Result<Option<PolicyThen>, StoreError> {
    for noun in ["policy", "freeze"] {
        let entity = EntityRef::new(noun, id.0);
        let mut cursor = Some(seq.saturating_add(1));
        // Skips of its rules touch it too; so many of them at most stand between.
        for _ in 0..10 {
            let seqs = store.touching(workspace, &entity, cursor, 20)?;
            let Some(oldest) = seqs.last().copied() else {
                break;
            };
            cursor = Some(oldest);
            for seq in seqs {
                let facts = entry(store, workspace, seq)?.map(|it| it.facts);
                let written = facts.into_iter().flatten().rev().find_map(|it| match it {
                    Fact::PolicyPut { policy } if policy.id == id => Some(PolicyThen {
                        name: policy.name,
                        rules: policy.rules,
                    }),
                    Fact::FreezePut { freeze } if freeze.id.0 == id.0 => Some(PolicyThen {
                        name: freeze.name,
                        rules: Vec::new(),
                    }),
                    _ => None,
                });
                if written.is_some() {
                    return Ok(written);
                }
            }
        }
    }
    Ok(None)
}
