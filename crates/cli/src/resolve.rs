//! From names people type to what they mean.

use crate::failure::Failure;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{Deployment, DeploymentVersion, Environment};

/// How many names a hint lists.
const NAMES_SHOWN_MAX: usize = 10;

/// How alike two names must be for "did you mean", from 0 to 1.
const ALIKE: f64 = 0.75;

/// How many of a deployment's newest versions are searched for a tag that was perhaps mistyped.
const VERSIONS_COMPARED_MAX: usize = 500;

/// Finds what is called `wanted`: exactly so, or but for the case of its letters.
///
/// # Errors
/// When there is none or several; the hint says what is alike.
pub fn pick<'a, T>(
    noun: &str,
    wanted: &str,
    all: &'a [T],
    names: impl Fn(&T) -> Vec<&str>,
) -> Result<&'a T> {
    let wanted = wanted.trim();
    if let Some(exact) = all.iter().find(|item| names(item).contains(&wanted)) {
        return Ok(exact);
    }
    let folded = wanted.to_lowercase();
    let alike = |item: &&T| names(item).iter().any(|name| name.to_lowercase() == folded);
    let mut found = all.iter().filter(alike);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::refused(
            &code(noun),
            format!("`{wanted}` could be several {noun}s"),
        )
        .hint("use its id")
        .into()),
        (None, _) => Err(unknown(
            noun,
            wanted,
            all.iter().flat_map(|item| names(item).first().copied()),
        )
        .into()),
    }
}

fn code(noun: &str) -> String {
    format!("{}_not_found", noun.replace(' ', "_"))
}

/// There is no such thing; what is alike, or else what there is.
fn unknown<'a>(noun: &str, wanted: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let failure = Failure::refused(&code(noun), format!("there is no {noun} `{wanted}`"));
    let folded = wanted.to_lowercase();
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &folded), *name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, nearest)) = nearest {
        return failure.hint(format!("did you mean `{nearest}`?"));
    }
    if known.is_empty() {
        return failure.hint(format!("there is no {noun} at all"));
    }
    let shown: Vec<String> = known
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = match known.len().checked_sub(NAMES_SHOWN_MAX) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    failure.hint(format!("there are {}{more}", shown.join(", ")))
}

/// The deployment of that slug, name or id; without one, the only deployment there is.
///
/// # Errors
/// When there is no such one; and as every call.
pub async fn deployment(workspace: &Workspace, name: Option<&str>) -> Result<Deployment> {
    let mut all: Vec<Deployment> = workspace
        .deployments()
        .all()
        .await?
        .into_iter()
        .map(|it| it.deployment)
        .collect();
    let Some(name) = name else {
        if all.len() == 1 {
            return Ok(all.remove(0));
        }
        let slugs: Vec<String> = all
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(|it| format!("`{}`", it.slug))
            .collect();
        return Err(Failure::usage("missing_field", "which deployment?")
            .hint(if slugs.is_empty() {
                "there is none yet; `stagegate apply` creates them".to_owned()
            } else {
                format!(
                    "name it with `--deployment`; there are {}",
                    slugs.join(", ")
                )
            })
            .into());
    };
    pick("deployment", name, &all, |it| {
        vec![&it.slug, &it.name, &it.id]
    })
    .cloned()
}

/// The environment of that name or id.
///
/// # Errors
/// When there is no such one; and as every call.
pub async fn environment(workspace: &Workspace, name: &str) -> Result<Environment> {
    let all = workspace.environments().all().await?;
    pick("environment", name, &all, |it| vec![&it.name, &it.id]).cloned()
}

/// The environments of these names or ids, in that order, each once.
///
/// # Errors
/// When one does not exist; and as every call.
pub async fn environments(workspace: &Workspace, names: &[String]) -> Result<Vec<Environment>> {
    let all = workspace.environments().all().await?;
    let mut found: Vec<Environment> = Vec::new();
    for name in names {
        let one = pick("environment", name, &all, |it| vec![&it.name, &it.id])?;
        if found.iter().all(|known| known.id != one.id) {
            found.push(one.clone());
        }
    }
    Ok(found)
}

/// The version of that tag or id.
///
/// # Errors
/// When there is no such one; and as every call.
pub async fn version(
    workspace: &Workspace,
    deployment: &Deployment,
    tag: &str,
) -> Result<DeploymentVersion> {
    let mut versions = workspace.versions(&deployment.id);
    let mut tags = Vec::new();
    while let Some(it) = versions.next().await? {
        if it.version.tag == tag || it.version.id == tag {
            return Ok(it.version);
        }
        if tags.len() < VERSIONS_COMPARED_MAX {
            tags.push(it.version.tag);
        }
    }
    let mut failure = unknown("version", tag, tags.iter().map(String::as_str));
    failure.problem.detail = format!("`{}` has no version `{tag}`", deployment.slug);
    Err(failure.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(wanted: &str, all: &[&str]) -> Result<String, (String, Option<String>, String)> {
        match pick("environment", wanted, all, |name| vec![name]) {
            Ok(found) => Ok((*found).to_owned()),
            Err(error) => {
                let problem = Failure::from_error(error).problem;
                Err((problem.code, problem.hint, problem.detail))
            }
        }
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        assert_eq!(
            find("production", &["Staging", "Production"]).unwrap(),
            "Production"
        );
        assert_eq!(find("dev", &["Dev", "dev"]).unwrap(), "dev");
    }

    #[test]
    fn unknown_names_get_a_hint() {
        let (code, hint, detail) = find("prodution", &["Staging", "Production"]).unwrap_err();
        assert_eq!(code, "environment_not_found");
        assert_eq!(detail, "there is no environment `prodution`");
        assert_eq!(hint.unwrap(), "did you mean `Production`?");
        let (_, hint, _) = find("xyz", &["Staging", "Production"]).unwrap_err();
        assert_eq!(hint.unwrap(), "there are `Staging`, `Production`");
        let (_, hint, _) = find("x", &[]).unwrap_err();
        assert_eq!(hint.unwrap(), "there is no environment at all");
        assert!(
            find("DEV", &["Dev", "dev"])
                .unwrap_err()
                .2
                .contains("several")
        );
    }
}
