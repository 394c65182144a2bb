//! `stagegate serve`

mod bootstrap;

use crate::Answer;
use crate::commands::lasting_runtime;
use crate::failure::Failure;
use crate::output::Output;
use crate::stopping;
use crate::values;
use anyhow::Result;
use bootstrap::{BOOTSTRAP_KEY_VARIABLE, Bootstrap};
use serde_json::json;
use stagegate_controller::{Controller, LoadError, Options, SystemClock};
use stagegate_server::ServerOptions;
use stagegate_store::{SqliteStore, Store, StoreError};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Start the server: the API, the event stream and the web pages.
///
/// Everything is kept in the data folder, which one process at a time may use. When it is new, a workspace `default`
/// and a user `admin` are made, and the admin's key is printed once. If STAGEGATE_BOOTSTRAP_API_KEY is set (at least
/// 20 characters), that is the admin's key instead, and none is printed. The variable is read only when there is no
/// admin key at all, so only at the first start: setting it later adds nothing.
///
/// SIGTERM and SIGINT stop it once what was accepted is written; a second one stops it at once.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate serve --data ./data
  stagegate serve --data /var/lib/stagegate --listen 0.0.0.0:8780 --secure-cookies")]
pub struct Args {
    /// Where everything is kept; made when it is not there
    #[arg(long, env = "STAGEGATE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Address and port to listen on; port 0 takes any free one
    #[arg(
        long,
        env = "STAGEGATE_LISTEN",
        default_value = "127.0.0.1:8780",
        value_name = "ADDRESS"
    )]
    listen: String,
    /// Browsers are to send their session over HTTPS only; set it behind a proxy that does TLS
    #[arg(long, env = "STAGEGATE_SECURE_COOKIES")]
    secure_cookies: bool,
    /// Where people reach this server's pages, for the links in messages; by default the address it listens on
    #[arg(long, env = "STAGEGATE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// After how long without use a workspace leaves memory, as `15m`; it comes back when it is needed. `0s` for never
    #[arg(
        long,
        env = "STAGEGATE_REST_AFTER",
        default_value = "15m",
        value_name = "TIME",
        value_parser = values::duration
    )]
    rest_after: Duration,
    /// How many workspaces stay in memory; of more, those that were not used for the longest leave at once
    #[arg(
        long,
        env = "STAGEGATE_WORKSPACES_IN_MEMORY",
        default_value_t = Options::IN_MEMORY_MAX,
        value_name = "COUNT"
    )]
    workspaces_in_memory: usize,
    /// Also stop when standard input closes: for whoever starts it as a child
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

impl Args {
    pub fn run(self, out: &Output) -> Result<Answer> {
        let runtime = lasting_runtime()?;
        runtime.block_on(self.serve(out))
    }

    async fn serve(self, out: &Output) -> Result<Answer> {
        // From the first moment on, so that being told to stop while loading is not lost.
        let signals = stopping::told(self.until_stdin_closes)?;
        // The data first: that it is in use says more than that the port is.
        let store: Arc<dyn Store> = Arc::new(
            SqliteStore::open(&self.data).map_err(|error| store_failure(&error, &self.data))?,
        );
        let listener = listen(&self.listen).await?;
        let address = listener.local_addr()?;
        let url = url(address);
        let base_url = public_url(self.public_url.as_deref())?.unwrap_or_else(|| url.clone());
        let behaviour = Options {
            base_url: Some(base_url),
            rest_after: Some(self.rest_after).filter(|after| !after.is_zero()),
            in_memory_max: self.workspaces_in_memory,
            ..Options::default()
        };
        let controller = Controller::start_with(store, Arc::new(SystemClock), behaviour)
            .map_err(|error| load_failure(&error, &self.data))?;
        let options = ServerOptions {
            secure_cookies: self.secure_cookies,
            ..ServerOptions::default()
        };
        let given = std::env::var_os(BOOTSTRAP_KEY_VARIABLE).filter(|key| !key.is_empty());
        let bootstrap = bootstrap::needed(&controller, given).await?;
        announce(&url, &self.data, bootstrap.as_ref(), out)?;
        if let Some(bootstrap) = bootstrap {
            // The key was printed before it is made: should the process end in between, the next start prints
            // another, whereas a key made and never shown would be lost.
            bootstrap.carry_out(&controller).await?;
        }
        say(
            out,
            &json!({"event": "ready", "url": url}),
            &format!("ready: {url}"),
        )?;
        let served = stagegate_server::serve(listener, controller.clone(), options, signals).await;
        controller.shutdown().await;
        served.map_err(|error| Failure::local("internal", format!("the server ended: {error}")))?;
        let _ = say(out, &json!({"event": "stopped"}), "stopped");
        Ok(Answer::Yes)
    }
}

/// Says where it is, and the key when there is a new one.
fn announce(url: &str, data: &Path, bootstrap: Option<&Bootstrap>, out: &Output) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let data = data.display().to_string();
    let started = json!({"event": "starting", "version": version, "url": url, "data": data});
    say(
        out,
        &started,
        &format!("stagegate {version}\nurl: {url}\ndata: {data}"),
    )?;
    match bootstrap.map(Bootstrap::printed_key) {
        None => Ok(()),
        Some(Some(key)) => say(
            out,
            &json!({"event": "adminKey", "user": bootstrap::ADMIN, "key": key}),
            &format!(
                "key: {key}\n     of user `{}`; shown this once, so keep it: export STAGEGATE_API_KEY={key}",
                bootstrap::ADMIN
            ),
        ),
        Some(None) => say(
            out,
            &json!({"event": "adminKey", "user": bootstrap::ADMIN, "from": BOOTSTRAP_KEY_VARIABLE}),
            &format!(
                "key: as in {BOOTSTRAP_KEY_VARIABLE}, of user `{}`",
                bootstrap::ADMIN
            ),
        ),
    }
}

fn say(out: &Output, event: &serde_json::Value, text: &str) -> Result<()> {
    if out.is_json() {
        out.json_line(event)
    } else {
        out.text(text)
    }
}

async fn listen(address: &str) -> Result<TcpListener> {
    let failure = |error: std::io::Error| {
        match error.kind() {
        ErrorKind::AddrInUse => Failure::local(
            "port_taken",
            format!("cannot listen on `{address}`: another program does"),
        )
        .hint("is Stagegate running there already? Otherwise choose another port with `--listen`; port 0 takes any free one"),
        ErrorKind::PermissionDenied => Failure::local(
            "port_taken",
            format!("cannot listen on `{address}`: the system does not allow it"),
        )
        .hint("ports below 1024 need privileges; choose another with `--listen`"),
        ErrorKind::InvalidInput => Failure::usage(
            "invalid_value",
            format!("--listen: `{address}` is not an address with a port"),
        )
        .hint("write it like `127.0.0.1:8780`"),
        _ => Failure::usage("invalid_value", format!("--listen: cannot listen on `{address}`: {error}"))
            .hint("write it like `127.0.0.1:8780`, with an address of this machine"),
    }
    };
    Ok(TcpListener::bind(address).await.map_err(failure)?)
}

/// How the server is reached from this machine.
fn url(address: SocketAddr) -> String {
    let port = address.port();
    match address {
        SocketAddr::V4(it) if it.ip().is_unspecified() => format!("http://127.0.0.1:{port}"),
        SocketAddr::V6(it) if it.ip().is_unspecified() => format!("http://[::1]:{port}"),
        it => format!("http://{it}"),
    }
}

/// The address that messages link to.
fn public_url(given: Option<&str>) -> Result<Option<String>> {
    let Some(given) = given.map(str::trim).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let is_web = given.starts_with("https://") || given.starts_with("http://");
    if !is_web || given.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let what = format!("--public-url: `{given}` is not the address of a web page");
        return Err(Failure::usage("invalid_value", what)
            .hint("write it like `https://stagegate.example.org`")
            .into());
    }
    Ok(Some(given.trim_end_matches('/').to_owned()))
}

fn store_failure(error: &StoreError, data: &Path) -> Failure {
    let failure = Failure::local(error.code(), error.to_string());
    let data = data.display();
    match (error, error.detail()) {
        (StoreError::Locked { .. }, _) => {
            failure.hint("one server at a time may use a data folder; stop the other one, or give this one its own with `--data`")
        }
        (StoreError::Corrupt { .. }, _) => corrupt_hint(failure, &data),
        (_, Some(detail)) => failure.hint(format!("the system says: {detail}")),
        _ => failure,
    }
}

fn load_failure(error: &LoadError, data: &Path) -> Failure {
    if let LoadError::Store(error) = error {
        return store_failure(error, data);
    }
    let failure = Failure::local(error.code(), error.to_string());
    if error.code() == "log_corrupt" {
        return corrupt_hint(failure, &data.display());
    }
    failure
}

fn corrupt_hint(failure: Failure, data: &std::path::Display<'_>) -> Failure {
    failure.hint(format!(
        "nothing was changed; `stagegate audit verify --data {data}` looks at it again, and a backup of the folder brings it back"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_can_be_opened_on_this_machine() {
        for (address, expected) in [
            ("127.0.0.1:8780", "http://127.0.0.1:8780"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:1", "http://[::1]:1"),
            ("10.1.2.3:80", "http://10.1.2.3:80"),
        ] {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
