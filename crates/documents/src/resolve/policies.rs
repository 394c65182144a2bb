//! Policies: rules that stay themselves keep their ids, and what a policy replaces comes before it.

use super::{Resolver, is_empty};
use crate::difference::FieldChange;
use crate::draft::{Body, Draft, PolicyDraft, RuleDraft};
use crate::error::code;
use crate::form;
use crate::wording::{clip, folded};
use serde_json::Value as Json;
use stagegate_model::{Change, Policy, PolicyId, Rule, RuleId};
use std::collections::{BTreeMap, BTreeSet};

/// A policy of the texts with its id, given before any is looked up by name.
struct Named<'a> {
    index: usize,
    draft: &'a Draft,
    body: &'a PolicyDraft,
    old: Option<Policy>,
    id: PolicyId,
}

impl<'a> Resolver<'a> {
    pub(super) fn put_policies(&mut self) {
        let intake = self.intake;
        let mut named = Vec::new();
        for (index, draft) in intake.drafts.iter().enumerate() {
            if let Body::Policy(body) = &draft.body {
                let old = self.catalog.policy_by_name(&draft.name);
                let id = old
                    .as_ref()
                    .map_or_else(|| self.fresh().into(), |old| old.id);
                named.push(Named {
                    index,
                    draft,
                    body,
                    old,
                    id,
                });
            }
        }
        if named.is_empty() {
            return;
        }
        let existing = self.catalog.policies();
        let mut ids: BTreeMap<String, PolicyId> = BTreeMap::new();
        let mut graph: BTreeMap<PolicyId, BTreeSet<PolicyId>> = BTreeMap::new();
        let mut rule_owners: BTreeMap<RuleId, PolicyId> = BTreeMap::new();
        for policy in &existing {
            ids.insert(folded(&policy.name), policy.id);
            self.names.policies.insert(policy.id, policy.name.clone());
            graph.insert(policy.id, policy.replaces.clone());
            rule_owners.extend(policy.rules.iter().map(|rule| (rule.id, policy.id)));
        }
        for policy in &named {
            ids.insert(folded(&policy.draft.name), policy.id);
            self.names
                .policies
                .insert(policy.id, policy.draft.name.clone());
        }
        for policy in &named {
            let replaces = self.replaced(policy, &ids);
            graph.insert(policy.id, replaces);
        }
        for policy in self.in_order(named, &graph) {
            self.refuse_foreign_rules(&policy, &mut rule_owners);
            self.refuse_strangers(&policy);
            let replaces = graph.get(&policy.id).cloned().unwrap_or_default();
            self.put_policy(policy, replaces);
        }
    }

    fn replaced(
        &mut self,
        policy: &Named<'a>,
        ids: &BTreeMap<String, PolicyId>,
    ) -> BTreeSet<PolicyId> {
        let mut replaces = BTreeSet::new();
        for reference in &policy.body.replaces {
            match ids.get(&folded(&reference.name)) {
                Some(id) => {
                    replaces.insert(*id);
                }
                None => {
                    let names = self.names.policies.values();
                    let known: Vec<String> = names
                        .filter(|name| **name != policy.draft.name)
                        .cloned()
                        .collect();
                    self.unknown(
                        policy.index,
                        reference,
                        code::UNKNOWN_POLICY,
                        "policy",
                        &known,
                    );
                }
            }
        }
        replaces
    }

    /// Replaced policies before those that replace them. Policies that only the workspace knows count too, so
    /// that no prefix of the changes makes a circle that the whole does not have.
    fn in_order(
        &mut self,
        named: Vec<Named<'a>>,
        graph: &BTreeMap<PolicyId, BTreeSet<PolicyId>>,
    ) -> Vec<Named<'a>> {
        let mut waiting: Vec<Named<'a>> = named;
        let mut ordered = Vec::with_capacity(waiting.len());
        let mut done: BTreeSet<PolicyId> = BTreeSet::new();
        for start in waiting.iter().map(|policy| policy.id).collect::<Vec<_>>() {
            let mut order = Vec::new();
            if let Err(circle) = visit(start, graph, &mut done, &mut order) {
                self.refuse_circle(start, &circle, &waiting);
            }
            for id in order {
                if let Some(at) = waiting.iter().position(|policy| policy.id == id) {
                    ordered.push(waiting.remove(at));
                }
            }
        }
        ordered.extend(waiting);
        ordered
    }

    fn refuse_circle(&mut self, start: PolicyId, circle: &[PolicyId], named: &[Named<'a>]) {
        // Shown where it is written: at a member that the texts declare, if there is one.
        let member = circle
            .iter()
            .chain([&start])
            .find_map(|id| named.iter().find(|policy| policy.id == *id));
        let Some(policy) = member else {
            return;
        };
        let names = &self.names.policies;
        let path: Vec<String> = circle
            .iter()
            .filter_map(|id| names.get(id).map(|name| format!("`{}`", clip(name))))
            .collect();
        let message = format!(
            "policies replace each other in a circle: {}",
            path.join(" → ")
        );
        let hint = "of two policies, only one can replace the other".to_owned();
        let at = policy
            .body
            .replaces
            .iter()
            .find(|reference| {
                let folded_name = folded(&reference.name);
                circle.iter().any(|id| {
                    names
                        .get(id)
                        .is_some_and(|name| folded(name) == folded_name)
                })
            })
            .map_or(policy.draft.at, |reference| reference.at);
        self.refuse(
            policy.index,
            at,
            "replaces",
            code::REPLACES_CYCLE,
            (message, hint),
        );
    }

    /// A rule's id stands for one rule of one policy.
    fn refuse_foreign_rules(
        &mut self,
        policy: &Named<'a>,
        owners: &mut BTreeMap<RuleId, PolicyId>,
    ) {
        let mut sent = BTreeSet::new();
        for (number, rule) in policy.body.rules.iter().enumerate() {
            let Some((id, at)) = rule.id else {
                continue;
            };
            let owner = *owners.entry(id).or_insert(policy.id);
            let message = if !sent.insert(id) {
                "this id is given to two rules".to_owned()
            } else if owner != policy.id {
                let name = self.names.policies.get(&owner);
                let name = name.map_or_else(String::new, |name| format!(" `{}`", clip(name)));
                format!("this id is that of a rule of the policy{name}")
            } else {
                continue;
            };
            let hint = "leave `id` out, and a new rule gets a new one".to_owned();
            let field = format!("rules[{number}].id");
            self.refuse(
                policy.index,
                at,
                &field,
                code::DUPLICATE_RULE_ID,
                (message, hint),
            );
        }
    }

    /// Approvers must be persons of the workspace, where its persons are known by name.
    fn refuse_strangers(&mut self, policy: &Named<'a>) {
        let Some(persons) = self.catalog.persons() else {
            return;
        };
        let named = policy.body.rules.iter().flat_map(|rule| &rule.persons);
        for reference in named.filter(|it| persons.id(&it.name).is_none()) {
            let known: Vec<String> = persons.names().map(str::to_owned).collect();
            self.unknown(policy.index, reference, code::UNKNOWN_USER, "user", &known);
        }
    }

    fn put_policy(&mut self, named: Named<'a>, replaces: BTreeSet<PolicyId>) {
        let Named {
            index,
            draft,
            body,
            old,
            id,
        } = named;
        let standing = old.as_ref().map_or(&[][..], |old| &old.rules);
        let policy = Policy {
            id,
            name: draft.name.clone(),
            description: body.description.clone(),
            metadata: body.metadata.clone(),
            enabled: body.enabled,
            priority: body.priority,
            selector: body.selector.clone(),
            replaces,
            rules: self.rules(standing, &body.rules),
            created_at: old.as_ref().map_or(self.now, |old| old.created_at),
        };
        let equal = old.as_ref() == Some(&policy);
        let new = form::policy(&policy, &self.names);
        let old_form = old.as_ref().map(|old| form::policy(old, &self.names));
        let new_ids = old.map(|old| changed_ids(&old.rules, &policy.rules));
        self.settle(index, old_form, &new, equal, || Change::PutPolicy(policy));
        // Ids show only when they alone differ; otherwise they follow from what is shown already.
        if let (false, Some((_, fields)), Some(new_ids)) =
            (equal, self.outcomes.get_mut(&index), new_ids)
            && fields.is_empty()
        {
            *fields = new_ids;
        }
    }

    /// A rule keeps its id when that is sent, or when an equal rule is there; each standing rule is kept once.
    fn rules(&mut self, standing: &[Rule], drafts: &[RuleDraft]) -> Vec<Rule> {
        let mut taken: BTreeSet<RuleId> =
            drafts.iter().filter_map(|rule| Some(rule.id?.0)).collect();
        let mut rules = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let spec = self.names.persons.resolved(&draft.kind, &draft.spec);
            let kept = match draft.id {
                Some((id, _)) => standing.iter().find(|rule| rule.id == id),
                None => standing.iter().find(|rule| {
                    !taken.contains(&rule.id)
                        && rule.kind == draft.kind
                        && same_spec(&rule.spec, &spec)
                }),
            };
            taken.extend(kept.map(|rule| rule.id));
            let id = match (draft.id, kept) {
                (Some((id, _)), _) => id,
                (None, Some(rule)) => rule.id,
                (None, None) => self.fresh().into(),
            };
            rules.push(Rule {
                id,
                kind: draft.kind.clone(),
                spec: match kept {
                    Some(rule) if same_spec(&rule.spec, &spec) => rule.spec.clone(),
                    _ => spec,
                },
                created_at: kept.map_or(self.now, |rule| rule.created_at),
            });
        }
        rules
    }
}

fn same_spec(old: &Json, new: &Json) -> bool {
    old == new || (is_empty(old) && is_empty(new))
}

fn changed_ids(old: &[Rule], new: &[Rule]) -> Vec<FieldChange> {
    let pairs = old.iter().zip(new).enumerate();
    pairs
        .filter(|(_, (old, new))| old.id != new.id)
        .map(|(index, (old, new))| FieldChange {
            path: format!("rules[{index}].id"),
            from: Some(Json::String(old.id.to_string())),
            to: Some(Json::String(new.id.to_string())),
        })
        .collect()
}

/// Depth first, what is replaced before what replaces; the error is the circle met, closed. Iterative, as a
/// chain may be as long as there are policies.
fn visit(
    start: PolicyId,
    graph: &BTreeMap<PolicyId, BTreeSet<PolicyId>>,
    done: &mut BTreeSet<PolicyId>,
    order: &mut Vec<PolicyId>,
) -> Result<(), Vec<PolicyId>> {
    if done.contains(&start) {
        return Ok(());
    }
    let next_of = |id: PolicyId| -> Vec<PolicyId> {
        let replaced = graph.get(&id);
        replaced.map_or_else(Vec::new, |replaced| {
            replaced.iter().rev().copied().collect()
        })
    };
    let mut path: Vec<(PolicyId, Vec<PolicyId>)> = vec![(start, next_of(start))];
    while let Some((id, remaining)) = path.last_mut() {
        let id = *id;
        match remaining.pop() {
            None => {
                path.pop();
                done.insert(id);
                order.push(id);
            }
            Some(next) if done.contains(&next) => {}
            Some(next) => {
                if let Some(begin) = path.iter().position(|(seen, _)| *seen == next) {
                    let members = path.iter().skip(begin).map(|(id, _)| *id);
                    let circle = members.chain([next]).collect();
                    // Not met again: one circle, one error.
                    done.extend(path.iter().map(|(id, _)| *id));
                    return Err(circle);
                }
                path.push((next, next_of(next)));
            }
        }
    }
    Ok(())
}
