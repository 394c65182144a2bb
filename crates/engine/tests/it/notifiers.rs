//! Notifiers: what is refused, what is kept, and whom they concern.

use crate::world::World;
use stagegate_engine::concerns;
use stagegate_model::*;
use std::collections::BTreeSet;

fn notifier(world: &mut World, name: &str) -> Notifier {
    Notifier {
        id: world.id().into(),
        name: name.to_owned(),
        kind: "webhook".to_owned(),
        config: serde_json::json!({"url": "http://x", "secret": "{{ secret.HOOK }}"}),
        events: BTreeSet::new(),
        environments: BTreeSet::new(),
        selector: String::new(),
        metadata: Metadata::new(),
        created_at: Timestamp(7),
    }
}

fn put(notifier: &Notifier) -> Command {
    Command::Configure(vec![Change::PutNotifier(notifier.clone())])
}

#[test]
fn a_notifier_is_put_once_and_deleted() {
    let mut world = World::new();
    let mut one = notifier(&mut world, "ops");
    assert_eq!(world.run(put(&one)).len(), 1);
    assert_eq!(world.run(put(&one)), []);
    assert!(world.state().notifier_by_name("OPS").is_some());
    // What it is told changes; since when it is told does not.
    one.events.insert("jobLost".to_owned());
    one.created_at = Timestamp(9);
    world.run(put(&one));
    let kept = world.state().notifiers().get(&one.id).unwrap();
    assert_eq!(kept.created_at, Timestamp(7));

    let twin = notifier(&mut world, "Ops");
    assert_eq!(world.refused(put(&twin)).code, "name_taken");
    let delete = Command::Configure(vec![Change::DeleteNotifier(one.id)]);
    world.run(delete.clone());
    assert!(world.state().notifiers().is_empty());
    assert_eq!(world.refused(delete).code, "notifier_not_found");
}

#[test]
fn filters_are_checked_on_write() {
    let mut world = World::new();
    type Spoil = fn(&mut Notifier);
    let cases: [(Spoil, &str, &str); 5] = [
        (|it| it.name.clear(), "invalid_name", "name"),
        (|it| it.config = Json::Null, "wrong_type", "config"),
        (
            |it| it.events.extend(["approved".to_owned()]),
            "invalid_value",
            "events",
        ),
        (
            |it| it.environments.extend([EnvironmentId(uuid::Uuid::nil())]),
            "environment_not_found",
            "environments",
        ),
        (
            |it| it.selector = "deployment.nmae == \"api\"".to_owned(),
            "cel_unknown_field",
            "selector",
        ),
    ];
    for (spoil, code, field) in cases {
        let mut wrong = notifier(&mut world, "ops");
        spoil(&mut wrong);
        let rejection = world.refused(put(&wrong));
        assert_eq!(
            (rejection.code.as_str(), rejection.field.as_str()),
            (code, field),
            "{rejection}"
        );
    }
}

#[test]
fn an_environment_that_a_notifier_names_stays() {
    let mut world = World::new();
    let production = world.environment("Production");
    let mut one = notifier(&mut world, "ops");
    one.environments.insert(production);
    world.run(put(&one));
    let delete = Command::Configure(vec![Change::DeleteEnvironment(production)]);
    let rejection = world.refused(delete);
    assert_eq!(rejection.code, "in_use");
    assert!(rejection.message.contains("`ops`"), "{rejection}");
}

#[test]
fn a_notifier_is_concerned_where_its_filters_hold() {
    let mut world = World::new();
    let (staging, production) = (
        world.environment("Staging"),
        world.environment("Production"),
    );
    world.version("v1");
    let state = world.state();
    let version = state.versions().values().next().unwrap().clone();
    let deployment = state.deployments()[&version.deployment].clone();
    let [staging_it, production_it] =
        [staging, production].map(|id| state.environments()[&id].clone());
    let mut one = notifier(&mut world, "ops");
    let concerned = |one: &Notifier| {
        [Some(&*staging_it), Some(&*production_it), None]
            .map(|it| concerns(one, &deployment, it, &version))
    };
    assert_eq!(concerned(&one), [true, true, true]);
    one.environments.insert(production);
    assert_eq!(concerned(&one), [false, true, false]);
    one.environments.clear();
    one.selector = "environment.name == \"Staging\" && version.tag == \"v1\"".to_owned();
    assert_eq!(concerned(&one), [true, false, false]);
    one.selector = "deployment.slug == \"web\"".to_owned();
    assert_eq!(concerned(&one), [false, false, false]);
    // A selector that fails lets through: one message too many does less harm.
    one.selector = "1 / 0 == 1".to_owned();
    assert_eq!(concerned(&one), [true, true, true]);
}
