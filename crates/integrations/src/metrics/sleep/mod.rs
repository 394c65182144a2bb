//! `sleep`: waits and then says so. Puts a pause before a judgement, or stands in for a real metric.
//!
//! ```json
//! {"type": "sleep", "durationSeconds": 30}
//! ```
//!
//! Result: `{"ok": true, "sleptSeconds": 30}`.

use super::{MeasureContext, MeasureError, MetricProvider};
use crate::config::ConfigError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

const DURATION_SECONDS_MAX: u64 = 3600;

/// Configuration of `sleep`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SleepMetric {
    /// How long to wait, 1 to 3600.
    pub duration_seconds: u64,
}

impl MetricProvider for SleepMetric {
    const KIND: &'static str = "sleep";

    fn check(&self) -> Result<(), ConfigError> {
        if (1..=DURATION_SECONDS_MAX).contains(&self.duration_seconds) {
            return Ok(());
        }
        Err(ConfigError::invalid(
            "durationSeconds",
            format!("`{}` is out of range", self.duration_seconds),
            format!("use 1 to {DURATION_SECONDS_MAX}"),
        ))
    }

    async fn measure(
        &self,
        _client: &reqwest::Client,
        _context: &MeasureContext,
    ) -> Result<Value, MeasureError> {
        tokio::time::sleep(Duration::from_secs(self.duration_seconds)).await;
        Ok(json!({"ok": true, "sleptSeconds": self.duration_seconds}))
    }
}
