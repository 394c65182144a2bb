//! Following the log: for each durable entry, who is to be told of it.

use super::DELIVERIES_PENDING_MAX;
use super::compose;
use super::events::Subject;
use super::sight::{Sight, Trouble};
use stagegate_model::{Entry, Fact, Notifier, NotifierId, Timestamp};
use stagegate_store::{Delivery, DeliveryFault, DeliveryRecord, EntityRef, SideWrite, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Entries looked at in one step.
const ENTRIES_AT_A_TIME: usize = 256;
/// Entries in which nothing was found after which the cursor is written all the same.
const ENTRIES_PER_CURSOR: u64 = 1_000;
/// Changes of one notifier that are looked through for its beginning.
const CHANGES_MAX: usize = 1_000;

/// How far the log was looked through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    /// Up to here; `None` before the store was asked.
    seq: Option<u64>,
    /// What the store says; `None` while there never was a notifier.
    stored: Option<u64>,
}

impl Cursor {
    /// Whether there never was a notifier, as far as it was looked through.
    pub fn is_idle(&self) -> bool {
        self.stored.is_none()
    }
}

/// What a step came to.
pub(crate) struct Followed {
    pub cursor: Cursor,
    /// Those there are.
    pub notifiers: Vec<NotifierId>,
    /// Those for whom something was found.
    pub found: BTreeSet<NotifierId>,
    /// Whether the log goes on.
    pub more: bool,
    /// Whether everybody was told everything.
    pub all_told: bool,
}

/// Looks through the next entries up to `head`, and notes what was found together with the cursor.
pub(crate) fn follow(
    sight: &Sight<'_>,
    mut cursor: Cursor,
    head: u64,
    now: Timestamp,
) -> Result<Followed, Trouble> {
    let notifiers = sight.notifiers()?;
    if cursor.seq.is_none() {
        cursor.stored = sight.store.notify_cursor(sight.id())?;
        cursor.seq = Some(match cursor.stored {
            Some(stored) => stored,
            None => beginning(sight, &notifiers, head)?,
        });
    }
    let ids = notifiers.iter().map(|notifier| notifier.id).collect();
    let after = cursor.seq.unwrap_or(head);
    if cursor.stored.is_none() && notifiers.is_empty() {
        // Nobody was ever to be told, so nothing need be read.
        cursor.seq = Some(head);
        return Ok(Followed {
            cursor,
            notifiers: ids,
            found: BTreeSet::new(),
            more: false,
            all_told: true,
        });
    }
    let rows = match after < head {
        true => sight.store.read(sight.id(), after, ENTRIES_AT_A_TIME)?,
        false => Vec::new(),
    };
    let mut step = Step {
        sight,
        notifiers: &notifiers,
        now,
        writes: Vec::new(),
        found: BTreeMap::new(),
    };
    let mut seq = after;
    for row in rows.iter().take_while(|row| row.seq <= head) {
        // What this binary cannot read, it could not have loaded either.
        if let Ok(entry) = Entry::from_bytes(&row.body) {
            step.entry(&entry)?;
        }
        seq = row.seq;
    }
    let found = step.found.keys().copied().collect();
    let mut writes = step.writes;
    let writes_nothing = writes.is_empty();
    let stored = cursor.stored;
    let is_far = stored.is_none_or(|stored| seq - stored.min(seq) >= ENTRIES_PER_CURSOR);
    if !writes.is_empty() || is_far {
        writes.push(SideWrite::MoveNotifyCursor {
            workspace: sight.id(),
            seq,
        });
        sight.store.write_side(&writes)?;
        cursor.stored = Some(seq);
    }
    let all_told = seq >= head && writes_nothing && nothing_waits(sight, &notifiers)?;
    cursor.seq = Some(seq);
    Ok(Followed {
        all_told,
        cursor,
        notifiers: ids,
        found,
        more: seq > after && seq < head,
    })
}

fn nothing_waits(sight: &Sight<'_>, notifiers: &[Arc<Notifier>]) -> Result<bool, StoreError> {
    for notifier in notifiers {
        if sight.store.delivery_count(sight.id(), notifier.id)? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Before the first entry that made one of the notifiers: the process may have ended between that entry and the
/// first cursor.
fn beginning(sight: &Sight<'_>, notifiers: &[Arc<Notifier>], head: u64) -> Result<u64, StoreError> {
    let mut first = head;
    for notifier in notifiers {
        let entity = EntityRef::new("notifier", notifier.id.0);
        let changes = sight
            .store
            .touching(sight.id(), &entity, None, CHANGES_MAX)?;
        let made = changes.last().map_or(head, |seq| seq.saturating_sub(1));
        first = first.min(made);
    }
    Ok(first)
}

struct Step<'a> {
    sight: &'a Sight<'a>,
    notifiers: &'a [Arc<Notifier>],
    now: Timestamp,
    writes: Vec<SideWrite>,
    /// How many messages wait for those for whom something was found.
    found: BTreeMap<NotifierId, u64>,
}

impl Step<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), Trouble> {
        let workspace = self.sight.id();
        for fact in &entry.facts {
            if let Fact::NotifierDeleted { id } = fact {
                self.writes.push(SideWrite::ForgetNotifier {
                    workspace,
                    notifier: *id,
                });
            }
        }
        if self.notifiers.is_empty() {
            return Ok(());
        }
        for news in self.sight.news(entry)? {
            let Some(about) = self.sight.about(&news, entry.time)? else {
                continue;
            };
            for notifier in self.notifiers {
                let base_url = self.sight.base_url.as_deref();
                let (seq, time) = (entry.seq, entry.time);
                let is_told = time >= notifier.created_at
                    && compose::message(&news, &about, notifier, seq, time, base_url).is_some();
                if is_told {
                    self.note(notifier.id, seq, news.subject)?;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, notifier: NotifierId, seq: u64, subject: Subject) -> Result<(), Trouble> {
        let (workspace, store) = (self.sight.id(), self.sight.store);
        let waiting = match self.found.get(&notifier) {
            Some(waiting) => *waiting,
            None => store.delivery_count(workspace, notifier)?,
        };
        let urgent = subject.is_urgent();
        if waiting >= DELIVERIES_PENDING_MAX && !urgent {
            self.found.insert(notifier, waiting);
            let record = store.delivery_record(workspace, notifier)?;
            let mut record = record.unwrap_or_else(|| DeliveryRecord::new(workspace, notifier));
            record.given_up += 1;
            record.last_given_up = Some(DeliveryFault {
                at: self.now,
                code: "queue_full".to_owned(),
                message: format!("{DELIVERIES_PENDING_MAX} messages wait already"),
                seq,
            });
            self.writes.push(SideWrite::PutDeliveryRecord(record));
            return Ok(());
        }
        self.found.insert(notifier, waiting + 1);
        self.writes.push(SideWrite::PutDelivery(Delivery {
            workspace,
            notifier,
            seq,
            subject: subject.id(),
            attempts: 0,
            // What is urgent stands before everything that waits; [`super::work`] knows it by that.
            due: if urgent { Timestamp(0) } else { self.now },
            since: self.now,
        }));
        Ok(())
    }
}
