//! Groups of persons, named together as approvers.

use crate::answer::{Answer, Failure, Json};
use crate::body::{Body, Query};
use crate::people::People;
use crate::scope::Scope;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_model::{Command, Group, GroupId, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) async fn list(
    scope: Scope,
    Query(paging): Query<api::Paging>,
) -> Answer<Json<api::Page<api::Group>>> {
    let people = People::of(&scope).await?;
    let page = scope
        .read(move |engine| {
            let mut all: Vec<_> = engine.state().groups().values().collect();
            all.sort_by_key(|it| it.name.to_lowercase());
            let page = api::Page::cut(all, paging.limit(), paging.offset());
            page.map(|it| wire(it, &people))
        })
        .await?;
    Ok(Json(page))
}

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Group>> {
    let id: GroupId = scope.id("groupId")?;
    read(&scope, id).await.map(Json)
}

async fn read(scope: &Scope, id: GroupId) -> Answer<api::Group> {
    let people = People::of(scope).await?;
    scope
        .ask(move |engine| {
            let group = engine.state().groups().get(&id);
            let group = group.ok_or_else(|| Failure::no_such("group", id))?;
            Ok(wire(group, &people))
        })
        .await
}

pub(super) async fn create(
    scope: Scope,
    Body(body): Body<api::UpsertGroup>,
) -> Answer<(StatusCode, Json<api::Group>)> {
    let group = put(&scope, GroupId(Uuid::now_v7()), body).await?;
    Ok((StatusCode::CREATED, Json(group)))
}

pub(super) async fn upsert(
    scope: Scope,
    Body(body): Body<api::UpsertGroup>,
) -> Answer<Json<api::Group>> {
    let id: GroupId = scope.id("groupId")?;
    put(&scope, id, body).await.map(Json)
}

async fn put(scope: &Scope, id: GroupId, body: api::UpsertGroup) -> Answer<api::Group> {
    let people = People::of(scope).await?;
    let mut members: BTreeSet<UserId> = BTreeSet::new();
    for (index, name) in body.members.iter().enumerate() {
        let member = people.id(name);
        let member =
            member.ok_or_else(|| people.unknown(name.trim()).at(format!("members[{index}]")))?;
        members.insert(member);
    }
    let group = Group {
        id,
        name: body.name,
        members,
    };
    scope.submit(Command::PutGroup(group), Vec::new()).await?;
    read(scope, id).await
}

pub(super) async fn delete(scope: Scope) -> Answer<StatusCode> {
    let id: GroupId = scope.id("groupId")?;
    let command = Command::DeleteGroup { id };
    scope.submit(command, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wire(group: &Group, people: &People) -> api::Group {
    let mut members: Vec<api::Member> = group
        .members
        .iter()
        .map(|id| api::Member {
            id: id.to_string(),
            name: people.name(*id),
        })
        .collect();
    members.sort_by_key(|it| it.name.to_lowercase());
    api::Group {
        id: group.id.to_string(),
        name: group.name.clone(),
        members,
    }
}
