//! The log as audit.

use crate::world::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_cut_and_filtered() {
    let world = World::shop().await;
    let version = world.version("v1").await;
    world.deploy().await;
    let all = world.get("/audit?limit=1000").await.expect(200);
    let seqs = |page: &serde_json::Value| -> Vec<u64> {
        let entries = page["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|it| it["seq"].as_u64().unwrap())
            .collect()
    };
    let count = all["total"].as_u64().unwrap();
    assert_eq!(seqs(&all), (1..=count).collect::<Vec<_>>());
    let entries = all["entries"].as_array().unwrap();
    assert_eq!(entries[1]["prevHash"], entries[0]["hash"]);
    assert_eq!(entries[0]["facts"][0]["type"], "workspaceCreated");

    let page = world.get("/audit?after=2&limit=2").await.expect(200);
    assert_eq!(seqs(&page), [3, 4]);
    let page = world
        .get(&format!("/audit?before={count}&limit=2"))
        .await
        .expect(200);
    assert_eq!(seqs(&page), [count - 2, count - 1]);

    let of_version = world.get("/audit?version=v1").await.expect(200);
    let by_id = format!("/audit?version={}", version["id"].as_str().unwrap());
    assert_eq!(world.get(&by_id).await.expect(200), of_version);
    assert!(!seqs(&of_version).is_empty() && seqs(&of_version).len() < seqs(&all).len());
    let both = world.get("/audit?version=v1&user=ci").await.expect(200);
    assert_eq!(
        seqs(&both),
        seqs(&of_version)[..1],
        "only CI's own entry: {both}"
    );
    let page = world
        .get("/audit?environment=Staging&limit=1")
        .await
        .expect(200);
    assert_eq!(seqs(&page).len(), 1);
    let beyond = world
        .get(&format!("/audit?after={count}"))
        .await
        .expect(200);
    assert_eq!(beyond["entries"], json!([]));
    world
        .get("/audit?version=v9")
        .await
        .refused(404, "version_not_found");
    world
        .get("/audit?policy=nobody")
        .await
        .refused(400, "invalid_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_is_recomputed() {
    let world = World::shop().await;
    let verified = world.get("/audit/verify").await.expect(200);
    assert_eq!(verified["ok"], true, "{verified}");
    let all = world.get("/audit?limit=1000").await.expect(200);
    let last = all["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(verified["head"]["hash"], last["hash"]);
    assert_eq!(verified["entries"], all["total"]);
}
