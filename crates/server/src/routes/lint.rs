//! What is legal but unwise in the workspace's configuration.

use crate::answer::{Answer, Json};
use crate::people::People;
use crate::scope::Scope;
use stagegate_api as api;
use stagegate_engine::lint::{Finding, Whole};

/// Every object of the workspace is asked about every other, which takes time: a copy is looked at, beside the
/// threads that decide and answer.
pub(super) async fn get(scope: Scope) -> Answer<Json<api::Lint>> {
    let people = People::of(&scope).await?;
    let now = scope.now();
    let _place = scope.app.admission().copy().await?;
    let copy = scope.read(stagegate_engine::Engine::clone).await?;
    let looked = scope.app.beside(move || copy.lint(now, Whole::Workspace));
    let findings = looked.await?;
    let findings = findings.into_iter().map(|it| finding(it, &people));
    Ok(Json(api::Lint::of(findings.collect())))
}

fn finding(finding: Finding, people: &People) -> api::LintFinding {
    api::LintFinding {
        code: finding.code.to_owned(),
        severity: finding.severity.to_string(),
        kind: finding.object.kind.to_owned(),
        name: finding.object.name,
        id: Some(finding.object.id.to_string()),
        field: finding.field,
        file: None,
        line: None,
        column: None,
        message: people.tell(&finding.message),
        why: finding.why.to_owned(),
        mend: finding.mend.to_owned(),
        doc: format!("docs/lint/{}.md", finding.code),
    }
}
