//! What happened to a promotion, told from the log.

mod departures;

use crate::archive;
use crate::people::People;
use crate::wire;
use stagegate_api::{Gate, Json, TimelineEvent};
use stagegate_controller::Abridged;
use stagegate_engine::{Job, Promotion, Release, State};
use stagegate_model::{
    Entry, Fact, FreezeId, GateRecord, GateState, JobId, PromotionId, ReleaseId, ResourceId,
    RuleId, StartKind, VerificationId, Vote, WorkspaceId,
};
use stagegate_store::{EntityRef, Store, StoreError};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// How many entries a timeline is told from: the newest ones.
const ENTRIES_MAX: usize = 500;
/// How many events a timeline has: the newest ones.
const EVENTS_MAX: usize = 1000;
/// How many resources an event names before it only counts.
const NAMED_MAX: usize = 3;

/// The log entries that touch a promotion, oldest first; very large ones abridged.
pub(crate) type Story = Vec<Abridged>;

/// Reads a promotion's story.
pub(crate) fn story(
    store: &dyn Store,
    workspace: WorkspaceId,
    promotion: PromotionId,
) -> Result<Story, StoreError> {
    let entity = EntityRef::new("promotion", promotion.0);
    let mut seqs = store.touching(workspace, &entity, None, ENTRIES_MAX)?;
    seqs.reverse();
    let mut entries = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let abridged = store.archived(workspace, Abridged::KIND, Abridged::id(seq))?;
        if let Some(abridged) = abridged.as_ref().and_then(archive::decode) {
            entries.push(abridged);
            continue;
        }
        // An entry of a kind this binary does not know is told by the audit, not here.
        let row = store.row(workspace, seq)?;
        let entry = row.and_then(|row| Entry::from_bytes(&row.body).ok());
        entries.extend(entry.map(Abridged::whole));
    }
    Ok(entries)
}

/// What is known of jobs and releases that have left memory and whose beginning was abridged.
#[derive(Clone, Default)]
pub(crate) struct Known {
    jobs: BTreeMap<JobId, Option<(PromotionId, ResourceId)>>,
    releases: BTreeMap<ReleaseId, Option<PromotionId>>,
}

impl Known {
    /// Looks up what the teller had to pass over; whether that is news.
    pub fn learn(
        &mut self,
        store: &dyn Store,
        workspace: WorkspaceId,
        events: &Events,
    ) -> Result<bool, StoreError> {
        let jobs: Vec<JobId> = events.unknown_jobs.iter().copied().collect();
        let releases: Vec<ReleaseId> = events.unknown_releases.iter().copied().collect();
        if jobs.is_empty() && releases.is_empty() {
            return Ok(false);
        }
        let found = jobs.iter().map(|id| id.0);
        let found: BTreeMap<_, Job> = archive::stored(store, workspace, "job", found)?;
        let learnt = jobs.into_iter().map(|id| {
            let job = found.get(&id.0);
            (id, job.map(|job| (job.promotion, job.target.resource)))
        });
        self.jobs.extend(learnt);
        let found = releases.iter().map(|id| id.0);
        let found: BTreeMap<_, Release> = archive::stored(store, workspace, "release", found)?;
        let learnt = releases.into_iter();
        let learnt = learnt.map(|id| (id, found.get(&id.0).map(|it| it.promotion)));
        self.releases.extend(learnt);
        Ok(true)
    }
}

/// The events of a promotion.
pub(crate) struct Events {
    /// Oldest first.
    pub list: Vec<TimelineEvent>,
    unknown_jobs: BTreeSet<JobId>,
    unknown_releases: BTreeSet<ReleaseId>,
}

/// The events of a promotion in its story.
pub(crate) fn events(
    state: &State,
    promotion: &Promotion,
    story: &Story,
    known: &Known,
    people: &People,
) -> Events {
    let mut teller = Teller {
        state,
        promotion,
        people,
        known,
        is_abridged: story.iter().any(Abridged::is_abridged),
        unknown_jobs: RefCell::default(),
        unknown_releases: RefCell::default(),
        jobs: BTreeMap::new(),
        releases: BTreeSet::new(),
        verifications: BTreeMap::new(),
        metrics: BTreeMap::new(),
        rules: BTreeSet::new(),
        freezes: BTreeMap::new(),
    };
    let mut events = Vec::new();
    for abridged in story {
        let entry = &abridged.entry;
        teller.rules = promotion_rules(promotion, entry);
        for (index, fact) in entry.facts.iter().enumerate() {
            let Some((kind, text)) = teller.tell(fact, abridged.left_out(index)) else {
                continue;
            };
            events.push(TimelineEvent {
                at: entry.time.to_string(),
                seq: entry.seq,
                kind: kind.to_owned(),
                actor: people.actor(&entry.actor),
                text: people.tell(&text),
            });
        }
    }
    let superfluous = events.len().saturating_sub(EVENTS_MAX);
    events.drain(..superfluous);
    Events {
        list: events,
        unknown_jobs: teller.unknown_jobs.into_inner(),
        unknown_releases: teller.unknown_releases.into_inner(),
    }
}

/// Says of votes for which stage they count now.
pub(crate) fn name_stages(events: &mut [TimelineEvent], gates: &[Gate]) {
    let list = |json: &Json| json.as_array().cloned().unwrap_or_default();
    for stage in gates.iter().flat_map(|gate| list(&gate.details["stages"])) {
        for approval in list(&stage["approvals"]) {
            let (Some(name), Some(at)) = (approval["userName"].as_str(), approval["at"].as_str())
            else {
                continue;
            };
            let cast = events.iter_mut().find(|event| {
                event.kind == "voteCast" && event.at == at && event.text.starts_with(name)
            });
            if let Some(event) = cast {
                let stage = stage["name"].as_str().unwrap_or_default();
                event.text.push_str(&format!(" (counts for {stage})"));
            }
        }
    }
}

struct Teller<'a> {
    state: &'a State,
    promotion: &'a Promotion,
    people: &'a People,
    known: &'a Known,
    /// Not every job that was made is named in the story.
    is_abridged: bool,
    /// Jobs of which it could not be said whether they are the promotion's.
    unknown_jobs: RefCell<BTreeSet<JobId>>,
    unknown_releases: RefCell<BTreeSet<ReleaseId>>,
    /// Those of the promotion's jobs that the story names, and where they run.
    jobs: BTreeMap<JobId, ResourceId>,
    /// Those of the promotion's releases that the story names.
    releases: BTreeSet<ReleaseId>,
    /// The promotion's verifications, and where they measure.
    verifications: BTreeMap<VerificationId, ResourceId>,
    /// The names of a verification's metrics.
    metrics: BTreeMap<VerificationId, Vec<String>>,
    /// The rules whose gates before the promotion changed in the entry being told.
    rules: BTreeSet<RuleId>,
    /// The names of freezes that were told.
    freezes: BTreeMap<FreezeId, String>,
}

fn promotion_rules(promotion: &Promotion, entry: &Entry) -> BTreeSet<RuleId> {
    let facts = entry.facts.iter();
    let rules = facts.filter_map(|fact| match fact {
        Fact::GateChanged {
            promotion: of,
            gate,
        } if *of == promotion.id => Some(gate.rule),
        _ => None,
    });
    rules.collect()
}

impl Teller<'_> {
    fn tag(&self) -> String {
        wire::tag(self.state, self.promotion.version)
    }

    fn place(&self) -> String {
        wire::environment_name(self.state, self.promotion.environment)
    }

    fn resource(&self, id: ResourceId) -> String {
        self.state
            .resource(id)
            .map_or_else(|| id.to_string(), |resource| resource.name().to_owned())
    }

    /// Some resources by name, of these and so many more.
    fn named(&self, resources: impl ExactSizeIterator<Item = ResourceId>, more: usize) -> String {
        let more = match (resources.len() + more).saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named: Vec<String> = resources
            .take(NAMED_MAX)
            .map(|resource| self.resource(resource))
            .collect();
        format!("{}{more}", named.join(", "))
    }

    fn resource_of(&self, job: JobId) -> Option<String> {
        self.place_of(job).map(|resource| self.resource(resource))
    }

    /// Where a job of the promotion runs.
    fn place_of(&self, job: JobId) -> Option<ResourceId> {
        if let Some(resource) = self.jobs.get(&job) {
            return Some(*resource);
        }
        let found = match (self.state.jobs().get(&job), self.known.jobs.get(&job)) {
            (Some(job), _) => Some((job.promotion, job.target.resource)),
            (None, Some(known)) => *known,
            (None, None) => {
                if self.is_abridged {
                    self.unknown_jobs.borrow_mut().insert(job);
                }
                None
            }
        };
        let (promotion, resource) = found?;
        (promotion == self.promotion.id).then_some(resource)
    }

    /// Whether a release is the promotion's.
    fn is_its(&self, release: ReleaseId) -> bool {
        if self.releases.contains(&release) {
            return true;
        }
        let state = self.state.releases().get(&release);
        let found = match (state, self.known.releases.get(&release)) {
            (Some(release), _) => Some(release.promotion),
            (None, Some(known)) => *known,
            (None, None) => {
                if self.is_abridged {
                    self.unknown_releases.borrow_mut().insert(release);
                }
                None
            }
        };
        found == Some(self.promotion.id)
    }

    /// The kind and the words of a fact, if it is about this promotion. Of its jobs, so many are left out.
    fn tell(&mut self, fact: &Fact, left_out: usize) -> Option<(&'static str, String)> {
        let promotion = self.promotion.id;
        match fact {
            Fact::PromotionOpened {
                id, attempt, kind, ..
            } if *id == promotion => {
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt})")
                } else {
                    String::new()
                };
                let (tag, place) = (self.tag(), self.place());
                let text = match kind {
                    StartKind::Forward | StartKind::Retry => {
                        format!("{tag} became a candidate for {place}{again}")
                    }
                    StartKind::Redeploy => format!("{tag} is deployed to {place} once more{again}"),
                    StartKind::Rollback => format!("{place} goes back to {tag}{again}"),
                    StartKind::BreakGlass => {
                        format!("BREAK-GLASS: {tag} goes into {place} past every gate{again}")
                    }
                };
                Some(("promotionOpened", text))
            }
            Fact::GateChanged {
                promotion: of,
                gate,
            } if *of == promotion => Some(("gateChanged", self.gate(gate))),
            Fact::PromotionMoved { id, status } if *id == promotion => {
                Some(("promotionMoved", format!("the promotion is {status}")))
            }
            Fact::PromotionEnded {
                id,
                status,
                reason,
                by,
            } if *id == promotion => {
                let reason = match by {
                    Some(by) => format!("{} took its place", wire::tag(self.state, *by)),
                    None => reason.clone(),
                };
                Some((
                    "promotionEnded",
                    with_reason(&format!("the promotion ended: {status}"), &reason),
                ))
            }
            Fact::VoteCast {
                version,
                environment,
                user,
                vote,
                reason,
                ..
            } if (*version, *environment)
                == (self.promotion.version, self.promotion.environment) =>
            {
                let what = match vote {
                    Vote::Approved => "approved",
                    Vote::Rejected => "rejected",
                    Vote::Withdrawn => "withdrew the vote on",
                };
                let text = format!(
                    "{} {what} {} for {}",
                    self.people.name(*user),
                    self.tag(),
                    self.place()
                );
                Some(("voteCast", with_reason(&text, reason)))
            }
            Fact::JobsCreated {
                promotion: of,
                jobs,
                kind,
                ..
            } if *of == promotion => {
                self.jobs
                    .extend(jobs.iter().map(|job| (job.job, job.resource)));
                self.releases.extend(jobs.iter().map(|job| job.release));
                let places = self.named(jobs.iter().map(|job| job.resource), left_out);
                let attempt = jobs.first().map_or(1, |job| job.attempt);
                let noun = if jobs.len() + left_out == 1 {
                    "a job"
                } else {
                    "jobs"
                };
                let text = match kind {
                    StartKind::Forward => format!("{noun} for {places}"),
                    StartKind::Retry => format!("{noun} for {places}: attempt {attempt}"),
                    StartKind::Redeploy => format!("{noun} for {places}: once more"),
                    StartKind::Rollback => format!("{noun} for {places}: back to {}", self.tag()),
                    StartKind::BreakGlass => {
                        format!("BREAK-GLASS: {noun} for {places}, past every gate")
                    }
                };
                Some(("jobsCreated", text))
            }
            _ => departures::tell(self, fact)
                .or_else(|| self.tell_of_time(fact))
                .or_else(|| self.tell_of_job(fact)),
        }
    }

    /// What was set aside or frozen, where it is about this promotion.
    fn tell_of_time(&mut self, fact: &Fact) -> Option<(&'static str, String)> {
        let promotion = self.promotion;
        match fact {
            Fact::SkipCreated { skip } => {
                let about = skip.version.is_none_or(|id| id == promotion.version)
                    && skip
                        .environment
                        .is_none_or(|id| id == promotion.environment);
                // One that is limited to nothing is told where it made a difference.
                let named = skip.version.is_some() && skip.environment.is_some();
                if !about || !(named || self.rules.contains(&skip.rule)) {
                    return None;
                }
                let what = match wire::skipped(self.state, skip) {
                    (kind, _) if kind.is_empty() => "a rule".to_owned(),
                    (kind, name) => format!("{kind} of {name}"),
                };
                let place = skip.resource.map(|id| self.resource(id));
                let place = place.map_or_else(String::new, |place| format!(" on {place}"));
                let until = skip.expires_at;
                let until = until.map_or_else(String::new, |at| format!(" until {at}"));
                let text = format!("{what} was set aside{place}{until}");
                Some(("skipCreated", with_reason(&text, &skip.reason)))
            }
            Fact::SkipDeleted { reason, .. } if !self.rules.is_empty() => {
                let text = "what was set aside counts again";
                Some(("skipDeleted", with_reason(text, reason)))
            }
            Fact::FreezePut { freeze } if self.rules.contains(&RuleId(freeze.id.0)) => {
                let known = self.freezes.insert(freeze.id, freeze.name.clone());
                let what = if known.is_some() {
                    "was changed"
                } else {
                    "was set"
                };
                let text = format!("the freeze {} {what}", freeze.name);
                Some(("freezePut", with_reason(&text, &freeze.reason)))
            }
            Fact::FreezeDeleted { id, reason } if self.rules.contains(&RuleId(id.0)) => {
                let name = self.freezes.get(id).map_or("", String::as_str);
                let text = format!("the freeze {name} was ended").replace("  ", " ");
                Some(("freezeDeleted", with_reason(&text, reason)))
            }
            _ => None,
        }
    }

    fn tell_of_job(&mut self, fact: &Fact) -> Option<(&'static str, String)> {
        match fact {
            Fact::JobClaimed { id, runner, .. } => {
                let place = self.resource_of(*id)?;
                Some((
                    "jobClaimed",
                    format!("the runner `{runner}` took the job on {place}"),
                ))
            }
            Fact::JobLost { id, since, .. } => {
                let place = self.resource_of(*id)?;
                let text = format!(
                    "the runner of the job on {place} was not heard of since {since}; whether the job still runs is unknown"
                );
                Some(("jobLost", text))
            }
            Fact::JobFound { id, .. } => {
                let place = self.resource_of(*id)?;
                Some((
                    "jobFound",
                    format!("the runner of the job on {place} was heard of again"),
                ))
            }
            Fact::JobRequeued { id, .. } => {
                let place = self.resource_of(*id)?;
                let text = format!(
                    "the runner of the job on {place} did not come back; another may take the job"
                );
                Some(("jobRequeued", text))
            }
            Fact::JobCancelRequested { id, reason, by, .. } => {
                let place = self.resource_of(*id)?;
                let who = match by {
                    Some(user) => self.people.name(*user),
                    None => "Stagegate".to_owned(),
                };
                let text = format!("{who} asked for the job on {place} to be stopped");
                Some(("jobCancelRequested", with_reason(&text, reason)))
            }
            Fact::JobChanged {
                id,
                status,
                message,
                ..
            } => {
                let place = self.resource_of(*id)?;
                let text = with_reason(&format!("the job on {place} is {status}"), message);
                Some(("jobChanged", text))
            }
            Fact::ReportIgnored {
                job,
                status,
                standing,
            } => {
                let place = self.resource_of(*job)?;
                let text = format!(
                    "a late report of {status} for the job on {place} changed nothing: it is {standing}"
                );
                Some(("reportIgnored", text))
            }
            Fact::ReleaseEnded {
                job,
                status,
                reason,
                ..
            } => {
                let place = self.resource_of(*job)?;
                let text = with_reason(&format!("the release on {place} ended: {status}"), reason);
                Some(("releaseEnded", text))
            }
            Fact::VerificationStarted {
                id,
                job,
                metrics,
                rerun_of,
                ..
            } => {
                let place = self.resource_of(*job)?;
                let resource = self.place_of(*job)?;
                self.verifications.insert(*id, resource);
                let names = metrics.iter().map(|it| it.metric.name.clone()).collect();
                self.metrics.insert(*id, names);
                let again = if rerun_of.is_some() { " again" } else { "" };
                Some((
                    "verificationStarted",
                    format!("verification on {place} started{again}"),
                ))
            }
            Fact::Measured {
                verification,
                metric,
                ordinal,
                status,
                message,
                ..
            } => {
                let names = self.metrics.get(verification)?;
                let name = names.get(*metric).map_or("?", String::as_str);
                let place = self.resource(*self.verifications.get(verification)?);
                let text = format!(
                    "measurement {} of `{name}` on {place}: {status}",
                    ordinal + 1
                );
                Some(("measured", with_reason(&text, message)))
            }
            Fact::VerificationEnded {
                id,
                status,
                reason,
                decided_by,
            } => {
                let place = self.resource(*self.verifications.get(id)?);
                let text = match decided_by {
                    Some(user) => {
                        format!(
                            "{} decided the verification on {place}: {status}",
                            self.people.name(*user)
                        )
                    }
                    None => format!("the verification on {place} ended: {status}"),
                };
                Some(("verificationEnded", with_reason(&text, reason)))
            }
            _ => None,
        }
    }

    fn gate(&self, gate: &GateRecord) -> String {
        let stands = match gate.state {
            GateState::Allow => "opened",
            GateState::Wait => "waits",
            GateState::Deny => "is closed",
            GateState::Gone => return format!("the gate {} no longer applies", gate.kind),
        };
        with_reason(&format!("the gate {} {stands}", gate.kind), &gate.message)
    }
}

fn with_reason(text: &str, reason: &str) -> String {
    if reason.is_empty() {
        text.to_owned()
    } else {
        format!("{text}: {reason}")
    }
}
