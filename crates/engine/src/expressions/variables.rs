//! Selectors of values and sets, and relationships, compiled; and how templates see variables.

use super::{
    DeploymentView, EnvironmentView, ResourceView, check_cel, check_resource_selector,
    relationship_schema,
};
use crate::state::{PackedResource, VariableBook};
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Object, Roots, View};
use stagegate_model::{
    Deployment, DeploymentVariable, DeploymentVariableValue, Environment, Fact, Json,
    RelationshipRule, RelationshipRuleId, ReleaseId, ResolvedValue, Timestamp, VariableId,
    VariableSet, VariableSetId, Variables,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What variables are resolved with; a cache like the rest.
#[derive(Clone, Default)]
pub(crate) struct CompiledVariables {
    values: BTreeMap<VariableId, Vec<CompiledValue>>,
    /// The one that goes before the others first.
    sets: BTreeMap<(Reverse<i64>, VariableSetId), CompiledSet>,
    rules: BTreeMap<RelationshipRuleId, CompiledRelationship>,
}

/// A value of a deployment's variable. Of a variable's, the one that goes before the others comes first.
#[derive(Clone)]
pub(crate) struct CompiledValue {
    pub value: Arc<DeploymentVariableValue>,
    selector: Selector,
}

#[derive(Clone)]
pub(crate) struct CompiledSet {
    pub set: Arc<VariableSet>,
    selector: Selector,
}

#[derive(Clone)]
pub(crate) struct CompiledRelationship {
    pub rule: Arc<RelationshipRule>,
    /// The conjuncts that look at nothing but where it starts, and the others; or why there are none.
    conjuncts: Result<(Vec<Program>, Vec<Program>), String>,
}

/// What takes targets; `None` takes all.
type Selector = Option<Result<Program, String>>;

fn selector(text: &str) -> Selector {
    let compiled = || check_resource_selector(text, "selector").map_err(|error| error.to_string());
    (!text.is_empty()).then(compiled)
}

impl CompiledVariables {
    pub fn build(book: &VariableBook) -> Self {
        let mut compiled = Self::default();
        for variable in book.variables.values() {
            compiled.put(variable);
        }
        for set in book.sets().values() {
            compiled.put_set(set);
        }
        for rule in book.relationship_rules().values() {
            compiled.put_rule(rule);
        }
        compiled
    }

    /// Follows one fact.
    pub fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::VariablePut { variable } => self.put(variable),
            Fact::VariableDeleted { id } => {
                self.values.remove(id);
            }
            Fact::VariableSetPut { set } => self.put_set(set),
            Fact::VariableSetDeleted { id } => self.sets.retain(|(_, known), _| known != id),
            Fact::RelationshipRulePut { rule } => self.put_rule(rule),
            Fact::RelationshipRuleDeleted { id } => {
                self.rules.remove(id);
            }
            _ => {}
        }
    }

    fn put(&mut self, variable: &DeploymentVariable) {
        let mut values: Vec<CompiledValue> = variable
            .values
            .iter()
            .map(|value| CompiledValue {
                selector: selector(&value.resource_selector),
                value: Arc::new(value.clone()),
            })
            .collect();
        values.sort_by_key(|it| (Reverse(it.value.priority), it.value.id));
        self.values.insert(variable.id, values);
    }

    fn put_set(&mut self, set: &VariableSet) {
        self.sets.retain(|(_, known), _| *known != set.id);
        let compiled = CompiledSet {
            selector: selector(&set.selector),
            set: Arc::new(set.clone()),
        };
        self.sets.insert((Reverse(set.priority), set.id), compiled);
    }

    fn put_rule(&mut self, rule: &RelationshipRule) {
        let program = check_cel(&rule.cel, relationship_schema(), "cel");
        let conjuncts = program.map_err(|error| error.to_string()).map(|program| {
            let conjuncts = program.conjuncts().into_iter();
            conjuncts.partition(|conjunct| !conjunct.roots().contains("to"))
        });
        let compiled = CompiledRelationship {
            rule: Arc::new(rule.clone()),
            conjuncts,
        };
        self.rules.insert(rule.id, compiled);
    }

    /// The values of a deployment's variable, the one that goes before the others first.
    pub fn values(&self, variable: VariableId) -> &[CompiledValue] {
        self.values.get(&variable).map_or(&[], Vec::as_slice)
    }

    /// All sets, the one that goes before the others first.
    pub fn sets(&self) -> impl Iterator<Item = &CompiledSet> {
        self.sets.values()
    }

    /// The rules by which a reference leads somewhere.
    pub fn rules<'c>(
        &'c self,
        reference: &'c str,
    ) -> impl Iterator<Item = &'c CompiledRelationship> {
        let rules = self.rules.values();
        rules.filter(move |it| it.rule.reference == reference)
    }
}

/// A target as selectors of values and sets see it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'e> {
    pub environment: &'e Environment,
    pub deployment: &'e Deployment,
    pub resource: &'e PackedResource,
}

impl CompiledValue {
    /// Whether it is for the target, or why that cannot be said.
    pub fn takes(&self, place: Place<'_>) -> Result<bool, String> {
        takes(&self.selector, place)
    }
}

impl CompiledSet {
    /// Whether it is for the target, or why that cannot be said.
    pub fn takes(&self, place: Place<'_>) -> Result<bool, String> {
        takes(&self.selector, place)
    }
}

fn takes(selector: &Selector, place: Place<'_>) -> Result<bool, String> {
    let program = match selector {
        None => return Ok(true),
        Some(Ok(program)) => program,
        Some(Err(error)) => return Err(error.clone()),
    };
    let environment = EnvironmentView(place.environment);
    let deployment = DeploymentView(place.deployment);
    let resource = ResourceView(place.resource);
    let roots = Roots::new()
        .with("resource", View::Object(&resource))
        .with("environment", View::Object(&environment))
        .with("deployment", View::Object(&deployment));
    program.eval(&roots).map_err(|error| error.to_string())
}

impl CompiledRelationship {
    /// To which of the resources it leads from `from`, never to itself; `failed` hears of what could not be said.
    pub fn leads<'r>(
        &self,
        from: &PackedResource,
        to: impl Iterator<Item = &'r Arc<PackedResource>>,
        failed: &mut dyn FnMut(String),
    ) -> Vec<&'r Arc<PackedResource>> {
        let (first, others) = match &self.conjuncts {
            Ok((first, others)) => (first, others),
            Err(error) => {
                failed(error.clone());
                return Vec::new();
            }
        };
        let from_view = RelatedView(ResourceView(from));
        let starts = Roots::new().with("from", View::Object(&from_view));
        let mut holds = |programs: &[Program], roots: &Roots<'_>| {
            programs.iter().all(|program| match program.eval(roots) {
                Ok(holds) => holds,
                Err(error) => {
                    failed(error.to_string());
                    false
                }
            })
        };
        if !holds(first, &starts) {
            return Vec::new();
        }
        to.filter(|to| {
            let to_view = RelatedView(ResourceView(to));
            let roots = Roots::new()
                .with("from", View::Object(&from_view))
                .with("to", View::Object(&to_view));
            to.id != from.id && holds(others, &roots)
        })
        .collect()
    }
}

/// `from` and `to`: a resource that says what it is.
struct RelatedView<'e>(ResourceView<'e>);

impl Object for RelatedView<'_> {
    fn get(&self, key: &str) -> Option<View<'_>> {
        match key {
            "type" => Some(View::Str("resource")),
            _ => self.0.get(key),
        }
    }

    fn keys(&self) -> Vec<String> {
        let mut keys = self.0.keys();
        keys.push("type".to_owned());
        keys.sort();
        keys
    }
}

/// What stands at a path in a resource; `None` when nothing does, or a null.
pub(crate) fn related_field(resource: &PackedResource, path: &[String]) -> Option<Json> {
    let (field, below) = path.split_first()?;
    let found = match field.as_str() {
        "config" => below
            .iter()
            .try_fold(&resource.config(), |json, step| match json {
                Json::Array(items) => items.get(step.parse::<usize>().ok()?),
                json => json.get(step),
            })
            .cloned(),
        "metadata" => match below {
            [] => Some(serde_json::json!(
                resource.pairs().collect::<BTreeMap<_, _>>()
            )),
            [key] => resource.metadata(key).map(Json::from),
            _ => None,
        },
        _ if !below.is_empty() => None,
        "createdAt" => Some(Json::from(Timestamp::to_string(&resource.created_at))),
        "id" => Some(Json::from(resource.id.to_string())),
        "name" => Some(Json::from(resource.name())),
        "identifier" => Some(Json::from(resource.identifier())),
        "kind" => Some(Json::from(resource.kind())),
        "version" => Some(Json::from(resource.version())),
        _ => None,
    };
    found.filter(|json| !json.is_null())
}

/// `variables`, as a release has them. A secret shows as its mark: only whoever carries out the job knows the value.
pub(crate) struct VariablesView<'e> {
    pub variables: &'e Variables,
    /// Whose marks stand in for secrets; where there are none, a secret is not there.
    pub release: Option<ReleaseId>,
}

impl Object for VariablesView<'_> {
    fn get(&self, key: &str) -> Option<View<'_>> {
        match &self.variables.get(key)?.value {
            ResolvedValue::Value(json) => Some(View::Json(json)),
            ResolvedValue::Secret(name) => Some(View::OwnedStr(secret_mark(self.release?, name))),
        }
    }

    fn keys(&self) -> Vec<String> {
        self.variables.keys().cloned().collect()
    }
}

/// What stands in a job's configuration where a secret belongs. The release's id keeps whoever writes a plain value
/// from having a secret filled in there: it is not known before.
#[must_use]
pub fn secret_mark(release: ReleaseId, name: &str) -> String {
    format!("[[stagegate-secret:{release}:{name}]]")
}
