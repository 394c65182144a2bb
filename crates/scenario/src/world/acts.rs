//! What people, CI and agents do.

use super::{Trouble, World, wrong};
use crate::format::{
    Act, ActKind, Decision, Deletion, JobFilter, MeasureAct, NewVersionAct, Report, UpdateAct,
    VoteAct,
};
use crate::reader::spelled;
use stagegate_engine::Job;
use stagegate_model::{
    Actor, Change, Command, Dependencies, DeploymentId, JobReport, NewVersion, VerificationId,
    VerificationStatus, VersionDependency, VersionPatch, Vote,
};
use std::collections::BTreeMap;

impl World {
    /// Does one act. Refusals speak of people by name.
    pub fn perform(&mut self, act: &Act) -> Result<(), Trouble> {
        self.perform_act(act).map_err(|trouble| match trouble {
            Trouble::Refused(mut refusals) => {
                for refusal in &mut refusals {
                    refusal.message = self.with_names(&refusal.message);
                    refusal.hint = self.with_names(&refusal.hint);
                }
                Trouble::Refused(refusals)
            }
            other => other,
        })
    }

    fn perform_act(&mut self, act: &Act) -> Result<(), Trouble> {
        match &act.kind {
            ActKind::Version(act) => self.create_version(act),
            ActKind::Update(act) => self.update_version(act),
            ActKind::Apply(documents) => {
                self.tell("documents are applied".to_owned());
                let sources = self.inline_sources(documents);
                self.apply(&sources, Actor::System)
            }
            ActKind::ApplyFiles(files) => {
                let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
                self.tell(format!("{} is applied", names.join(", ")));
                let sources = self.file_sources(files)?;
                self.apply(&sources, Actor::System)
            }
            ActKind::Delete(act) => self.delete(act),
            ActKind::Vote(act) => self.vote(act),
            ActKind::Report(act) => self.report(act),
            ActKind::Claim { filter, runner } => {
                for (id, what) in self.chosen(filter)? {
                    self.tell(format!("{runner} claims the job of {what}"));
                    let runner = runner.clone();
                    self.execute(
                        Command::ClaimJob {
                            lease: false,
                            job: id,
                            runner,
                        },
                        Actor::System,
                    )?;
                }
                Ok(())
            }
            ActKind::Measure(act) => self.measure_now(act),
            ActKind::Decide { pass, decision } => {
                let word = if *pass { "passes" } else { "fails" };
                self.decide(decision, word, |verification, reason| {
                    Command::DecideVerification {
                        verification,
                        pass: *pass,
                        reason,
                    }
                })
            }
            ActKind::Rerun(decision) => {
                self.decide(decision, "runs again", |verification, reason| {
                    Command::RerunVerification {
                        verification,
                        reason,
                    }
                })
            }
            ActKind::Order(act) => self.order(act),
            ActKind::People(act) => self.people_act(act),
            ActKind::RevokeKey(by) => {
                self.tell(format!("the key of {by} is revoked"));
                let (_, id) = self.key(by)?;
                self.execute(Command::RevokeKey { id }, Actor::System)
            }
            ActKind::Agents(scripts) => {
                self.tell("agents answer otherwise from here on".to_owned());
                self.agents.clone_from(scripts);
                self.coming.clear();
                self.scripted.clear();
                self.script_jobs();
                Ok(())
            }
            ActKind::Metrics(scripts) => {
                self.tell("metrics yield otherwise from here on".to_owned());
                self.metrics.clone_from(scripts);
                Ok(())
            }
            ActKind::Restart(how) => self.restart(*how),
        }
    }

    fn create_version(&mut self, act: &NewVersionAct) -> Result<(), Trouble> {
        let deployment = self
            .deployment(act.deployment.as_deref())
            .map_err(Trouble::Wrong)?;
        let created_at = act.created_at.map(|moment| moment.after(self.start));
        let built = created_at.map_or_else(String::new, |at| {
            format!(", built at {}", spelled(at.millis_since(self.start)))
        });
        let status = match act.status {
            stagegate_model::VersionStatus::Ready => String::new(),
            status => format!(", {status}"),
        };
        let slug = self.ledger.name(deployment.0).to_owned();
        let who = act.by.as_deref().unwrap_or("CI");
        self.tell(format!(
            "{who} announces {} of {slug}{status}{built}",
            act.tag
        ));
        let actor = self.actor(act.by.as_deref())?;
        let mut dependencies = Dependencies::new();
        for (slug, selector) in &act.dependencies {
            let (id, dependency) = self.dependency(slug, selector)?;
            dependencies.insert(id, dependency);
        }
        let new = NewVersion {
            job_limits: Default::default(),
            id: self.new_id().into(),
            deployment,
            tag: act.tag.clone(),
            name: act.name.clone(),
            config: act.config.clone(),
            job_agent_config: act.job_agent_config.clone(),
            dependencies,
            status: act.status,
            message: act.message.clone(),
            metadata: act.metadata.clone(),
            created_at,
        };
        self.execute(Command::CreateVersion(new), actor)
    }

    fn dependency(
        &self,
        slug: &str,
        selector: &str,
    ) -> Result<(DeploymentId, VersionDependency), Trouble> {
        let id = self.deployment(Some(slug)).map_err(Trouble::Wrong)?;
        let version_selector = selector.to_owned();
        Ok((id, VersionDependency { version_selector }))
    }

    fn update_version(&mut self, act: &UpdateAct) -> Result<(), Trouble> {
        let deployment = self
            .deployment(act.deployment.as_deref())
            .map_err(Trouble::Wrong)?;
        let id = self
            .version(deployment, &act.version)
            .map_err(Trouble::Wrong)?
            .id;
        let mut parts = Vec::new();
        if let Some(status) = act.status {
            parts.push(format!("status {status}"));
        }
        let mut note = |there: bool, name: &str| {
            if there {
                parts.push(name.to_owned());
            }
        };
        note(act.tag.is_some(), "tag");
        note(act.name.is_some(), "name");
        note(act.config.is_some(), "config");
        note(act.job_agent_config.is_some(), "jobAgentConfig");
        note(!act.dependencies.is_empty(), "dependencies");
        note(act.message.is_some(), "message");
        note(act.metadata.is_some(), "metadata");
        let who = act.by.as_deref().unwrap_or("CI");
        self.tell(format!(
            "{who} updates {}: {}",
            act.version,
            parts.join(", ")
        ));
        let actor = self.actor(act.by.as_deref())?;
        let mut dependencies = BTreeMap::new();
        for (slug, selector) in &act.dependencies {
            let (id, dependency) = self.dependency(slug, selector)?;
            dependencies.insert(id, Some(dependency).filter(|_| selector != "none"));
        }
        let patch = VersionPatch {
            id,
            tag: act.tag.clone(),
            name: act.name.clone(),
            config: act.config.clone(),
            job_agent_config: act.job_agent_config.clone(),
            dependencies,
            status: act.status,
            message: act.message.clone(),
            metadata: act.metadata.clone(),
        };
        self.execute(Command::UpdateVersion(patch), actor)
    }

    fn delete(&mut self, act: &Deletion) -> Result<(), Trouble> {
        let names: Vec<&str> = act.names.iter().map(|(_, name)| name.as_str()).collect();
        self.tell(format!("{} is deleted", names.join(", ")));
        let mut changes = Vec::new();
        for (kind, name) in &act.names {
            let state = self.engine.state();
            let change = match *kind {
                "resource" => state
                    .resource_by_identifier(name)
                    .map(|it| Change::DeleteResource(it.id)),
                "environment" => state
                    .environment_by_name(name)
                    .map(|it| Change::DeleteEnvironment(it.id)),
                "deployment" => state
                    .deployment_by_slug(name)
                    .map(|it| Change::DeleteDeployment(it.id)),
                "policy" => state
                    .policy_by_name(name)
                    .map(|it| Change::DeletePolicy(it.id)),
                "variableSet" => state
                    .variable_set_by_name(name)
                    .map(|it| Change::DeleteVariableSet(it.id)),
                "relationshipRule" => state
                    .relationship_rule_by_name(name)
                    .map(|it| Change::DeleteRelationshipRule(it.id)),
                "jobAgent" => state
                    .agent_by_name(name)
                    .map(|it| Change::DeleteJobAgent(it.id)),
                _ => state
                    .system_by_name(name)
                    .map(|it| Change::DeleteSystem(it.id)),
            };
            match change {
                Some(change) => changes.push(change),
                None => return wrong(format!("there is no {kind} `{name}` to delete")),
            }
        }
        let actor = self.actor(act.by.as_deref())?;
        self.execute(Command::Configure(changes), actor)
    }

    fn vote(&mut self, act: &VoteAct) -> Result<(), Trouble> {
        let deployment = self
            .deployment(act.deployment.as_deref())
            .map_err(Trouble::Wrong)?;
        let version = self
            .version(deployment, &act.version)
            .map_err(Trouble::Wrong)?
            .id;
        let environments = act.environments.iter();
        let environments: Result<Vec<_>, _> =
            environments.map(|name| self.environment(name)).collect();
        let environments = environments.map_err(Trouble::Wrong)?;
        let does = match act.vote {
            Vote::Approved => "approves",
            Vote::Rejected => "rejects",
            Vote::Withdrawn => "withdraws the vote on",
        };
        let place = act.environments.join(", ");
        self.tell(format!("{} {does} {} for {place}", act.by, act.version));
        let actor = self.actor(Some(&act.by))?;
        let command = Command::CastVote {
            version,
            environments,
            vote: act.vote,
            reason: act.reason.clone(),
        };
        self.execute(command, actor)
    }

    fn report(&mut self, act: &Report) -> Result<(), Trouble> {
        for (job, what) in self.chosen(&act.filter)? {
            for _ in 0..act.times {
                let who = act.runner.as_deref().unwrap_or("an agent");
                self.tell(format!("{who} reports the job of {what}: {}", act.outcome));
                let report = JobReport {
                    epoch: None,
                    exit: None,
                    links: Default::default(),
                    job,
                    status: act.outcome,
                    message: act.message.clone(),
                    runner: act.runner.clone(),
                    external_id: act.external_id.clone(),
                    output_tail: None,
                };
                self.report_job(report)?;
            }
        }
        Ok(())
    }

    /// The jobs that are meant, with words for each. None is a mistake in the scenario, and so are too few.
    fn chosen(&self, filter: &JobFilter) -> Result<Vec<(stagegate_model::JobId, String)>, Trouble> {
        let jobs = self.ledger.jobs();
        let mut fitting: Vec<&Job> = jobs
            .iter()
            .copied()
            .filter(|job| self.fits(job, filter))
            .filter(|job| match filter.statuses.is_empty() {
                true => !job.status.is_terminal(),
                false => filter.statuses.contains(&job.status),
            })
            .collect();
        let found = fitting.len() as u64;
        let wanted = filter.first.or(filter.last).unwrap_or(1);
        if found < wanted {
            let all: Vec<String> = jobs.iter().map(|job| self.job_in_words(job)).collect();
            let all = if all.is_empty() {
                "there was no job yet".to_owned()
            } else {
                format!("the jobs so far: {}", all.join("; "))
            };
            return wrong(match found {
                0 => format!("no job fits; {all}"),
                _ => format!("{wanted} jobs were asked for and {found} fit; {all}"),
            });
        }
        if let Some(first) = filter.first {
            fitting.truncate(usize::try_from(first).unwrap_or(usize::MAX));
        }
        if let Some(last) = filter.last {
            let skipped = found.saturating_sub(last);
            fitting.drain(..usize::try_from(skipped).unwrap_or(0));
        }
        Ok(fitting
            .into_iter()
            .map(|job| {
                let what = format!("{} on {}", self.ledger.name(job.version.0), self.place(job));
                (job.id, what)
            })
            .collect())
    }

    /// Whether a job is one of those meant, whatever its status.
    pub fn fits(&self, job: &Job, filter: &JobFilter) -> bool {
        let is = |wanted: &Option<String>, id: uuid::Uuid| {
            wanted.as_ref().is_none_or(|wanted| {
                let name = self.ledger.name(id);
                name == wanted || name.to_lowercase() == wanted.to_lowercase()
            })
        };
        is(&filter.agent, job.agent.0)
            && is(&filter.deployment, job.target.deployment.0)
            && is(&filter.environment, job.target.environment.0)
            && is(&filter.resource, job.target.resource.0)
            && is(&filter.version, job.version.0)
            && filter
                .attempt
                .is_none_or(|attempt| attempt == u64::from(job.attempt))
    }

    /// `v1 on Staging/staging-1: successful`.
    pub fn job_in_words(&self, job: &Job) -> String {
        let attempt = match job.attempt {
            1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        format!(
            "{} on {}{attempt}: {}",
            self.ledger.name(job.version.0),
            self.place(job),
            job.status
        )
    }

    fn measure_now(&mut self, act: &MeasureAct) -> Result<(), Trouble> {
        let mut chosen: Vec<(VerificationId, usize)> = Vec::new();
        // A late measurement names its ordinal; otherwise only what still runs is measured.
        for (job, verification) in self.ledger.verifications() {
            let open = act.ordinal.is_some() || verification.status == VerificationStatus::Running;
            if !open || !self.fits(job, &act.filter) {
                continue;
            }
            for (index, run) in verification.metrics.iter().enumerate() {
                let name = &run.planned.metric.name;
                if act.metric.as_ref().is_none_or(|metric| metric == name) {
                    chosen.push((verification.id, index));
                }
            }
        }
        if chosen.is_empty() {
            return wrong("no running verification with such a metric fits");
        }
        let ordinal = act.ordinal.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        for (verification, metric) in chosen {
            self.measure(verification, metric, ordinal, act.measured.clone())?;
        }
        Ok(())
    }

    /// A person decides the latest verification of each job that fits and waits for a person; when none waits, the
    /// latest of all, so that a refusal can be told.
    fn decide(
        &mut self,
        decision: &Decision,
        word: &str,
        command: impl Fn(VerificationId, String) -> Command,
    ) -> Result<(), Trouble> {
        let verifications = self.ledger.verifications();
        let fitting: Vec<_> = verifications
            .iter()
            .filter(|(job, _)| self.fits(job, &decision.filter))
            .filter(|(_, it)| {
                !verifications
                    .iter()
                    .any(|(_, other)| other.rerun_of == Some(it.id))
            })
            .collect();
        let paused = |status| {
            !matches!(
                status,
                VerificationStatus::Running
                    | VerificationStatus::Passed
                    | VerificationStatus::Failed
            )
        };
        let mut chosen: Vec<_> = fitting
            .iter()
            .filter(|(_, it)| paused(it.status))
            .map(|(job, it)| (it.id, self.place(job)))
            .collect();
        if chosen.is_empty() {
            let latest = fitting.last().map(|(job, it)| (it.id, self.place(job)));
            chosen.extend(latest);
        }
        if chosen.is_empty() {
            return wrong("there is no verification that fits");
        }
        let actor = self.actor(Some(&decision.by))?;
        for (id, place) in chosen {
            self.tell(format!(
                "{}: the verification on {place} {word}",
                decision.by
            ));
            self.execute(command(id, decision.reason.clone()), actor)?;
        }
        Ok(())
    }
}
