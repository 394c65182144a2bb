//! Texts of documents, folded into an empty workspace and looked over: what is legal in them but unwise, with its
//! place. No server is needed.

use crate::Persons;
use crate::error::DocumentError;
use crate::plan::{Plan, plan_many};
use crate::state::WithPersons;
use stagegate_engine::lint::{Finding, Whole};
use stagegate_engine::{Context, Engine, visit_approvers};
use stagegate_model::{
    Actor, Change, Command, EntryId, Group, Rejection, Role, Timestamp, UserId, WorkspaceId,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A finding and where in the texts it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linted {
    pub finding: Finding,
    pub file: String,
    /// Which document of the file, from 1; 0 when it is none in particular.
    pub document: usize,
    pub line: usize,
    pub column: usize,
}

/// What is unwise in the texts, in their order. Each comes with the name used in messages; they are one whole, as
/// for [`plan_many`]. Windows are looked at for a year from `now` on.
///
/// Persons and groups that are named as approvers are taken to exist; nothing is said about who they are.
///
/// # Errors
/// All that is wrong with the texts, as when they are applied.
pub fn lint(texts: &[(&str, &str)], now: Timestamp) -> Result<Vec<Linted>, Vec<DocumentError>> {
    let mut ids = Ids { now, last: 0 };
    let mut engine = Engine::default();
    let workspace = Command::CreateWorkspace {
        id: WorkspaceId(ids.fresh()),
        name: "Files".to_owned(),
        slug: "files".to_owned(),
    };
    let mut all = execute(&mut engine, workspace, &mut ids);
    // Read once to learn whom the texts name, and once more when they exist.
    let nobody = Persons::default();
    let first = read(texts, &engine, None, &mut ids)?;
    let named = Named::of(&first.changes);
    let persons = named.introduce(&mut engine, &mut ids, &mut all);
    let persons = persons.as_ref().unwrap_or(&nobody);
    let plan = read(texts, &engine, Some(persons), &mut ids)?;
    if !plan.is_empty() {
        all = all.and(execute(
            &mut engine,
            Command::Configure(plan.changes.clone()),
            &mut ids,
        ));
    }
    if let Err(rejection) = all {
        return Err(vec![plan.locate(&rejection)]);
    }
    while engine.is_dirty() {
        let before = engine.state().head().seq;
        engine.settle(ids.context());
        // What decides nothing more has nothing more to decide.
        if engine.state().head().seq == before {
            break;
        }
    }
    let findings = engine.lint(now, Whole::Files);
    let mut linted: Vec<Linted> = findings
        .into_iter()
        .map(|finding| place(&plan, finding, persons))
        .collect();
    let order: Vec<&str> = texts.iter().map(|(file, _)| *file).collect();
    linted.sort_by_key(|it| {
        let file = order.iter().position(|file| *file == it.file);
        (file, it.line, it.column)
    });
    Ok(linted)
}

/// Ids in the order in which they are asked for: the same texts give the same findings.
struct Ids {
    now: Timestamp,
    last: u128,
}

impl Ids {
    fn fresh(&mut self) -> Uuid {
        self.last += 1;
        let millis = u128::from(self.now.0.max(0).unsigned_abs());
        Uuid::from_u128(millis << 80 | 7 << 76 | 8 << 60 | self.last)
    }

    fn context(&mut self) -> Context {
        Context {
            entry: EntryId(self.fresh()),
            now: self.now,
            actor: Actor::System,
        }
    }
}

fn execute(engine: &mut Engine, command: Command, ids: &mut Ids) -> Result<(), Rejection> {
    engine.execute(command, ids.context()).map(drop)
}

fn read(
    texts: &[(&str, &str)],
    engine: &Engine,
    persons: Option<&Persons>,
    ids: &mut Ids,
) -> Result<Plan, Vec<DocumentError>> {
    let (state, now) = (engine.state(), ids.now);
    let mut fresh = || ids.fresh();
    match persons {
        None => plan_many(texts, state, &mut fresh, now),
        Some(persons) => plan_many(texts, &WithPersons { state, persons }, &mut fresh, now),
    }
}

/// Whom policies name as approvers.
#[derive(Default)]
struct Named {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Named {
    fn of(changes: &[Change]) -> Self {
        let mut named = Self::default();
        for change in changes {
            let Change::PutPolicy(policy) = change else {
                continue;
            };
            for rule in &policy.rules {
                let mut spec = rule.spec.clone();
                visit_approvers(&rule.kind, &mut spec, &mut |_, approver| {
                    match approver.split_once(':') {
                        Some(("user", name)) => named.users.insert(name.trim().to_owned()),
                        Some(("group", name)) => named.groups.insert(name.trim().to_owned()),
                        _ => false,
                    };
                });
            }
        }
        named
    }

    /// Has them exist, each once whatever the case of its letters. `None` when nobody is named.
    fn introduce(
        self,
        engine: &mut Engine,
        ids: &mut Ids,
        all: &mut Result<(), Rejection>,
    ) -> Option<Persons> {
        if self.users.is_empty() && self.groups.is_empty() {
            return None;
        }
        let mut run = |command: Command, ids: &mut Ids| {
            let done = execute(engine, command, ids);
            if all.is_ok() {
                *all = done;
            }
        };
        let mut users: BTreeMap<String, (UserId, String)> = BTreeMap::new();
        for name in self.users {
            let id = name.parse().unwrap_or_else(|_| UserId(ids.fresh()));
            users.entry(name.to_lowercase()).or_insert((id, name));
        }
        for (id, _) in users.values() {
            let role = Role::Approver;
            run(Command::CreateUser { id: *id, role }, ids);
        }
        let mut groups: BTreeMap<String, String> = BTreeMap::new();
        for name in self.groups.into_iter().filter(|name| !name.is_empty()) {
            groups.entry(name.to_lowercase()).or_insert(name);
        }
        for name in groups.into_values() {
            let group = Group {
                id: ids.fresh().into(),
                name,
                members: BTreeSet::new(),
            };
            run(Command::PutGroup(group), ids);
        }
        Some(users.into_values().collect())
    }
}

/// Finds the document that made the finding's object, and the field in it.
fn place(plan: &Plan, mut finding: Finding, persons: &Persons) -> Linted {
    finding.message = persons.shown_in(&finding.message);
    let mut rejection = Rejection::invalid(finding.code, "").at(&finding.field);
    let object = finding.object.id;
    rejection.change = plan.changes.iter().position(|change| match change {
        Change::PutSystem(it) => it.id.0 == object,
        Change::PutJobAgent(it) => it.id.0 == object,
        Change::PutResource(it) => it.id.0 == object,
        Change::PutEnvironment(it) => it.id.0 == object,
        Change::PutDeployment(it) => it.id.0 == object,
        Change::PutPolicy(it) => it.id.0 == object,
        Change::PutNotifier(it) => it.id.0 == object,
        _ => false,
    });
    let at = plan.locate(&rejection);
    Linted {
        finding,
        file: at.file,
        document: at.document,
        line: at.line,
        column: at.column,
    }
}
