//! Help and wrong usage.

use crate::harness::run;
use serde_json::Value;

/// Every command that can be asked for help.
const COMMANDS: &[&str] = &[
    "serve",
    "apply",
    "diff",
    "simulate",
    "export",
    "get",
    "version create",
    "version list",
    "version set-status",
    "status",
    "why",
    "forecast",
    "approve",
    "reject",
    "withdraw",
    "jobs",
    "jobs show",
    "jobs logs",
    "jobs cancel",
    "promotions",
    "promotion show",
    "verification show",
    "verification pass",
    "verification fail",
    "verification rerun",
    "audit",
    "audit verify",
    "user create",
    "user list",
    "key create",
    "key list",
    "key revoke",
    "whoami",
    "agent run",
    "agent list",
    "explain-rule",
    "completions",
];

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let help = run(&args).ok();
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(
            help.contains(&format!("stagegate {command}")),
            "{command}: {help}"
        );
    }
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let help = run(&["--help"]).ok();
    for command in COMMANDS {
        let first = command.split(' ').next().unwrap();
        assert!(help.contains(&format!("\n  {first} ")), "{first}: {help}");
    }
    assert!(help.contains("Exit codes"), "{help}");
    assert!(run(&["--version"]).ok().starts_with("stagegate "));
}

#[test]
fn serve_says_what_the_first_key_is() {
    let help = run(&["serve", "--help"]).ok();
    assert!(help.contains("STAGEGATE_BOOTSTRAP_API_KEY"), "{help}");
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("only at the first start"), "{help}");
}

#[test]
fn wrong_usage_is_told_to_people_and_programs() {
    let said = run(&["status", "--nope"]).failed(2);
    assert!(said.contains("--nope"), "{said}");
    let said = run(&["status", "--nope", "--output", "json"]).failed(2);
    let problem: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(problem["code"], "unknown_field");
    assert_eq!(problem["status"], 400);

    let said = run(&["status"]).failed(2);
    assert!(
        said.contains("STAGEGATE_API_KEY") && said.contains("[unauthorized]"),
        "{said}"
    );
    let said = run(&["status", "--api-key", "k", "--server", "localhost"]).failed(2);
    assert!(
        said.contains("`localhost` is not the URL of a server"),
        "{said}"
    );
    for args in [
        ["version", "create", "--tag", "v1", "--metadata", "nopair"],
        ["version", "create", "--tag", "v1", "--timeout", "soon"],
    ] {
        run(&args).failed(2);
    }
}

#[test]
fn no_server_is_told_apart_from_a_refusal() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let said = run(&["status", "--api-key", "k", "--server", &url]).failed(4);
    assert!(
        said.contains("[unreachable]") && said.contains("hint: "),
        "{said}"
    );
    let args = ["status", "--api-key", "k", "--server", &url, "-o", "json"];
    let problem: Value = serde_json::from_str(&run(&args).failed(4)).unwrap();
    assert_eq!(problem["code"], "unreachable");
}

#[test]
fn rules_and_completions_need_no_server() {
    let rules = run(&["explain-rule"]).ok();
    assert!(rules.contains("anyApproval"), "{rules}");
    let page = run(&["explain-rule", "anyapproval"]).ok();
    assert!(page.contains("minApprovals"), "{page}");
    let said = run(&["explain-rule", "anyAproval"]).failed(2);
    assert!(said.contains("did you mean `anyApproval`?"), "{said}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            run(&["completions", shell]).ok().contains("set-status"),
            "{shell}"
        );
    }
}

#[test]
fn the_sample_service_is_there() {
    let said = run(&["sample-service", "--port", "x"]).failed(2);
    assert!(said.contains("--port"), "{said}");
}
