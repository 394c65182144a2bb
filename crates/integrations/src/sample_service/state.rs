//! What a running sample service knows about itself.

use super::Options;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// Upper bounds of the latency histogram's buckets, in milliseconds.
const BUCKETS_MS: [u64; 8] = [1, 5, 10, 50, 100, 500, 1_000, 5_000];

pub(super) struct State {
    options: Options,
    instance: String,
    promotion_id: Option<String>,
    started: Instant,
    healthy: AtomicBool,
    /// Set by `POST /admin/health`: from then on what was switched holds, not the clock.
    switched: AtomicBool,
    drawn: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    latency_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_MS.len()],
}

impl State {
    pub(super) fn new(options: Options, listener: &TcpListener) -> io::Result<Self> {
        let port = listener.local_addr()?.port();
        Ok(Self {
            instance: format!("{}:{port}#{}", options.host, std::process::id()),
            promotion_id: std::env::var("STAGEGATE_PROMOTION_ID").ok(),
            started: Instant::now(),
            healthy: AtomicBool::new(!options.unhealthy),
            switched: AtomicBool::new(false),
            drawn: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency_us: AtomicU64::new(0),
            buckets: Default::default(),
            options,
        })
    }

    pub(super) fn version(&self) -> &str {
        &self.options.version
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.options.latency_ms)
    }

    pub(super) fn about(&self) -> Value {
        json!({
            "name": self.options.name,
            "version": self.options.version,
            "instance": self.instance,
            "promotionId": self.promotion_id,
            "uptimeSeconds": self.started.elapsed().as_secs(),
        })
    }

    fn is_healthy(&self) -> bool {
        let expired = self
            .options
            .unhealthy_after_seconds
            .is_some_and(|after| self.started.elapsed() >= Duration::from_secs(after));
        self.healthy.load(Relaxed) && (self.switched.load(Relaxed) || !expired)
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Relaxed);
        self.switched.store(true, Relaxed);
    }

    pub(super) fn health(&self) -> (StatusCode, Value) {
        let (status, word) = if self.is_healthy() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "unhealthy")
        };
        let body = json!({
            "status": word,
            "version": self.options.version,
            "promotionId": self.promotion_id,
        });
        (status, body)
    }

    /// Whether the error rate claims this request. Spread evenly and without chance, so that a demo shows
    /// the same twice: of every 1/rate requests exactly one fails.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a demo does not serve 2^53 requests"
    )]
    pub(super) fn fails_now(&self) -> bool {
        let before = self.drawn.fetch_add(1, Relaxed) as f64;
        let rate = self.options.error_rate;
        ((before + 1.0) * rate).floor() > (before * rate).floor()
    }

    pub(super) fn count(&self, failed: bool, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        if failed {
            self.errors.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latency_us.fetch_add(micros, Relaxed);
        for (bound, bucket) in BUCKETS_MS.iter().zip(&self.buckets) {
            if micros <= bound * 1000 {
                bucket.fetch_add(1, Relaxed);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
    pub(super) fn prometheus(&self) -> String {
        let requests = self.requests.load(Relaxed);
        let version = label(&self.options.version);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# HELP requests_total Requests answered.\n# TYPE requests_total counter\n\
             requests_total{{version=\"{version}\"}} {requests}\n\
             # HELP errors_total Requests answered with 5xx.\n# TYPE errors_total counter\n\
             errors_total{{version=\"{version}\"}} {}\n\
             # HELP healthy Whether the service says it is healthy.\n# TYPE healthy gauge\n\
             healthy{{version=\"{version}\"}} {}\n\
             # HELP request_duration_seconds Time to answer.\n# TYPE request_duration_seconds histogram\n",
            self.errors.load(Relaxed),
            u8::from(self.is_healthy()),
        );
        for (bound, bucket) in BUCKETS_MS.iter().zip(&self.buckets) {
            let _ = writeln!(
                text,
                "request_duration_seconds_bucket{{version=\"{version}\",le=\"{}\"}} {}",
                *bound as f64 / 1e3,
                bucket.load(Relaxed)
            );
        }
        let _ = write!(
            text,
            "request_duration_seconds_bucket{{version=\"{version}\",le=\"+Inf\"}} {requests}\n\
             request_duration_seconds_sum{{version=\"{version}\"}} {}\n\
             request_duration_seconds_count{{version=\"{version}\"}} {requests}\n",
            self.latency_us.load(Relaxed) as f64 / 1e6,
        );
        text
    }

    /// One JSON line on standard output, with the promotion, so that logs can be joined to it.
    pub(super) fn log(&self, message: &str, facts: &Value) {
        let milliseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| {
                i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
            });
        let mut line = json!({
            "time": stagegate_model::Timestamp(milliseconds),
            "message": message,
            "service": self.options.name,
            "version": self.options.version,
            "promotionId": self.promotion_id,
        });
        if let (Value::Object(line), Value::Object(facts)) = (&mut line, facts) {
            line.extend(facts.clone());
        }
        // A closed standard output must not take the service down, as `println!` would.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}

/// A label's value as Prometheus escapes it.
fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
