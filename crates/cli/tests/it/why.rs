//! Why, everywhere and afterwards, and when, as people and programs read it.

use crate::harness::server;
use serde_json::Value;

#[test]
fn every_environment_one_target_and_a_job_of_long_ago_are_told() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let text = server.run(&["why"]).ok();
    for part in [
        "api v1\n",
        "\nProduction ○ waiting 0 of 1 targets\n  ○ anyApproval waits (policy `Four Eyes`)\n",
        "\n  missing: 2 approvals by anyone with the role approver or admin\n",
        "\nStaging ● deploying 0 of 1 targets\n  missing: on staging-1 its job is pending",
        "Production waits for 2 approvals by anyone with the role approver or admin",
        "; nothing else is missing\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let chain = server.run(&["why", "--version", "v1", "-o", "json"]).json();
    let names = chain["environments"].as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|it| &it["environment"]["name"]).collect();
    assert_eq!(names, ["Production", "Staging"]);

    let text = server
        .run(&["why", "production", "--resource", "production-1"])
        .ok();
    assert!(
        text.contains("v1 waits for production-1 in Production"),
        "{text}"
    );
    assert!(
        text.ends_with(
            "production-1 in Production waits for 2 approvals by anyone with the role approver or admin; \
             nothing else is missing\n"
        ),
        "{text}"
    );
    let said = server
        .run(&["why", "production", "--resource", "staging-1"])
        .failed(3);
    assert!(said.contains("release_target_not_found"), "{said}");
    server.run(&["why", "--resource", "production-1"]).failed(2);

    let jobs = server.run(&["jobs", "-o", "json"]).json();
    let job = jobs[0]["job"]["id"].as_str().unwrap();
    let text = server.run(&["why", "--job", job]).ok();
    for part in [
        "api v1 → staging-1 in Staging",
        "decided: createVersion by ",
        "none is on record: no rule applied",
        "v1 went to staging-1 in Staging: the creation of the version by ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    server.run(&["why", "production", "--job", job]).failed(2);
}

#[test]
fn a_forecast_says_what_it_does_not_know_and_goes_by_what_is_said() {
    let (_dir, server) = server();
    let server = server.with_shop();
    server.run(&["version", "create", "--tag", "v1"]).ok();
    let text = server.run(&["forecast"]).ok();
    for part in [
        "Staging: unknown, because: how long a job in Staging takes is not known: none has succeeded yet",
        "a job of api in Staging: not known, so nothing is assumed",
        "every job succeeds, and a runner is there for each",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let args = ["forecast", "--job", "5m", "--approval", "2h", "-o", "json"];
    let told = server.run(&args).json();
    let of = |name: &str| {
        let mut all = told["environments"].as_array().unwrap().iter();
        all.find(|it| it["environment"]["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("Staging")["outcome"], "expected", "{told}");
    // Two have to approve, and there is one who may.
    let production = of("Production");
    assert_eq!(production["outcome"], "never", "{told}");
    let because = production["because"].as_str().unwrap();
    assert!(
        because.contains("nobody who may give the approval for Production"),
        "{because}"
    );
    server.run(&["forecast", "--job", "soon"]).failed(2);
}
