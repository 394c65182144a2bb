//! Verifications against a real HTTP server.

use crate::world::{World, jobs};
use stagegate_model::{JobStatus, PromotionStatus, VerificationStatus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers every request with `status`; gives its address and the requests it saw.
async fn serve(status: u16) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            let _ = seen.send(String::from_utf8_lossy(&bytes[..read]).into_owned());
            let answer = format!(
                "HTTP/1.1 {status} It\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, requests)
}

fn rules(address: String) -> impl Fn(&str) -> Vec<(&'static str, serde_json::Value)> {
    move |environment| match environment {
        "staging" => vec![(
            "verification",
            serde_json::json!({"metrics": [{
                "name": "health", "provider": {"type": "http", "url": format!("http://{address}/health")},
                "successCondition": "result.statusCode == 200", "intervalSeconds": 1, "count": 2,
            }]}),
        )],
        _ => vec![(
            "environmentProgression",
            serde_json::json!({"waitFor": "Staging"}),
        )],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_staging_opens_production() {
    let dir = tempfile::tempdir().unwrap();
    let (address, mut requests) = serve(200).await;
    let world = World::open(dir.path()).await;
    let deployment = world.configure(rules(address)).await;
    let staging = jobs(
        &world
            .submit(world.version(deployment, "v1"))
            .await
            .unwrap()
            .facts,
    );
    assert_eq!(staging.len(), 1, "production waits");
    world.report(staging[0], JobStatus::Successful).await;
    world
        .eventually(|state| (state.jobs().len() == 2).then_some(()))
        .await;
    let request = requests.recv().await.unwrap().to_lowercase();
    let promotion = world
        .eventually(|state| {
            let job = state
                .jobs()
                .values()
                .find(|job| job.status == JobStatus::Successful)?;
            Some(job.promotion.to_string())
        })
        .await;
    assert!(
        request.contains(&format!("traceparent: 00-{}", promotion.replace('-', ""))),
        "{request}"
    );
    assert!(
        request.contains(&format!("stagegate.promotion={promotion}")),
        "{request}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_verification_keeps_production_shut() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _requests) = serve(500).await;
    let world = World::open(dir.path()).await;
    let deployment = world.configure(rules(address)).await;
    let staging = jobs(
        &world
            .submit(world.version(deployment, "v1"))
            .await
            .unwrap()
            .facts,
    );
    world.report(staging[0], JobStatus::Successful).await;
    world
        .eventually(|state| {
            state
                .promotions()
                .values()
                .any(|it| it.status == PromotionStatus::Failed)
                .then_some(())
        })
        .await;
    let jobs = world
        .controller
        .read(world.workspace, |engine| engine.state().jobs().len())
        .await
        .unwrap();
    assert_eq!(jobs, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_verification_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _requests) = serve(200).await;
    {
        let world = World::open(dir.path()).await;
        let deployment = world.configure(rules(address)).await;
        let staging = jobs(
            &world
                .submit(world.version(deployment, "v1"))
                .await
                .unwrap()
                .facts,
        );
        world.report(staging[0], JobStatus::Successful).await;
        world
            .eventually(|state| {
                state
                    .verifications()
                    .values()
                    .any(|it| it.status == VerificationStatus::Running)
                    .then_some(())
            })
            .await;
        world.controller.shutdown().await;
    }
    let world = World::open(dir.path()).await;
    world
        .eventually(|state| (state.jobs().len() == 2).then_some(()))
        .await;
}
