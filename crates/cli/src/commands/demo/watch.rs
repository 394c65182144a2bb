//! Watches what services answer, as their users would.

use super::workload::served;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

/// How often a service is asked.
const INTERVAL: Duration = Duration::from_millis(20);

/// Since when a service has answered with a version; `None` while it does not answer.
type Seen = Vec<(SystemTime, Option<String>)>;

/// One service being watched; ends with the value.
pub(super) struct Watch {
    pub name: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub fn start(name: &str, address: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::new()));
        let (kept, address) = (Arc::clone(&seen), address.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let version = served(&address).await.ok();
                let at = SystemTime::now();
                {
                    let mut seen = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if seen.last().is_none_or(|(_, last)| *last != version) {
                        seen.push((at, version));
                    }
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self {
            name: name.to_owned(),
            seen,
            task,
        }
    }

    /// Whether it has ever answered with that version.
    pub fn had(&self, version: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().any(|(_, it)| it.as_deref() == Some(version))
    }

    /// Since when it has answered with `good`, after it had answered with `bad`; `None` if it does not.
    pub fn back_since(&self, bad: &str, good: &str) -> Option<SystemTime> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        back_since(&seen, bad, good)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn back_since(seen: &[(SystemTime, Option<String>)], bad: &str, good: &str) -> Option<SystemTime> {
    let is = |version: &Option<String>, tag: &str| version.as_deref() == Some(tag);
    let last_bad = seen.iter().rposition(|(_, version)| is(version, bad))?;
    let (since, version) = seen.last()?;
    let after = seen.get(last_bad + 1..)?;
    let first_good = after.iter().find(|(_, version)| is(version, good));
    is(version, good).then_some(first_good.map_or(*since, |(at, _)| *at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_back_only_after_the_bad_version_and_while_it_answers() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let seen = |tags: &[&str]| -> Seen {
            let tags = tags.iter().zip(0..);
            tags.map(|(tag, second)| (at(second), Some((*tag).to_owned()).filter(|it| it != "-")))
                .collect()
        };
        let back = |tags: &[&str]| back_since(&seen(tags), "v2", "v1");
        assert_eq!(back(&["v1", "-", "v2", "-", "v1"]), Some(at(4)));
        assert_eq!(back(&["v1", "-", "v2", "-"]), None);
        assert_eq!(back(&["v1", "v2"]), None);
        assert_eq!(back(&["v1"]), None, "it never had the bad one");
        assert_eq!(back(&["v2", "v1", "-"]), None, "it does not answer");
        assert_eq!(back(&["v2", "v1", "-", "v1"]), Some(at(1)));
    }
}
