//! Documents: all or nothing, with every mistake placed.

use crate::world::{SHOP, World};
use serde_json::{Value, json};
use stagegate_model::Role;

#[tokio::test(flavor = "multi_thread")]
async fn applying_twice_changes_nothing_the_second_time() {
    let world = World::new().await;
    let actions = |report: &Value| -> Vec<String> {
        let documents = report["documents"].as_array().unwrap();
        let action = |it: &Value| it["action"].as_str().unwrap().to_owned();
        documents.iter().map(action).collect()
    };
    let first = world.apply(SHOP).await.expect(200);
    assert!(actions(&first).iter().all(|it| it == "created"), "{first}");
    let second = world.apply(SHOP).await.expect(200);
    assert!(
        actions(&second).iter().all(|it| it == "unchanged"),
        "{second}"
    );
    assert_eq!(first["seq"], second["seq"]);

    let exported = world.get("/export").await;
    assert_eq!(exported.status, 200);
    assert!(
        exported
            .header("content-type")
            .starts_with("application/yaml")
    );
    let third = world.apply(&exported.text).await.expect(200);
    assert!(
        actions(&third).iter().all(|it| it == "unchanged"),
        "{third}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_the_text_are_all_told_with_their_places() {
    let world = World::new().await;
    let text = "type: System\nnmae: Shop\n---\ntype: Nonsense\nname: x\n";
    let problem = world.apply(text).await.expect(400);
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "{problem}");
    assert_eq!(errors[0]["code"], "missing_field");
    assert_eq!(errors[1]["code"], "unknown_field");
    assert_eq!(errors[1]["file"], "shop.yaml");
    assert_eq!(
        (&errors[1]["line"], &errors[1]["column"]),
        (&json!(2), &json!(1)),
        "{problem}"
    );
    assert!(
        errors.iter().any(|it| it["code"] == "unknown_type"),
        "{problem}"
    );
    assert_eq!(world.get("/systems").await.expect(200)["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_engine_refuses_is_led_back_to_its_line() {
    let world = World::shop().await;
    let text = "type: System\nname: Other\n---\ntype: Policy\nname: P\nselector: environment.nmae == \"x\"\nrules:\n  - anyApproval: { minApprovals: 1 }\n";
    for query in ["", "?dryRun=true"] {
        let body = json!({"files": [{"name": "p.yaml", "text": text}]});
        let answer = world
            .call(Role::Admin, "POST", &format!("/apply{query}"), Some(body))
            .await;
        let problem = answer.refused(400, "cel_unknown_field");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["file"], &error["line"]),
            (&json!("p.yaml"), &json!(6)),
            "{problem}"
        );
        assert_eq!(error["field"], "selector", "{problem}");
    }
    // Nothing of the file was kept, not even what was right.
    assert_eq!(world.get("/systems").await.expect(200)["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_changes_nothing() {
    let world = World::new().await;
    let body = json!({"files": [{"name": "shop.yaml", "text": SHOP}]});
    let told = world
        .call(Role::Admin, "POST", "/apply?dryRun=true", Some(body))
        .await
        .expect(200);
    assert_eq!(told["documents"][0]["action"], "created", "{told}");
    let joining = told["effects"]["targetsJoining"].as_array().unwrap();
    assert_eq!(joining.len(), 2, "{told}");
    assert_eq!(joining[0]["resources"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/environments").await.expect(200)["total"], 0);
}
