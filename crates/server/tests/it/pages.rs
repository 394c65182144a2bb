//! The web pages: signing in, reading, voting.

use crate::world::{Answer, World};
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use stagegate_model::{Actor, Command, Role};
use tower::ServiceExt as _;

async fn sign_in(world: &World, role: Role) -> String {
    let form = format!("key={}&next=%2F", world.key(role).secret);
    let answer = post(world, "", "/login", &form).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(answer.header("location"), "/");
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

async fn get(world: &World, cookie: &str, path: &str) -> Answer {
    let request = Request::get(path).header("cookie", cookie);
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn post(world: &World, cookie: &str, path: &str, form: &str) -> Answer {
    let request = Request::post(path)
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded");
    world
        .send(request.body(Body::from(form.to_owned())).unwrap())
        .await
}

/// The value of a hidden field.
fn hidden(html: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = html
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_every_page_leads_to_the_login() {
    let world = World::new().await;
    let promotion = format!("/promotions/{}", uuid::Uuid::from_u128(1));
    for (path, to) in [
        ("/", "/login".to_owned()),
        ("/web/board", "/login".to_owned()),
        ("/web/events", "/login".to_owned()),
        (&*promotion, format!("/login?next={promotion}")),
        (
            &*format!("/web{promotion}"),
            format!("/login?next={promotion}"),
        ),
    ] {
        let answer = get(&world, "stagegate_session=0123", path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, &*to),
            "{path}"
        );
    }
    for path in ["/web/votes", "/logout"] {
        let answer = post(&world, "", path, "token=x").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, "/login"),
            "{path}"
        );
    }
    let wrong = post(&world, "", "/login", "key=sgk_wrong").await;
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.text.contains("unknown or was revoked"),
        "{}",
        wrong.text
    );
    assert_eq!(wrong.header("set-cookie"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_shows_versions_by_environments() {
    let world = World::shop().await;
    world.version("v1").await;
    world.deploy().await;
    let cookie = sign_in(&world, Role::Viewer).await;
    let page = get(&world, &cookie, "/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    let html = &page.text;
    let place = |text: &str| {
        html.find(text)
            .unwrap_or_else(|| panic!("no `{text}` in {html}"))
    };
    let staging = place("<th scope=\"col\">Staging");
    assert!(staging < place("<th scope=\"col\">Production"));
    place("<th scope=\"row\">v1");
    place("runs v1");
    place("succeeded");
    place("1/1");
    place("waiting");
    place("0 of 1 approval");
    place("aria-live=\"polite\"");
    place("1 promotion is on its way, 1 waits for an approval.");
    assert!(
        !html.contains("style=\"") && !html.contains("<script>"),
        "{html}"
    );
    assert!(!html.contains("Approve"), "a viewer cannot vote: {html}");
    let fragment = get(&world, &cookie, "/web/board").await;
    assert!(!fragment.text.contains("<html") && fragment.text.contains("v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_stays_text() {
    let world = World::shop().await;
    world.version("<script>alert(1)</script>").await;
    let cookie = sign_in(&world, Role::Viewer).await;
    let page = get(&world, &cookie, "/").await;
    assert!(!page.text.contains("<script>alert"), "{}", page.text);
    assert!(page.text.contains("&lt;script&gt;") || page.text.contains("&#60;script&#62;"));
}

#[tokio::test(flavor = "multi_thread")]
async fn approving_from_the_board_needs_its_form() {
    let world = World::shop().await;
    world.version("v1").await;
    world.deploy().await;
    let cookie = sign_in(&world, Role::Approver).await;
    let html = get(&world, &cookie, "/").await.text;
    let (version, environment) = (hidden(&html, "version"), hidden(&html, "environment"));
    let (_, form) = html.split_once("class=\"vote\"").unwrap();
    let token = hidden(form, "token");
    let form = |token: &str| {
        format!("token={token}&version={version}&environment={environment}&vote=approved")
    };
    let forged = post(&world, &cookie, "/web/votes", &form("")).await;
    assert_eq!(forged.status, 403);
    let other = sign_in(&world, Role::Admin).await;
    let of_another = hidden(&get(&world, &other, "/").await.text, "token");
    assert_eq!(
        post(&world, &cookie, "/web/votes", &form(&of_another))
            .await
            .status,
        403
    );
    let foreign = Request::post("/web/votes")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form(&token)))
        .unwrap();
    assert_eq!(world.send(foreign).await.status, 403);
    let why = "/why?deployment=api&environment=Production";
    assert_eq!(world.get(why).await.expect(200)["status"], "waiting");

    let cast = post(&world, &cookie, "/web/votes", &form(&token)).await;
    assert_eq!(
        (cast.status.as_u16(), cast.header("location")),
        (303, "/"),
        "{}",
        cast.text
    );
    assert_eq!(world.get(why).await.expect(200)["status"], "deploying");
    let html = get(&world, &cookie, "/").await.text;
    assert!(
        !html.contains("Approve"),
        "nothing is left to approve: {html}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_vote_does_not_by_a_form() {
    let world = World::shop().await;
    let version = world.version("v1").await;
    let cookie = sign_in(&world, Role::Ci).await;
    let token = hidden(&get(&world, &cookie, "/").await.text, "token");
    let environment = world.id_of("/environments", "Production").await;
    let form = format!(
        "token={token}&version={}&environment={environment}&vote=approved",
        version["id"].as_str().unwrap()
    );
    let refused = post(&world, &cookie, "/web/votes", &form).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.text.contains("your key may not vote"),
        "{}",
        refused.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_has_its_gates_jobs_and_history() {
    let world = World::shop().await;
    let version = world.version("v1").await;
    let job = world.deploy().await;
    let cookie = sign_in(&world, Role::Approver).await;
    let done = format!("/promotions/{}", job["promotionId"].as_str().unwrap());
    let html = get(&world, &cookie, &done).await.text;
    for text in [
        "API: v1 to Staging",
        "succeeded",
        "staging-1",
        "runner-1",
        "became a candidate",
    ] {
        assert!(html.contains(text), "`{text}` in {html}");
    }
    let open = world.get("/promotions?open=true").await.expect(200);
    let id = open["items"][0]["id"].as_str().unwrap();
    let html = get(&world, &cookie, &format!("/promotions/{id}"))
        .await
        .text;
    for text in [
        "any approval",
        "from Staging First",
        "waits for a person",
        "Who can: anyone",
    ] {
        assert!(html.contains(text), "`{text}` in {html}");
    }
    let form = format!(
        "token={}&version={}&environment={}&promotion={id}&vote=rejected&reason=not+now",
        hidden(&html, "token"),
        version["id"].as_str().unwrap(),
        hidden(&html, "environment")
    );
    let cast = post(&world, &cookie, "/web/votes", &form).await;
    assert_eq!(
        cast.header("location"),
        format!("/promotions/{id}"),
        "{}",
        cast.text
    );
    let html = get(&world, &cookie, &format!("/web/promotions/{id}"))
        .await
        .text;
    assert!(
        html.contains("rejected v1 for Production: not now"),
        "{html}"
    );

    let missing = get(
        &world,
        &cookie,
        &format!("/promotions/{}", uuid::Uuid::from_u128(1)),
    )
    .await;
    assert_eq!(missing.status, 404);
    assert!(
        missing.text.contains("There is no such promotion"),
        "{}",
        missing.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_signs_in_once() {
    let world = World::new().await;
    let code = world
        .codes
        .mint(world.workspace, world.key(Role::Admin).id)
        .unwrap();
    let path = format!("/login?code={code}");
    let first = get(&world, "", &path).await;
    assert_eq!(
        (first.status.as_u16(), first.header("location")),
        (303, "/")
    );
    let cookie = first.header("set-cookie").split(';').next().unwrap();
    assert_eq!(get(&world, cookie, "/").await.status, 200);
    let second = get(&world, "", &path).await;
    assert_eq!(second.status, 401);
    assert!(second.text.contains("used already"), "{}", second.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_signing_out_and_with_its_key() {
    let world = World::new().await;
    let cookie = sign_in(&world, Role::Viewer).await;
    let token = hidden(&get(&world, &cookie, "/").await.text, "token");
    assert_eq!(
        post(&world, &cookie, "/logout", "token=x").await.status,
        403
    );
    let out = post(&world, &cookie, "/logout", &format!("token={token}")).await;
    assert_eq!(
        (out.status.as_u16(), out.header("location")),
        (303, "/login")
    );
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(get(&world, &cookie, "/").await.status, 303);

    let cookie = sign_in(&world, Role::Viewer).await;
    let revoke = Command::RevokeKey {
        id: world.key(Role::Viewer).id,
    };
    let revoked = world
        .controller
        .submit(world.workspace, Actor::System, revoke, Vec::new());
    revoked.await.unwrap();
    assert_eq!(get(&world, &cookie, "/").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_pages_are_told_of_changes() {
    let world = World::shop().await;
    let cookie = sign_in(&world, Role::Viewer).await;
    let request = Request::get("/web/events").header("cookie", &cookie);
    let request = request.body(Body::empty()).unwrap();
    let mut body = world
        .router
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .into_body();
    let mut next = async || {
        let frame = tokio::time::timeout(crate::world::DEADLINE, body.frame()).await;
        let data = frame.unwrap().unwrap().unwrap().into_data().unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    };
    let first = next().await;
    assert!(first.contains("event: changed"), "{first}");
    world.version("v1").await;
    let mut told = next().await;
    while !told.contains("event: changed") {
        told = next().await;
    }
    assert_ne!(told, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_is_answered_where_it_is_read() {
    let world = World::shop().await;
    world.version("v1").await;
    world.deploy().await;
    let cookie = sign_in(&world, Role::Approver).await;
    let html = get(&world, &cookie, "/inbox").await.text;
    assert!(html.contains("API: v1 to Production"), "{html}");
    assert!(
        html.contains("Staging</dt>") && html.contains("1 of 1 targets"),
        "{html}"
    );
    assert!(html.contains("<span class=\"chip wait\">1"), "{html}");
    let form = format!(
        "token={}&version={}&environment={}&vote=approved&back=inbox&reason=fine",
        hidden(html.split_once("class=\"vote wide\"").unwrap().1, "token"),
        hidden(&html, "version"),
        hidden(&html, "environment")
    );
    let answer = post(&world, &cookie, "/web/votes", &form).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/inbox")
    );
    let fragment = get(&world, &cookie, "/web/inbox").await.text;
    assert!(fragment.contains("Nothing waits for you") && !fragment.contains("<html"));
    let viewer = sign_in(&world, Role::Viewer).await;
    let html = get(&world, &viewer, "/inbox").await.text;
    assert!(html.contains("Nothing waits for you"), "{html}");
    let none = get(&world, "stagegate_session=0123", "/inbox").await;
    assert_eq!(
        (none.status.as_u16(), none.header("location")),
        (303, "/login?next=/inbox")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_votes_and_freezes_are_shown() {
    let world = World::shop().await;
    let policy = "type: Policy\nname: Stages\nselector: environment.name == \"Staging\"\nrules:\n  - approval:\n      stages:\n        - { name: QA, approvers: [user:approver], escalateAfterMinutes: 30, escalateTo: [role:admin] }\n        - { name: Release, approvers: [user:admin] }\n";
    world.apply(policy).await.expect(200);
    let body = serde_json::json!({"name": "Holidays", "reason": "few people", "selector": "environment.name == 'Staging'"});
    world
        .call(Role::Admin, "POST", "/freezes", Some(body))
        .await
        .expect(201);
    let version = world.version("v1").await;
    world
        .vote(version["id"].as_str().unwrap(), "Staging", "approved")
        .await
        .expect(202);
    let cookie = sign_in(&world, Role::Viewer).await;
    let board = get(&world, &cookie, "/").await.text;
    assert!(board.contains("frozen: Holidays"), "{board}");
    let page = world
        .get("/promotions?environment=Staging")
        .await
        .expect(200);
    let id = page["items"][0]["id"].as_str().unwrap();
    let html = get(&world, &cookie, &format!("/promotions/{id}"))
        .await
        .text;
    for said in [
        "<strong>QA</strong> 1 of 1 (approver)",
        "<strong>Release</strong> 0 of 1",
        "may approve: user:admin",
        "approver: approved",
        "few people",
        "approver approved v1 for Staging (counts for QA)",
    ] {
        assert!(html.contains(said), "no `{said}` in {html}");
    }
}
