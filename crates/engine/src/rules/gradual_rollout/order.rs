//! In which order a rollout reaches its targets.

use super::spec::{GradualRollout, Size, share};
use crate::expressions::{DeploymentView, EnvironmentView, ResourceView};
use crate::state::PackedResource;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Deployment, Environment, Json, ResourceId, VersionId};
use std::sync::Arc;

/// What a target is sorted by: those whose `order` cannot be said come last, then numbers before texts.
#[derive(PartialEq, PartialOrd)]
enum Rank {
    Number(f64),
    Text(String),
    Unknown,
}

/// The waves of a rollout, each with its targets in their order; without `waves` there is one.
///
/// Within a wave the order is that of the rule's `order`, then that of a hash over resource, environment,
/// deployment and version, so that another version begins elsewhere.
pub(crate) fn plan(
    rule: &GradualRollout,
    environment: &Environment,
    deployment: &Deployment,
    version: VersionId,
    targets: &[Arc<PackedResource>],
) -> Vec<Vec<ResourceId>> {
    let mut ranked: Vec<(Rank, u64, &Arc<PackedResource>)> = targets
        .iter()
        .map(|resource| {
            let rank = rank(rule, environment, deployment, resource);
            let text = format!(
                "{}-{}-{}{version}",
                resource.id, environment.id, deployment.id
            );
            (rank, fnv1a(text.as_bytes()), resource)
        })
        .collect();
    ranked.sort_by(|a, b| {
        let order = a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal);
        order.then(a.1.cmp(&b.1)).then(a.2.id.cmp(&b.2.id))
    });
    let mut left: Vec<&Arc<PackedResource>> = ranked.into_iter().map(|(_, _, it)| it).collect();
    if rule.waves.is_empty() {
        return vec![ids(&left)];
    }
    let mut waves = Vec::new();
    for wave in &rule.waves {
        let taken: Vec<&Arc<PackedResource>> = match &wave.size {
            Size::Rest => std::mem::take(&mut left),
            Size::Count(count) => first(&mut left, *count as usize),
            Size::Percentage(percentage) => first(&mut left, share(targets.len(), *percentage)),
            Size::Selector(program) => {
                let takes = |resource: &PackedResource| {
                    ask(environment, deployment, resource, |roots| {
                        program.eval(roots).unwrap_or(false)
                    })
                };
                let (taken, rest) = left.into_iter().partition(|resource| takes(resource));
                left = rest;
                taken
            }
        };
        waves.push(ids(&taken));
    }
    if !left.is_empty() {
        waves.push(ids(&left));
    }
    waves
}

fn first<'a>(
    left: &mut Vec<&'a Arc<PackedResource>>,
    count: usize,
) -> Vec<&'a Arc<PackedResource>> {
    let rest = left.split_off(count.min(left.len()));
    std::mem::replace(left, rest)
}

fn ids(resources: &[&Arc<PackedResource>]) -> Vec<ResourceId> {
    resources.iter().map(|resource| resource.id).collect()
}

fn rank(
    rule: &GradualRollout,
    environment: &Environment,
    deployment: &Deployment,
    resource: &PackedResource,
) -> Rank {
    let Some(program) = &rule.order else {
        return Rank::Number(0.0);
    };
    let value = ask(environment, deployment, resource, |roots| {
        program.eval_value(roots)
    });
    match value {
        Ok(Json::Number(number)) => number.as_f64().map_or(Rank::Unknown, Rank::Number),
        Ok(Json::String(text)) => Rank::Text(text),
        _ => Rank::Unknown,
    }
}

fn ask<T>(
    environment: &Environment,
    deployment: &Deployment,
    resource: &PackedResource,
    question: impl FnOnce(&Roots<'_>) -> T,
) -> T {
    let environment = EnvironmentView(environment);
    let deployment = DeploymentView(deployment);
    let resource = ResourceView(resource);
    let roots = Roots::new()
        .with("environment", View::Object(&environment))
        .with("deployment", View::Object(&deployment))
        .with("resource", View::Object(&resource));
    question(&roots)
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a_64() {
        // From the reference's table of test vectors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
