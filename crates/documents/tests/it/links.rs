//! Which system an environment or a deployment belongs to, and which agent a deployment uses.

use crate::workspace::{Workspace, refusal, refusals};
use stagegate_documents::{Action, Kind};

const STAGING: &str = "type: Environment\nname: Staging\n";

fn system_names(workspace: &Workspace) -> Vec<&str> {
    workspace
        .systems
        .iter()
        .map(|it| it.name.as_str())
        .collect()
}

#[test]
fn without_any_system_one_named_default_is_made_once() {
    let mut workspace = Workspace::default();
    let planned =
        workspace.apply("type: Deployment\nname: API\n---\ntype: Environment\nname: Staging\n");
    assert_eq!(system_names(&workspace), ["default"]);
    assert_eq!(
        workspace.environments[0].systems,
        [workspace.systems[0].id].into()
    );
    assert_eq!(
        workspace.deployments[0].systems,
        [workspace.systems[0].id].into()
    );
    assert_eq!(
        (planned[0].kind, planned[0].name.as_str()),
        (Kind::System, "default")
    );
    assert_eq!(planned[0].action, Action::Created);
    assert_eq!(planned.len(), 3);

    // From then on it is the workspace's only one.
    workspace.apply("type: Environment\nname: Production\n");
    assert_eq!(system_names(&workspace), ["default"]);
    assert_eq!(
        workspace.environments[1].systems,
        [workspace.systems[0].id].into()
    );
}

#[test]
fn the_only_system_of_the_workspace_is_taken() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Shop\n");
    workspace.apply(STAGING);
    assert_eq!(
        workspace.environments[0].systems,
        [workspace.systems[0].id].into()
    );
}

#[test]
fn the_only_system_of_the_file_goes_before_those_of_the_workspace() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Old\n---\ntype: System\nname: Older\n");
    workspace.apply("type: Environment\nname: Staging\n---\ntype: System\nname: Shop\n");
    assert_eq!(
        workspace.environments[0].systems,
        [workspace.systems[2].id].into()
    );
}

#[test]
fn each_file_has_its_own_only_system() {
    let mut workspace = Workspace::default();
    let shop = "type: System\nname: Shop\n---\ntype: Environment\nname: Staging\n";
    let desk = "type: System\nname: Desk\n---\ntype: Environment\nname: Field\n";
    let plan = workspace
        .plan_many(&[("shop.yaml", shop), ("desk.yaml", desk)])
        .unwrap();
    assert_eq!(plan.documents[2].file, "desk.yaml");
    workspace.put(&plan.changes);
    assert_eq!(
        workspace.environments[0].systems,
        [workspace.systems[0].id].into()
    );
    assert_eq!(
        workspace.environments[1].systems,
        [workspace.systems[1].id].into()
    );
}

#[test]
fn several_systems_are_ambiguous() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Shop\n---\ntype: System\nname: Desk\n");
    let errors = workspace.refused(&format!("{STAGING}---\ntype: Deployment\nname: API\n"));
    assert_eq!(errors.len(), 2);
    assert_eq!(
        errors[0].to_string(),
        "shop.yaml:2:7: system: `Staging` does not say which system it belongs to, and there are several\n  \
         hint: add `system:` with one of `Desk`, `Shop`"
    );
    assert_eq!(errors[1].code, "ambiguous_system");
    assert_eq!(errors[1].line, 5);
}

#[test]
fn systems_are_named_whatever_the_case() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Shop\n---\ntype: System\nname: Desk\n");
    workspace.apply("type: Environment\nname: Staging\nsystems: [SHOP, desk]\n");
    assert_eq!(workspace.environments[0].systems.len(), 2);
}

#[test]
fn an_absent_system_keeps_the_links_there_are_and_an_empty_list_removes_them() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Shop\n---\ntype: System\nname: Desk\n");
    workspace.apply(&format!("{STAGING}systems: [Shop, Desk]\n"));
    let planned = workspace.apply(STAGING);
    assert_eq!(planned[0].action, Action::Unchanged);
    assert_eq!(workspace.environments[0].systems.len(), 2);

    let planned = workspace.apply(&format!("{STAGING}systems: []\n"));
    assert_eq!(planned[0].action, Action::Changed);
    assert!(workspace.environments[0].systems.is_empty());
    assert_eq!(workspace.apply(STAGING)[0].action, Action::Unchanged);
}

#[test]
fn an_unknown_system_is_refused_with_those_there_are() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Shop\n---\ntype: System\nname: Desk\n");
    let errors = workspace.refused(&format!("{STAGING}system: Shpo\n"));
    assert_eq!(
        errors[0].to_string(),
        "shop.yaml:3:9: system: there is no system `Shpo`\n  \
         hint: did you mean `Shop`? known systems: `Desk`, `Shop`"
    );
    assert_eq!(errors[0].code, "unknown_system");

    let nothing = refusal(&format!("{STAGING}systems: [Shop]\n"));
    assert_eq!((nothing.column, nothing.field.as_str()), (11, "systems[0]"));
    assert_eq!(nothing.hint, "there are no systems yet");
}

#[test]
fn names_are_not_missed_while_a_document_is_unreadable() {
    // The system may be the one that cannot be read.
    assert_eq!(
        refusals(&format!(
            "{STAGING}system: Shop\n---\ntype: System\nname: [Shop\n"
        )),
        ["yaml_syntax 6:7 name[0]"]
    );
    assert_eq!(
        refusals(&format!(
            "{STAGING}system: Shop\n---\ntype: Sistem\nname: Shop\n"
        )),
        ["unknown_type 5:7 type"]
    );
}

#[test]
fn system_and_systems_exclude_each_other() {
    assert_eq!(
        refusals(
            "type: System\nname: A\n---\ntype: Environment\nname: B\nsystem: A\nsystems: [A]\n"
        ),
        ["conflicting_fields 7:1 systems"]
    );
}

#[test]
fn an_agent_is_picked_by_name_by_short_form_or_by_selector() {
    let mut workspace = Workspace::default();
    let pick = |workspace: &mut Workspace, line: &str| {
        workspace.apply(&format!("type: Deployment\nname: API\n{line}\n"));
        let api = &workspace.deployments[0];
        (
            api.job_agent_selector.clone(),
            api.job_agent_config.to_string(),
        )
    };
    workspace.apply("type: JobAgent\nname: Local \"1\"\nagentType: exec\n");
    let by_name = (
        r#"jobAgent.name == "Local \"1\"""#.to_owned(),
        "{}".to_owned(),
    );
    assert_eq!(pick(&mut workspace, "jobAgent: local \"1\""), by_name);
    assert_eq!(
        pick(&mut workspace, "jobAgent: {name: 'LOCAL \"1\"'}"),
        by_name
    );
    assert_eq!(
        pick(
            &mut workspace,
            "jobAgent: {name: 'local \"1\"', config: {a: 1}}"
        )
        .1,
        r#"{"a":1}"#
    );
    assert_eq!(
        pick(
            &mut workspace,
            "jobAgentSelector: jobAgent.type == \"exec\"\njobAgentConfig: {b: 2}"
        ),
        (
            r#"jobAgent.type == "exec""#.to_owned(),
            r#"{"b":2}"#.to_owned()
        )
    );
    // Nothing said: no agent, and so no job.
    assert_eq!(
        pick(&mut workspace, ""),
        ("false".to_owned(), "{}".to_owned())
    );
}

#[test]
fn an_unknown_agent_is_refused() {
    let text = "type: JobAgent\nname: local\nagentType: exec\n---\ntype: Deployment\nname: API\njobAgent: {name: locla}\n";
    let error = refusal(text);
    assert_eq!(error.code, "unknown_job_agent");
    assert_eq!(
        (error.line, error.column, error.field.as_str()),
        (7, 18, "jobAgent.name")
    );
    assert_eq!(
        error.hint,
        "did you mean `local`? known job agents: `local`"
    );
}

#[test]
fn the_ways_to_pick_an_agent_exclude_each_other() {
    let agent =
        "type: JobAgent\nname: a\nagentType: exec\n---\ntype: Deployment\nname: API\njobAgent: a\n";
    assert_eq!(
        refusals(&format!("{agent}jobAgentSelector: \"true\"\n")),
        ["conflicting_fields 8:1 jobAgentSelector"]
    );
    assert_eq!(
        refusals(&format!("{agent}jobAgentConfig: {{}}\n")),
        ["conflicting_fields 8:1 jobAgentConfig"]
    );
}
