//! Names of persons. The log knows ids only; who was erased stays an id.

use crate::answer::{Answer, Failure};
use crate::scope::Scope;
use stagegate_api as api;
use stagegate_documents::{Persons, UnknownPerson};
use stagegate_model::{Actor, UserId, WorkspaceId};
use stagegate_store::{Store, StoreError};

/// What Stagegate itself is called where a person would be named.
const SELF: &str = "stagegate";
/// How many names a hint lists.
const NAMED_MAX: usize = 10;

/// The workspace's persons by name.
#[derive(Clone, Default)]
pub(crate) struct People(Persons);

impl People {
    pub async fn of(scope: &Scope) -> Answer<Self> {
        scope.store(Self::stored).await
    }

    /// The same for who looks at what is stored.
    pub fn stored(store: &dyn Store, workspace: WorkspaceId) -> Result<Self, StoreError> {
        let users = store.users(workspace)?.into_iter();
        Ok(Self(users.map(|user| (user.id, user.name)).collect()))
    }

    pub fn persons(&self) -> &Persons {
        &self.0
    }

    /// The person's name; the id where it is not known.
    pub fn name(&self, user: UserId) -> String {
        let name = self.0.name(user);
        name.map_or_else(|| format!("user {user}"), str::to_owned)
    }

    pub fn actor(&self, actor: &Actor) -> String {
        actor
            .user()
            .map_or_else(|| SELF.to_owned(), |user| self.name(user))
    }

    /// The person of that name or id. Whether an id is somebody's is the engine's to say.
    pub fn id(&self, text: &str) -> Option<UserId> {
        self.0.id(text)
    }

    /// There is no such person.
    pub fn unknown(&self, name: &str) -> Failure {
        let mut known: Vec<&str> = self.0.names().collect();
        known.sort_unstable();
        let hint = match known.len() {
            0 => "create the user first".to_owned(),
            many if many > NAMED_MAX => {
                "`stagegate user list` names all; create the user first if it is missing".to_owned()
            }
            _ => format!("there are: {}", known.join(", ")),
        };
        Failure::new("unknown_user", format!("there is no user `{name}`")).hint(hint)
    }

    /// Puts ids for names in the rules of a policy that is to be written.
    pub fn resolve(&self, rules: &mut [api::UpsertPolicyRule]) -> Answer<()> {
        for (index, rule) in rules.iter_mut().enumerate() {
            let resolved = self.0.resolve(&rule.kind, &mut rule.spec);
            if let Some(UnknownPerson { name, place }) = resolved.err().and_then(first) {
                let field = format!("rules[{index}].{}.{place}", rule.kind);
                return Err(self.unknown(&name).at(field));
            }
        }
        Ok(())
    }

    /// A policy as people write it.
    pub fn policy(&self, mut policy: api::Policy) -> api::Policy {
        for rule in &mut policy.rules {
            rule.spec = self.0.shown(&rule.kind, &rule.spec);
        }
        policy
    }

    /// A text of the engine's with names for ids.
    pub fn tell(&self, text: &str) -> String {
        self.0.shown_in(text)
    }

    pub fn gate(&self, gate: &mut api::Gate) {
        gate.message = self.tell(&gate.message);
        gate.opens = self.tell(&gate.opens);
        for who in &mut gate.who {
            *who = self.tell(who);
        }
        self.details(&mut gate.details);
    }

    pub fn promotion(&self, promotion: &mut api::Promotion) {
        promotion.gates.iter_mut().for_each(|gate| self.gate(gate));
        if let Some(reason) = &mut promotion.reason {
            *reason = self.tell(reason);
        }
    }

    pub fn why(&self, why: &mut api::Why) {
        why.gates.iter_mut().for_each(|gate| self.gate(gate));
        why.summary = self.tell(&why.summary);
        why.story = self.tell(&why.story);
        for need in &mut why.waits_for {
            need.text = self.tell(&need.text);
            need.opens = self.tell(&need.opens);
            for who in &mut need.who {
                *who = self.tell(who);
            }
        }
        for target in &mut why.targets {
            target.reason = target.reason.as_deref().map(|reason| self.tell(reason));
            target.gates.iter_mut().for_each(|gate| self.gate(gate));
        }
    }

    pub fn status(&self, status: &mut api::Status) {
        let versions = status
            .deployments
            .iter_mut()
            .flat_map(|it| &mut it.versions);
        for cell in versions.flat_map(|row| &mut row.cells) {
            cell.reason = self.tell(&cell.reason);
        }
    }

    pub fn failure(&self, mut failure: Failure) -> Failure {
        let problem = &mut *failure.0;
        problem.detail = self.tell(&problem.detail);
        problem.error = self.tell(&problem.error);
        problem.hint = problem.hint.as_deref().map(|hint| self.tell(hint));
        for error in &mut problem.errors {
            error.message = self.tell(&error.message);
            error.hint = self.tell(&error.hint);
        }
        failure
    }

    /// Names beside the ids of persons, and approvers by name.
    fn details(&self, details: &mut api::Json) {
        match details {
            api::Json::String(text) => *text = self.tell(text),
            api::Json::Array(items) => items.iter_mut().for_each(|it| self.details(it)),
            api::Json::Object(members) => {
                members.values_mut().for_each(|it| self.details(it));
                let user = members.get("userId").and_then(api::Json::as_str);
                if let Some(user) = user.and_then(|id| id.parse().ok()) {
                    members.insert("userName".to_owned(), self.name(user).into());
                }
            }
            _ => {}
        }
    }
}

fn first(unknown: Vec<UnknownPerson>) -> Option<UnknownPerson> {
    unknown.into_iter().next()
}
