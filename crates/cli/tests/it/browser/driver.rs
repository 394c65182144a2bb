//! A browser without a window, driven by WebDriver's HTTP protocol.

use crate::harness::{PATIENCE, within_patience};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The key under which WebDriver gives an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a profile of its own, which ends with the value.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: TempDir,
}

/// What WebDriver says of something it did not do.
#[derive(Debug)]
struct Refusal {
    /// Of which kind it is.
    error: String,
    #[expect(dead_code, reason = "read where a test prints it")]
    message: String,
}

impl Browser {
    #[track_caller]
    pub fn start() -> Self {
        let (Some(chromium), Some(chromedriver)) = (
            BROWSERS.iter().find_map(|name| on_path(name)),
            on_path("chromedriver"),
        ) else {
            panic!(
                "this test drives a real browser: install chromium and chromedriver (on Debian: \
                 `apt-get install -y --no-install-recommends chromium chromium-driver`; `cargo xtask test` sees \
                 to it by itself)"
            );
        };
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            // What they leave behind goes with the profile.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(driver.stdout.take().unwrap());
        // From here on whatever panics ends the processes too.
        let mut browser = Self {
            driver,
            port: 0,
            session: String::new(),
            profile,
        };
        let mut lines = stdout.lines().map_while(Result::ok);
        browser.port = lines
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says on which port it listens");
        // It must be able to go on printing.
        std::thread::spawn(move || lines.for_each(drop));
        browser.begin(&chromium);
        browser
    }

    fn begin(&mut self, chromium: &Path) {
        let profile = format!(
            "--user-data-dir={}",
            self.profile.path().join("profile").display()
        );
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            // Nothing but this machine.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--window-size=1280,900",
            &profile,
        ];
        let begun = self.request(
            "POST",
            "/session",
            Some(&json!({ "capabilities": { "alwaysMatch": {
                "goog:chromeOptions": { "binary": chromium, "args": arguments },
                "goog:loggingPrefs": { "browser": "ALL" },
            } } })),
        );
        let begun = begun.unwrap_or_else(|refusal| panic!("no browser: {refusal:?}"));
        self.session = begun["sessionId"].as_str().unwrap().to_owned();
    }

    /// One request of the protocol, within this session once there is one.
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let port = self.port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = BufReader::new(stream);
        let mut length = None;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let mut text = vec![0; length.expect("an answer says how long it is")];
        answer.read_exact(&mut text).unwrap();
        let mut answer: Value = serde_json::from_slice(&text).unwrap();
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(Refusal {
                error: error.to_owned(),
                message: value["message"].to_string(),
            }),
            None => Ok(value),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        self.request(method, &format!("/session/{}{path}", self.session), body)
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", Some(&json!({ "url": url })))
            .unwrap();
    }

    /// Where it is: what follows the server's address.
    #[track_caller]
    pub fn place(&self) -> String {
        let place = self.script("return location.pathname + location.search", &[]);
        place.as_str().unwrap().to_owned()
    }

    /// What a script gives, run in the page.
    #[track_caller]
    pub fn script(&self, script: &str, arguments: &[Value]) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.ask("POST", "/execute/sync", Some(&body)).unwrap()
    }

    /// A command of the browser's own protocol.
    #[track_caller]
    pub fn command(&self, name: &str, parameters: &Value) {
        let body = json!({ "cmd": name, "params": parameters });
        self.ask("POST", "/goog/cdp/execute", Some(&body)).unwrap();
    }

    fn element(&self, selector: &str) -> Result<String, Refusal> {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.ask("POST", "/element", Some(&body))?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Does something to an element as soon as it is there: the page may put another in its place at any time.
    #[track_caller]
    fn act(&self, selector: &str, action: &str, body: &Value) {
        within_patience(|| {
            let done = self.element(selector).and_then(|element| {
                let path = format!("/element/{element}/{action}");
                self.ask("POST", &path, Some(body))
            });
            match done {
                Ok(_) => Some(()),
                Err(refusal) => {
                    let passes = [
                        "no such element",
                        "stale element reference",
                        "element not interactable",
                        "element click intercepted",
                    ];
                    assert!(passes.contains(&&*refusal.error), "{selector}: {refusal:?}");
                    None
                }
            }
        });
    }

    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.act(selector, "click", &json!({}));
    }

    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        self.act(selector, "value", &json!({ "text": text }));
    }

    /// What the browser complained of since it was last asked, without advice.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let log = self
            .ask("POST", "/se/log", Some(&json!({ "type": "browser" })))
            .unwrap();
        let entries = log.as_array().unwrap().iter();
        entries
            .filter(|entry| !matches!(entry["level"].as_str(), Some("DEBUG" | "INFO")))
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // What it started may have left its group; each process of the browser names the profile.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
        // Until none is left, since they write to the profile, which goes next.
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let left = those_with(self.profile.path());
            if left.is_empty() {
                break;
            }
            let _ = Command::new("kill").arg("-KILL").args(left).status();
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

/// The processes whose command line names the folder.
fn those_with(folder: &Path) -> Vec<String> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            line.windows(folder.len()).any(|part| part == folder)
        })
        .filter_map(|process| process.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
