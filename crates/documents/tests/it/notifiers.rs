//! Notifier documents.

use crate::workspace::Workspace;
use stagegate_documents::export;
use stagegate_model::Change;

const TEXT: &str = r#"type: Notifier
name: Releases
notifierType: webhook
config:
  secret: "{{ secret.HOOK }}"
  url: https://example.org/hook
events:
  - approvalNeeded
  - jobLost
environments: production
selector: deployment.slug == "api"
---
type: Environment
name: Production
"#;

#[test]
fn it_may_name_an_environment_of_the_same_file_and_comes_after_it() {
    let mut workspace = Workspace::default();
    let plan = workspace.plan(TEXT).unwrap();
    let place = |wanted: fn(&Change) -> bool| plan.changes.iter().position(wanted).unwrap();
    let environment = place(|it| matches!(it, Change::PutEnvironment(_)));
    let notifier = place(|it| matches!(it, Change::PutNotifier(_)));
    assert!(environment < notifier);
    workspace.apply(TEXT);
    let stored = &workspace.notifiers[0];
    assert_eq!(stored.environments.len(), 1);
    assert_eq!(stored.events.len(), 2);
    assert!(workspace.plan(TEXT).unwrap().is_empty());
}

#[test]
fn its_export_is_itself() {
    let mut workspace = Workspace::default();
    workspace.apply(TEXT);
    let text = export(&workspace);
    assert!(text.contains("environments:\n  - Production\n"), "{text}");
    assert!(workspace.plan(&text).unwrap().is_empty(), "{text}");
}

#[test]
fn an_unknown_environment_is_refused_where_it_stands() {
    let mut workspace = Workspace::default();
    let text = TEXT.replace("environments: production", "environments: [Prod]");
    let errors = workspace.plan(&text).unwrap_err();
    let error = &errors[0];
    assert_eq!(
        (error.code.as_str(), error.line, error.field.as_str()),
        ("unknown_environment", 10, "environments[0]")
    );
    assert!(error.hint.contains("Production"), "{error}");
}
