//! What the demo deploys: `examples/demo/*.yaml`, on ports that are free.

use anyhow::{Context as _, Result, bail};
use stagegate_api::{Apply, ApplyFile};
use std::net::TcpListener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SHOP: &str = include_str!("../../../../../examples/demo/1-shop.yaml");
const POLICIES: &str = include_str!("../../../../../examples/demo/2-policies.yaml");

pub(super) struct Workload {
    pub documents: Apply,
    /// Host and port of each environment's service.
    pub staging: String,
    pub production: String,
}

/// The documents, with other ports where those they name are taken.
pub(super) fn prepare() -> Result<Workload> {
    let mut shop = SHOP.to_owned();
    let (staging, production) = (free_port(18_081)?, free_port(18_082)?);
    for (written, port) in [(18_081, staging), (18_082, production)] {
        if written != port {
            println!("  note       port {written} is taken, so {port} is used");
            shop = shop.replace(&written.to_string(), &port.to_string());
        }
    }
    let file = |name: &str, text: String| ApplyFile {
        name: format!("examples/demo/{name}"),
        text,
    };
    let files = vec![
        file("1-shop.yaml", shop),
        file("2-policies.yaml", POLICIES.to_owned()),
    ];
    Ok(Workload {
        documents: Apply { files },
        staging: format!("127.0.0.1:{staging}"),
        production: format!("127.0.0.1:{production}"),
    })
}

fn free_port(wanted: u16) -> Result<u16> {
    if TcpListener::bind(("127.0.0.1", wanted)).is_ok() {
        return Ok(wanted);
    }
    let any =
        TcpListener::bind(("127.0.0.1", 0)).context("there is no free port on this machine")?;
    Ok(any.local_addr()?.port())
}

/// Asks a service which version it is.
pub(super) async fn expect_served(address: &str, tag: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("{address} does not answer"))?;
    let request = format!("GET /version HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if !answer.contains(tag) {
        bail!("http://{address} should be {tag}, but it answers: {answer}");
    }
    Ok(())
}
