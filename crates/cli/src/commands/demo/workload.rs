//! What the demo deploys: `examples/demo/*.yaml`, on ports that are free.

use anyhow::{Context as _, Result, bail};
use stagegate_api::{Apply, ApplyFile};
use std::net::TcpListener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The documents of a story: their folder, their files, and the ports of its services.
pub(super) struct Documents {
    folder: &'static str,
    shop: &'static str,
    policies: &'static str,
    services: &'static [(&'static str, u16)],
}

pub(super) const PROMOTION: Documents = Documents {
    folder: "examples/demo",
    shop: include_str!("../../../../../examples/demo/1-shop.yaml"),
    policies: include_str!("../../../../../examples/demo/2-policies.yaml"),
    services: &[("staging", 18_081), ("production", 18_082)],
};

pub(super) const ROLLBACK: Documents = Documents {
    folder: "examples/rollback",
    shop: include_str!("../../../../../examples/rollback/1-shop.yaml"),
    policies: include_str!("../../../../../examples/rollback/2-policies.yaml"),
    services: &[
        ("staging-1", 18_091),
        ("production-1", 18_092),
        ("production-2", 18_093),
        ("production-3", 18_094),
    ],
};

pub(super) struct Workload {
    pub folder: &'static str,
    pub documents: Apply,
    pub services: Vec<Service>,
}

/// What is deployed, and where it answers.
pub(super) struct Service {
    pub name: &'static str,
    /// Host and port.
    pub address: String,
}

impl Documents {
    /// Where they stand in the repository.
    pub fn folder(&self) -> &'static str {
        self.folder
    }
}

impl Workload {
    /// Where a service answers.
    pub fn address(&self, name: &str) -> &str {
        let mut named = self.services.iter().filter(|it| it.name == name);
        named.next().map_or("", |it| &it.address)
    }
}

/// The documents, with other ports where those they name are taken.
pub(super) fn prepare(documents: &Documents) -> Result<Workload> {
    let mut shop = documents.shop.to_owned();
    let mut services = Vec::new();
    for &(name, written) in documents.services {
        let port = free_port(written)?;
        if written != port {
            println!("  note       port {written} is taken, so {port} is used");
            shop = shop.replace(&written.to_string(), &port.to_string());
        }
        services.push(Service {
            name,
            address: format!("127.0.0.1:{port}"),
        });
    }
    let file = |name: &str, text: String| ApplyFile {
        name: format!("{}/{name}", documents.folder),
        text,
    };
    let files = vec![
        file("1-shop.yaml", shop),
        file("2-policies.yaml", documents.policies.to_owned()),
    ];
    Ok(Workload {
        folder: documents.folder,
        documents: Apply { files },
        services,
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
    let version = served(address).await?;
    if version != tag {
        bail!("http://{address} should be {tag}, but it answers with {version}");
    }
    Ok(())
}

/// The version that a service says it is.
pub(super) async fn served(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("{address} does not answer"))?;
    let request = format!("GET /version HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: serde_json::Value = serde_json::from_str(body)
        .with_context(|| format!("http://{address}/version answers: {answer}"))?;
    let version = body.get("version").and_then(serde_json::Value::as_str);
    version
        .map(str::to_owned)
        .with_context(|| format!("http://{address}/version names no version: {body}"))
}
