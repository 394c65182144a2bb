//! The client that everything shares: redirects and proxies.

use crate::support::{Server, answer};
use stagegate_integrations::http::{self, client, client_with};

#[tokio::test]
async fn redirects_end_after_five() {
    let server = Server::start(answer("302 Found", "location: /again\r\n", "")).await;
    let error = client()
        .unwrap()
        .get(server.url("/"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(http::failure(&error).code, "too_many_redirects");
    assert_eq!(server.requests().len(), 1 + http::REDIRECTS_MAX);
}

#[tokio::test]
async fn a_redirect_elsewhere_is_the_answer_and_takes_no_secret_along() {
    let other = Server::start(answer("200 OK", "", "")).await;
    let location = format!("location: {}\r\n", other.url("/"));
    let server = Server::start(answer("307 Temporary Redirect", &location, "")).await;
    let request = client().unwrap().get(server.url("/")).header("x-key", "s");
    assert_eq!(request.send().await.unwrap().status(), 307);
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn proxies_of_the_environment_are_used_but_never_for_loopback() {
    let proxy = Server::start(answer("200 OK", "", "from the proxy")).await;
    let server = Server::start(answer("200 OK", "", "direct")).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let client = client_with(|name| match name {
        "HTTP_PROXY" => Some(address.clone()),
        "NO_PROXY" => Some("internal.example".to_owned()),
        _ => None,
    })
    .unwrap();
    let get = async |url: String| client.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(
        get("http://service.invalid/x".to_owned()).await,
        "from the proxy"
    );
    assert!(proxy.requests()[0].starts_with("GET http://service.invalid/x "));
    assert_eq!(get(server.url("/")).await, "direct");
    let localhost = format!("http://localhost:{}/", server.port);
    assert_eq!(get(localhost).await, "direct");
}
