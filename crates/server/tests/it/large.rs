//! What is told of an environment with many targets: pages of them, and counts of all.

use crate::world::{World, until};
use serde_json::Value;
use stagegate_controller::Abridged;
use stagegate_model::Role;
use std::collections::BTreeSet;

const HOSTS: usize = 400;

/// One environment with many hosts, and a version on its way to them.
async fn many() -> World {
    let hosts: String = (0..HOSTS)
        .map(|n| {
            format!(
                "---\ntype: Resource\nname: host-{n:03}\nidentifier: host-{n:03}\nkind: Host\nversion: test/v1\n"
            )
        })
        .collect();
    // Long enough that all the jobs make a large entry.
    let script = "step ".repeat(100);
    let text = format!(
        "type: System\nname: Shop\n---\ntype: JobAgent\nname: local\nagentType: exec\n---\n\
         type: Environment\nname: Production\nresourceSelector: \"true\"\n---\n\
         type: Deployment\nname: API\nslug: api\n\
         jobAgent: {{ name: local, config: {{ steps: [{{ run: \"echo {{{{ version.tag }}}} {script}\" }}] }} }}\n{hosts}"
    );
    let world = World::new().await;
    world.apply(&text).await.expect(200);
    world.version("v1").await;
    until("a job on every host", async || {
        let detail = detail(&world, "v1", "").await;
        (detail["targets"]["running"] == HOSTS).then_some(())
    })
    .await;
    world
}

async fn detail(world: &World, version: &str, query: &str) -> Value {
    let promotion = world.promotion(version).await;
    let path = format!("/promotions/{}?{query}", promotion["id"].as_str().unwrap());
    world.get(&path).await.expect(200)
}

fn ids(items: &Value) -> Vec<String> {
    let items = items.as_array().unwrap().iter();
    items
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// All jobs of a promotion, page by page.
async fn jobs(world: &World, version: &str, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut query = format!("limit={limit}");
    loop {
        let page = detail(world, version, &query).await;
        let its = ids(&page["jobs"]);
        assert!(its.len() <= limit);
        all.extend(its);
        let Some(next) = page["nextJob"].as_str() else {
            return all;
        };
        assert_eq!(all.last().map(String::as_str), Some(next));
        query = format!("limit={limit}&after={next}");
    }
}

fn texts(detail: &Value) -> Vec<&str> {
    let events = detail["timeline"].as_array().unwrap().iter();
    events.map(|it| it["text"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_told_with_a_page_of_its_jobs() {
    let world = many().await;
    let first = detail(&world, "v1", "").await;
    assert_eq!(ids(&first["jobs"]).len(), 50);
    assert_eq!(first["targets"]["total"], HOSTS);
    let all = jobs(&world, "v1", 70).await;
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), HOSTS);
    assert_eq!(all.len(), HOSTS, "each once");
    assert!(all.is_sorted(), "oldest first");

    let refused = world.promotion("v1").await;
    let path = format!("/promotions/{}?after=x", refused["id"].as_str().unwrap());
    let problem = world.get(&path).await;
    assert_eq!(problem.refused(400, "invalid_id")["field"], "after");

    // Some end, and leave memory when what follows begins there: they are still told, in their places.
    for _ in 0..3 {
        world.deploy().await;
    }
    world.version("v2").await;
    until("jobs of v2", async || {
        let told = detail(&world, "v2", "").await;
        (!ids(&told["jobs"]).is_empty()).then_some(())
    })
    .await;
    assert_eq!(jobs(&world, "v1", 70).await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_many_jobs_is_told_without_reading_each() {
    let world = many().await;
    let told = detail(&world, "v1", "").await;
    let made = texts(&told)
        .into_iter()
        .find(|it| it.starts_with("jobs for "))
        .unwrap();
    assert!(made.contains(" and 397 more"), "{made}");
    // The whole entry has been kept in short beside the log, and a short one as it is.
    let events = told["timeline"].as_array().unwrap();
    let made = events
        .iter()
        .find(|it| it["kind"] == "jobsCreated")
        .unwrap();
    let seq = made["seq"].as_u64().unwrap();
    let (store, workspace) = (world.controller.store(), world.workspace);
    let short = |seq| {
        store
            .archived(workspace, Abridged::KIND, Abridged::id(seq))
            .unwrap()
    };
    let whole = store.row(workspace, seq).unwrap().unwrap();
    assert!(short(seq).unwrap().body.len() * 10 < whole.body.len());
    assert!(short(seq - 1).is_none());

    // What happens to a job that the short form does not name is told, also after it has left memory.
    let done = [world.deploy().await, world.deploy().await];
    let places = done.map(|job| {
        let name = &job["dispatchContext"]["resource"]["name"];
        name.as_str().unwrap().to_owned()
    });
    let tells = |told: &Value| {
        places.iter().all(|place| {
            let text = format!("the release on {place} ended: succeeded");
            texts(told).contains(&&*text)
        })
    };
    let told = detail(&world, "v1", "").await;
    assert!(tells(&told), "{:?}", texts(&told));
    world.version("v2").await;
    until("jobs of v2", async || {
        let told = detail(&world, "v2", "").await;
        (!ids(&told["jobs"]).is_empty()).then_some(())
    })
    .await;
    // The first jobs of v2 take the places of the two that ended.
    until("that it is told", async || {
        tells(&detail(&world, "v1", "").await).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_a_page_of_targets_and_counts_all() {
    let world = many().await;
    world.deploy().await;
    let ask = "/why?deployment=api&environment=Production&version=v1";
    let first = world.get(ask).await.expect(200);
    assert_eq!(first["targets"].as_array().unwrap().len(), 50);
    assert_eq!(first["targetCounts"]["succeeded"], 1, "{first}");
    assert_eq!(first["targetCounts"]["running"], HOSTS - 1);
    let mut seen = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = world
            .get(&format!("{ask}&limit=70{after}"))
            .await
            .expect(200);
        let targets = page["targets"].as_array().unwrap();
        assert!(targets.len() <= 70);
        for target in targets {
            let name = target["resource"].as_str().unwrap().to_owned();
            assert!(seen.insert(name), "told twice: {target}");
        }
        match page["nextTarget"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), HOSTS);
    let one = world
        .get(&format!("{ask}&resource=host-123"))
        .await
        .expect(200);
    assert_eq!(one["targets"].as_array().unwrap().len(), 1);
    assert!(one["nextTarget"].is_null());
    let problem = world.get(&format!("{ask}&after=host-1")).await;
    assert_eq!(problem.refused(400, "invalid_id")["field"], "after");
    let chain = world
        .get("/why/chain?deployment=api&limit=5")
        .await
        .expect(200);
    let link = &chain["environments"][0];
    assert_eq!(link["targets"].as_array().unwrap().len(), 5);
    assert_eq!(link["targetCounts"]["running"], HOSTS - 1);
    assert!(link["nextTarget"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_resources_begins_anywhere() {
    let world = many().await;
    let pages = async |count: usize| {
        let mut all = Vec::new();
        for offset in (0..count + 70).step_by(70) {
            let path = format!("/resources?limit=70&offset={offset}");
            let page = world.get(&path).await.expect(200);
            assert_eq!(page["total"], count, "{path}");
            assert_eq!(page["offset"], offset);
            let names = page["items"].as_array().unwrap().iter();
            all.extend(names.map(|it| it["name"].as_str().unwrap().to_owned()));
        }
        all
    };
    let all = pages(HOSTS).await;
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), HOSTS);
    assert_eq!(all.len(), HOSTS, "each once");
    // One on which a job still runs is kept for it, and is none of the resources any more.
    let gone = all[100].clone();
    let path = format!("/resources/identifier/{gone}");
    world
        .call(Role::Admin, "DELETE", &path, None)
        .await
        .expect(202);
    let expected: Vec<String> = all.into_iter().filter(|it| *it != gone).collect();
    assert_eq!(pages(HOSTS - 1).await, expected);
    let lane = world.get("/why?deployment=api&environment=Production&limit=1");
    assert!(lane.await.expect(200)["targetCounts"]["running"].is_number());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_tells_an_entry_of_many_jobs_in_short_unless_it_is_wanted_whole() {
    let world = many().await;
    let made = |page: &Value| {
        let entries = page["entries"].as_array().unwrap().iter();
        let is_made = |fact: &Value| fact["type"] == "jobsCreated";
        let mut having = entries.filter(|it| it["facts"].as_array().unwrap().iter().any(is_made));
        having.next().unwrap().clone()
    };
    let short = made(&world.get("/audit?environment=Production").await.expect(200));
    let whole = "/audit?environment=Production&whole=true";
    let whole = made(&world.get(whole).await.expect(200));
    for member in ["seq", "id", "time", "actor", "cause", "hash", "prevHash"] {
        assert!(!short[member].is_null());
        assert_eq!(short[member], whole[member], "{member}");
    }
    assert!(whole["leftOut"].is_null());
    let facts = |entry: &Value| entry["facts"].as_array().unwrap().clone();
    let left_out = short["leftOut"]["facts"].as_u64().unwrap() as usize;
    assert_eq!(facts(&short).len() + left_out, facts(&whole).len());
    let (mut jobs, mut cut) = (0, 0);
    for (place, (told, fact)) in facts(&short).iter().zip(facts(&whole)).enumerate() {
        let (Some(told), Some(all)) = (told["jobs"].as_array(), fact["jobs"].as_array()) else {
            continue;
        };
        assert_eq!(told[..], all[..told.len()]);
        jobs += all.len();
        let missing = short["leftOut"]["listed"][place.to_string()].as_u64();
        assert_eq!(told.len() + missing.unwrap_or(0) as usize, all.len());
        cut += missing.unwrap_or(0);
    }
    assert_eq!(jobs, HOSTS);
    assert!(cut > 0 && short.to_string().len() * 2 < whole.to_string().len());
}
