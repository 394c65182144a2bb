//! What may happen in a random sequence, drawn small so that what fails shrinks well.

use crate::oracle::selectors::{
    AGENT_SELECTORS, BAD_DATE, DEPLOYMENT_SELECTORS, ENVIRONMENTS, GOOD_DATE, POLICY_SELECTORS,
    UPSTREAM_SELECTORS, environment_selector,
};
use crate::world::World;
use proptest::prelude::*;
use serde_json::{Value, json};
use stagegate_model::*;

const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];
/// Policies by slot, so that they are edited and replace each other.
const POLICIES: [&str; 4] = ["one", "two", "three", "four"];
const RESOURCES: usize = 6;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Draw {
    Version {
        web: bool,
        metadata: usize,
        back_minutes: i64,
        building: bool,
    },
    Patch {
        version: usize,
        what: usize,
    },
    Vote {
        person: usize,
        version: usize,
        environment: usize,
        vote: usize,
    },
    Claim {
        job: usize,
        again: bool,
    },
    Report {
        job: usize,
        status: usize,
        again: bool,
    },
    /// Everything that runs succeeds.
    Sweep,
    Measure {
        which: usize,
        code: u32,
    },
    Decide {
        which: usize,
        pass: bool,
    },
    Rerun {
        which: usize,
    },
    Resource {
        which: usize,
        environment: usize,
        zone: usize,
        odd: usize,
    },
    DeleteResource {
        which: usize,
    },
    Policy {
        slot: usize,
        selector: usize,
        rules: Vec<RuleDraw>,
        replaces: usize,
    },
    Toggle {
        slot: usize,
    },
    DeletePolicy {
        slot: usize,
    },
    Environment {
        which: usize,
        more: usize,
        tier: usize,
        systems: usize,
    },
    DeleteEnvironment {
        which: usize,
    },
    Deployment {
        web: bool,
        selector: usize,
        agent: usize,
        systems: usize,
    },
    RenameSystem,
    Agent {
        there: bool,
    },
    Pass {
        seconds: i64,
        between: u32,
    },
    Wake,
}

#[derive(Clone, Debug)]
pub enum RuleDraw {
    Approvals(u32),
    Progression {
        upstream: usize,
        percentage: usize,
        soak_minutes: usize,
        age_hours: usize,
        odd: usize,
    },
    Verification(usize),
}

fn rule() -> impl Strategy<Value = RuleDraw> {
    prop_oneof![
        3 => (1..3_u32).prop_map(RuleDraw::Approvals),
        4 => (0..5_usize, 0..5_usize, 0..3_usize, 0..3_usize, 0..8_usize).prop_map(
            |(upstream, percentage, soak_minutes, age_hours, odd)| RuleDraw::Progression {
                upstream, percentage, soak_minutes, age_hours, odd,
            }
        ),
        2 => (0..4_usize).prop_map(RuleDraw::Verification),
    ]
}

pub fn draw() -> impl Strategy<Value = Draw> {
    let index = 0..64_usize;
    let again = prop::bool::weighted(0.1);
    let people = prop_oneof![
        16 => (any::<bool>(), 0..6_usize, 0..20_i64, prop::bool::weighted(0.1)).prop_map(
            |(web, metadata, back_minutes, building)| Draw::Version { web, metadata, back_minutes, building }
        ),
        4 => (index.clone(), 0..10_usize).prop_map(|(version, what)| Draw::Patch { version, what }),
        24 => (0..3_usize, index.clone(), 0..6_usize, 0..6_usize).prop_map(
            |(person, version, environment, vote)| Draw::Vote { person, version, environment, vote }
        ),
        1 => (index.clone(), any::<bool>()).prop_map(|(which, pass)| Draw::Decide { which, pass }),
        1 => index.clone().prop_map(|which| Draw::Rerun { which }),
    ];
    let programs = prop_oneof![
        3 => (index.clone(), again).prop_map(|(job, again)| Draw::Claim { job, again }),
        24 => (index.clone(), 0..14_usize, again).prop_map(
            |(job, status, again)| Draw::Report { job, status, again }
        ),
        9 => Just(Draw::Sweep),
        10 => (index.clone(), prop_oneof![6 => Just(200), 1 => Just(404), 1 => Just(500), 1 => Just(0)])
            .prop_map(|(which, code)| Draw::Measure { which, code }),
    ];
    let resources = prop_oneof![
        5 => (0..RESOURCES, 0..8_usize, 0..3_usize, 0..8_usize).prop_map(
            |(which, environment, zone, odd)| Draw::Resource { which, environment, zone, odd }
        ),
        1 => (0..RESOURCES).prop_map(|which| Draw::DeleteResource { which }),
    ];
    // Those at the end look at version and resource at once, or cannot always be asked.
    let all = POLICY_SELECTORS.len();
    let selector = prop_oneof![3 => 0..all, 2 => all - 3..all];
    let configuration = prop_oneof![
        8 => (0..4_usize, selector, prop::collection::vec(rule(), 1..3), 0..8_usize).prop_map(
            |(slot, selector, rules, replaces)| Draw::Policy { slot, selector, rules, replaces }
        ),
        2 => (0..4_usize).prop_map(|slot| Draw::Toggle { slot }),
        1 => (0..4_usize).prop_map(|slot| Draw::DeletePolicy { slot }),
        2 => (0..3_usize, 0..4_usize, 0..3_usize, 0..6_usize).prop_map(
            |(which, more, tier, systems)| Draw::Environment { which, more, tier, systems }
        ),
        1 => (0..3_usize).prop_map(|which| Draw::DeleteEnvironment { which }),
        2 => (any::<bool>(), 0..4_usize, 0..6_usize, 0..6_usize).prop_map(
            |(web, selector, agent, systems)| Draw::Deployment { web, selector, agent, systems }
        ),
        2 => Just(Draw::RenameSystem),
        8 => prop::bool::weighted(0.7).prop_map(|there| Draw::Agent { there }),
    ];
    prop_oneof![
        34 => people,
        36 => programs,
        12 => resources,
        14 => configuration,
        18 => (prop_oneof![0..120_i64, 0..7_200_i64], any::<u32>())
            .prop_map(|(seconds, between)| Draw::Pass { seconds, between }),
        1 => Just(Draw::Wake),
    ]
}

/// Plays draws in a world, and knows the names of what it made.
pub struct Hand {
    web: DeploymentId,
    systems: Vec<SystemId>,
    second_agent: JobAgentId,
    versions: Vec<VersionId>,
}

fn pick<T: Copy>(among: &[T], index: usize) -> Option<T> {
    (!among.is_empty()).then(|| among[index % among.len()])
}

impl Hand {
    pub fn new(world: &mut World) -> Self {
        let other = world.id().into();
        world.configure(vec![Change::PutSystem(System {
            id: other,
            name: "other".into(),
            slug: "other".into(),
            description: String::new(),
            metadata: Metadata::new(),
        })]);
        for name in ENVIRONMENTS {
            world.environment(name);
        }
        for name in PEOPLE {
            world.person(name, Role::Approver);
        }
        let web = world.deployment("web");
        // Its agent is yet to come, and may go again.
        let second_agent = world.id().into();
        let mut deployment = (*world.state().deployments()[&web]).clone();
        deployment.job_agent_selector = AGENT_SELECTORS[2].0.into();
        world.configure(vec![Change::PutDeployment(deployment)]);
        for which in 0..RESOURCES {
            let zone = ["eu", "us"][which % 2];
            let metadata = [("env", ENVIRONMENTS[which % 3]), ("zone", zone)];
            world.resource_with(&format!("r{which}"), &metadata);
        }
        for (name, upstream, percentage, minutes) in
            [("one", "Staging", 50, 30), ("two", "QA", 50, 5)]
        {
            let rule = json!({ "environmentProgression": {
                "waitFor": upstream,
                "minimumSuccessPercentage": percentage,
                "minimumSoakTimeMinutes": minutes,
            } });
            let after = if name == "one" {
                "Production"
            } else {
                "Staging"
            };
            let selector = format!("environment.name == \"{after}\"");
            // What succeeded in staging counts once it was verified.
            let verified = (name == "two").then(|| written(&RuleDraw::Verification(2)));
            let rules = std::iter::once(rule).chain(verified).collect();
            world.policy(name, &selector, Value::Array(rules));
        }
        let selector = "environment.name == \"Production\" && system.name == \"shop\"";
        world.policy("three", selector, json!([crate::world::approvals(1)]));
        let selector =
            "environment.name == \"Production\" && resource.metadata[\"zone\"] == \"eu\"";
        let rules = json!([
            crate::world::approvals(2),
            written(&RuleDraw::Verification(2))
        ]);
        world.policy("four", selector, rules);
        Self {
            web,
            systems: vec![world.system, other],
            second_agent,
            versions: Vec::new(),
        }
    }

    pub fn play(&mut self, world: &mut World, draw: &Draw) {
        if let Draw::Sweep = draw {
            let jobs = world.state().jobs().values();
            let open: Vec<_> = jobs
                .filter(|it| !it.status.is_terminal())
                .map(|it| it.id)
                .collect();
            for job in open {
                world.report(job, JobStatus::Successful);
            }
        }
        let Some((actor, command)) = self.command(world, draw) else {
            return;
        };
        // What is refused changes nothing.
        let _ = world.attempt(actor, command);
    }

    fn command(&mut self, world: &mut World, draw: &Draw) -> Option<(Actor, Command)> {
        let root = world.actor("root");
        let change = |change| Some((root, Command::Configure(vec![change])));
        Some((
            root,
            match draw {
                Draw::Version {
                    web,
                    metadata,
                    back_minutes,
                    building,
                } => {
                    let tag = format!("v{}", self.versions.len() + 1);
                    let mut new = world.new_version(&tag);
                    if *web {
                        new.deployment = self.web;
                    }
                    let late = *back_minutes > 10;
                    new.created_at = late.then(|| world.now.plus_seconds(-60 * back_minutes));
                    if *building {
                        new.status = VersionStatus::Building;
                    }
                    new.metadata = version_metadata(*metadata);
                    self.versions.push(new.id);
                    Command::CreateVersion(new)
                }
                Draw::Patch { version, what } => {
                    let id = pick(&self.versions, *version)?;
                    Command::UpdateVersion(patch(id, *what))
                }
                Draw::Vote {
                    person,
                    version,
                    environment,
                    vote,
                } => {
                    // Mostly on late ones.
                    let late = self.versions.len().saturating_sub(2);
                    let version = pick(&self.versions[late..], *version)?;
                    let name = ENVIRONMENTS[(*environment).min(2)];
                    let vote = [Vote::Rejected, Vote::Withdrawn].get(*vote).copied();
                    let command = Command::CastVote {
                        version,
                        environments: vec![world.environment_id(name)],
                        vote: vote.unwrap_or(Vote::Approved),
                        reason: String::new(),
                    };
                    return Some((world.actor(PEOPLE[*person]), command));
                }
                Draw::Claim { job, again } => Command::ClaimJob {
                    lease: false,
                    job: self.job(world, *job, *again)?,
                    runner: "r1".into(),
                },
                Draw::Report { job, status, again } => {
                    let statuses = [
                        JobStatus::Failure,
                        JobStatus::Cancelled,
                        JobStatus::InProgress,
                        JobStatus::Skipped,
                    ];
                    let status = statuses.get(*status).copied();
                    let job = self.job(world, *job, *again)?;
                    let status = status.unwrap_or(JobStatus::Successful);
                    Command::ReportJob(world.report_command(job, status))
                }
                Draw::Measure { which, code } => self.measure(world, *which, *code)?,
                Draw::Decide { which, pass } => Command::DecideVerification {
                    verification: self.verification(world, *which)?,
                    pass: *pass,
                    reason: "looked".into(),
                },
                Draw::Rerun { which } => Command::RerunVerification {
                    verification: self.verification(world, *which)?,
                    reason: "again".into(),
                },
                Draw::Resource {
                    which,
                    environment,
                    zone,
                    odd,
                } => {
                    let mut metadata = Vec::new();
                    let name = format!("r{which}");
                    let known = world.state().resource_by_identifier(&name);
                    let known = known.and_then(|it| it.metadata("env").map(str::to_owned));
                    // Where it is, elsewhere, or nowhere.
                    let place = match environment {
                        0..3 => Some(ENVIRONMENTS[*environment].to_owned()),
                        3 => None,
                        _ => known,
                    };
                    metadata.extend(place.as_ref().map(|place| ("env", place.as_str())));
                    if let Some(zone) = ["eu", "us"].get(*zone) {
                        metadata.push(("zone", *zone));
                    }
                    let date = [BAD_DATE, GOOD_DATE].get(*odd);
                    metadata.extend(date.map(|date| ("since", *date)));
                    let mut resource = world.new_resource(&name, &metadata);
                    match odd {
                        2 => resource.kind = "function".into(),
                        3 => resource.config = json!({}),
                        _ => {}
                    }
                    return change(Change::PutResource(resource));
                }
                Draw::DeleteResource { which } => {
                    let known = world.state().resource_by_identifier(&format!("r{which}"))?;
                    return change(Change::DeleteResource(known.id));
                }
                Draw::Policy {
                    slot,
                    selector,
                    rules,
                    replaces,
                } => {
                    let (name, text) = (POLICIES[*slot], POLICY_SELECTORS[*selector].0);
                    let known = world.state().policy_by_name(name).cloned();
                    let rules: Vec<Value> = rules.iter().map(written).collect();
                    let mut policy = world.new_policy(name, text, Value::Array(rules));
                    for rule in &mut policy.rules {
                        // A rule that says what it said stays the one it was.
                        let before = known.iter().flat_map(|known| &known.rules);
                        let mut before =
                            before.filter(|old| (&old.kind, &old.spec) == (&rule.kind, &rule.spec));
                        if let Some(old) = before.next() {
                            rule.id = old.id;
                        }
                    }
                    policy.rules.dedup_by_key(|rule| rule.id);
                    let replaced = POLICIES.get(*replaces);
                    let replaced = replaced.and_then(|it| world.state().policy_by_name(it));
                    policy.replaces.extend(replaced.map(|it| it.id));
                    return change(Change::PutPolicy(policy));
                }
                Draw::Toggle { slot } => {
                    let mut policy = (**world.state().policy_by_name(POLICIES[*slot])?).clone();
                    policy.enabled = !policy.enabled;
                    return change(Change::PutPolicy(policy));
                }
                Draw::DeletePolicy { slot } => {
                    let policy = world.state().policy_by_name(POLICIES[*slot])?;
                    return change(Change::DeletePolicy(policy.id));
                }
                Draw::Environment {
                    which,
                    more,
                    tier,
                    systems,
                } => {
                    let name = ENVIRONMENTS[*which];
                    let known = world.state().environment_by_name(name).cloned();
                    let mut environment = match known {
                        Some(known) => (*known).clone(),
                        None => world.new_environment(name),
                    };
                    environment.resource_selector = environment_selector(name, *more);
                    let tier = ["prod", "test"].get(*tier).copied().unwrap_or_default();
                    environment.metadata.insert("tier".into(), tier.into());
                    environment.systems = self.some_systems(*systems);
                    return change(Change::PutEnvironment(environment));
                }
                Draw::DeleteEnvironment { which } => {
                    let known = world.state().environment_by_name(ENVIRONMENTS[*which])?;
                    return change(Change::DeleteEnvironment(known.id));
                }
                Draw::Deployment {
                    web,
                    selector,
                    agent,
                    systems,
                } => {
                    let id = if *web { self.web } else { world.main };
                    let mut deployment = (**world.state().deployments().get(&id)?).clone();
                    let selector = selector % DEPLOYMENT_SELECTORS.len();
                    deployment.resource_selector = DEPLOYMENT_SELECTORS[selector].0.into();
                    if let Some(agent) = AGENT_SELECTORS.get(*agent) {
                        deployment.job_agent_selector = agent.0.into();
                    }
                    deployment.systems = self.some_systems(*systems);
                    return change(Change::PutDeployment(deployment));
                }
                Draw::RenameSystem => {
                    let mut system = (**world.state().systems().get(&self.systems[0])?).clone();
                    let renamed = system.name == "shop";
                    system.name = if renamed { "store" } else { "shop" }.into();
                    return change(Change::PutSystem(system));
                }
                Draw::Agent { there } => {
                    return change(if *there {
                        Change::PutJobAgent(second(self.second_agent))
                    } else {
                        Change::DeleteJobAgent(self.second_agent)
                    });
                }
                Draw::Wake | Draw::Sweep | Draw::Pass { .. } => Command::Wake,
            },
        ))
    }

    fn some_systems(&self, which: usize) -> std::collections::BTreeSet<SystemId> {
        match which {
            0 => [self.systems[1]].into(),
            1 | 2 => self.systems.iter().copied().collect(),
            _ => [self.systems[0]].into(),
        }
    }

    /// A job that has not ended, or any.
    fn job(&self, world: &World, index: usize, any: bool) -> Option<JobId> {
        let jobs = world.state().jobs().values();
        let jobs = jobs.filter(|job| any || !job.status.is_terminal());
        pick(&jobs.map(|job| job.id).collect::<Vec<_>>(), index)
    }

    /// A verification, one that waits for a person if there is any.
    fn verification(&self, world: &World, index: usize) -> Option<VerificationId> {
        let all = world.state().verifications();
        let waiting = all.values().filter(|it| {
            matches!(
                it.status,
                VerificationStatus::Inconclusive | VerificationStatus::Error
            )
        });
        let waiting: Vec<_> = waiting.map(|it| it.id).collect();
        if waiting.is_empty() {
            return pick(&all.keys().copied().collect::<Vec<_>>(), index);
        }
        pick(&waiting, index)
    }

    fn measure(&self, world: &World, which: usize, code: u32) -> Option<Command> {
        let all = world.state().verifications().values();
        let running = all.filter(|it| it.status == VerificationStatus::Running);
        let running: Vec<_> = running.map(|it| (it.id, it.metrics[0].taken)).collect();
        let (verification, ordinal) = pick(&running, which)?;
        let outcome = match code {
            0 => Err("no answer".to_owned()),
            code => Ok(json!({ "statusCode": code })),
        };
        Some(Command::RecordMeasurement {
            verification,
            metric: 0,
            ordinal,
            outcome,
        })
    }
}

fn second(id: JobAgentId) -> JobAgent {
    JobAgent {
        job_limits: Default::default(),
        id,
        name: "second".into(),
        kind: "exec".into(),
        config: json!({}),
        metadata: Metadata::new(),
    }
}

fn version_metadata(which: usize) -> Metadata {
    let pair = match which {
        0 | 1 => ("channel", "hotfix"),
        2 => ("due", GOOD_DATE),
        3 => ("due", BAD_DATE),
        _ => return Metadata::new(),
    };
    [(pair.0.to_owned(), pair.1.to_owned())].into()
}

fn patch(id: VersionId, what: usize) -> VersionPatch {
    let statuses = [
        VersionStatus::Ready,
        VersionStatus::Ready,
        VersionStatus::Paused,
        VersionStatus::Rejected,
        VersionStatus::Failed,
    ];
    VersionPatch {
        id,
        tag: None,
        name: None,
        config: (what == 5).then(|| json!({ "size": 2 })),
        job_agent_config: None,
        dependencies: Default::default(),
        status: statuses.get(what).copied(),
        message: None,
        metadata: (what > 5).then(|| version_metadata(what - 6)),
    }
}

fn written(rule: &RuleDraw) -> Value {
    match rule {
        RuleDraw::Approvals(count) => json!({ "anyApproval": { "minApprovals": count } }),
        RuleDraw::Progression {
            upstream,
            percentage,
            soak_minutes,
            age_hours,
            odd,
        } => {
            let mut spec = match ENVIRONMENTS.get(*upstream) {
                Some(name) => json!({ "waitFor": name.to_lowercase() }),
                None => {
                    json!({ "dependsOnEnvironmentSelector": UPSTREAM_SELECTORS[upstream - ENVIRONMENTS.len()].0 })
                }
            };
            let percentage = [0, 34, 50, 67].get(*percentage);
            if let Some(percentage) = percentage {
                spec["minimumSuccessPercentage"] = json!(percentage);
            }
            if let Some(minutes) = [5, 30].get(*soak_minutes) {
                spec["minimumSoakTimeMinutes"] = json!(minutes);
            }
            if *age_hours == 0 {
                spec["maximumAgeHours"] = json!(1);
            }
            match odd {
                0 => spec["allowNoTargets"] = json!(true),
                1 => spec["requireVerificationPassed"] = json!(false),
                2 => spec["successStatuses"] = json!(["successful", "skipped"]),
                _ => {}
            }
            json!({ "environmentProgression": spec })
        }
        RuleDraw::Verification(trigger) => {
            let mut metric = crate::world::metric("health");
            metric["failureCondition"] = json!("result.statusCode >= 500");
            metric["consecutiveErrorThreshold"] = json!(0);
            let trigger = VerificationTrigger::ALL[*trigger];
            json!({ "verification": { "triggerOn": trigger, "metrics": [metric] } })
        }
    }
}
