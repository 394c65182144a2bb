//! Serving a real connection, and stopping.

use crate::world::{DEADLINE, World};
use stagegate_model::Role;
use stagegate_server::{ServerOptions, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_streams_and_returns() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let controller = world.controller.clone();
    let options = ServerOptions {
        // Far longer than the test may take: the streams must end by themselves.
        drain: DEADLINE * 10,
        ..ServerOptions::default()
    };
    let served = tokio::spawn(serve(listener, controller, options, async {
        let _ = stopped.await;
    }));

    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n",
        world.path("/events"),
        world.key(Role::Viewer).secret
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("workspaceCreated") {
        let count = connection.read(&mut buffer).await.unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(DEADLINE, served).await;
    ended.expect("the server did not stop").unwrap().unwrap();
}
