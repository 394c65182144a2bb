//! A page of the log: what is read for it does not depend on how long the log is, how much of it fits the query, or
//! how large its entries are.

use crate::routes::events::entry_text;
use stagegate_controller::Brief;
use stagegate_model::WorkspaceId;
use stagegate_store::{Cursor, EntityRef, Store, StoreError};
use std::collections::VecDeque;
use uuid::Uuid;

/// A page ends once it holds this much; a single entry may be larger.
const PAGE_BYTES: usize = 1024 * 1024;
/// Of entries that must touch several things, so many of each are looked at at a time…
const AT_A_TIME: usize = 256;
/// …and for one page no more than these; then it goes on with the next.
const LOOKED_AT_MAX: usize = 20_000;

/// Which entries are asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub after: Option<u64>,
    pub before: Option<u64>,
    pub limit: usize,
    /// What they must touch, all of it.
    pub touching: Vec<EntityRef>,
    /// Very large entries whole.
    pub whole: bool,
}

/// What there is of it.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// In order of their numbers, each as JSON.
    pub entries: Vec<Vec<u8>>,
    /// How many match on all pages, where that is known.
    pub total: Option<u64>,
    /// Where it goes on, if there may be more.
    pub next: Option<u64>,
}

/// Numbers of entries in the order in which they are read.
#[derive(Default)]
struct Found {
    seqs: Vec<u64>,
    total: Option<u64>,
    /// The last number that was looked at, if there may be more behind it.
    next: Option<u64>,
}

impl Wanted {
    /// With `before` alone those next to it are wanted, else those at the beginning.
    fn is_backward(&self) -> bool {
        self.after.is_none() && self.before.is_some()
    }

    /// Reads them.
    pub fn read(&self, store: &dyn Store, workspace: WorkspaceId) -> Result<Page, StoreError> {
        let found = if self.touching.is_empty() {
            self.all(store, workspace)?
        } else {
            self.touching(store, workspace)?
        };
        let mut page = Page {
            total: found.total,
            next: found.next,
            ..Page::default()
        };
        let has_briefs = !self.whole && has_briefs(store, workspace, &found.seqs)?;
        let mut bytes = 0;
        for (place, seq) in found.seqs.iter().enumerate() {
            let brief = match has_briefs {
                true => store.archived(workspace, Brief::KIND, Brief::id(*seq))?,
                false => None,
            };
            let entry = match brief {
                Some(brief) => Some(brief.body),
                None => store.row(workspace, *seq)?.and_then(entry_text),
            };
            bytes += entry.as_ref().map_or(0, Vec::len);
            page.entries.extend(entry);
            if bytes >= PAGE_BYTES && place + 1 < found.seqs.len() {
                page.next = Some(*seq);
                break;
            }
        }
        if self.is_backward() {
            page.entries.reverse();
        }
        Ok(page)
    }

    fn all(&self, store: &dyn Store, workspace: WorkspaceId) -> Result<Found, StoreError> {
        let head = store.head(workspace)?.map_or(0, |head| head.seq);
        let first = self.after.map_or(1, |after| after.saturating_add(1));
        let last = self
            .before
            .map_or(head, |before| before.saturating_sub(1).min(head));
        if first > last {
            return Ok(Found {
                total: Some(0),
                ..Found::default()
            });
        }
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let seqs: Vec<u64> = if self.is_backward() {
            let from = first.max(last.saturating_sub(limit - 1));
            (from..=last).rev().collect()
        } else {
            (first..=last.min(first.saturating_add(limit - 1))).collect()
        };
        let total = last - first + 1;
        Ok(Found {
            next: seqs.last().copied().filter(|_| total > limit),
            total: Some(total),
            seqs,
        })
    }

    /// Goes through the entries that touch each of them side by side, each time to the next that may touch all.
    fn touching(&self, store: &dyn Store, workspace: WorkspaceId) -> Result<Found, StoreError> {
        // One more than is told says whether there is more.
        let wanted = self.limit + 1;
        let at_a_time = match self.touching.len() {
            1 => wanted,
            _ => AT_A_TIME,
        };
        let mut trails: Vec<Trail<'_>> = self
            .touching
            .iter()
            .map(|entity| Trail {
                entity,
                ahead: VecDeque::new(),
                ended: false,
            })
            .collect();
        let mut found = Found::default();
        let mut looked_at = 0;
        let mut at = match self.is_backward() {
            true => self.before.map(|before| before.saturating_sub(1)),
            false => Some(self.after.map_or(1, |after| after.saturating_add(1))),
        };
        while let Some(from) = at {
            let mut common = from;
            for trail in &mut trails {
                looked_at += trail.go_to(store, workspace, common, self, at_a_time)?;
                match trail.ahead.front() {
                    Some(seq) => common = *seq,
                    None => {
                        found.total = u64::try_from(found.seqs.len()).ok();
                        return Ok(found);
                    }
                }
            }
            // Each trail but the first was asked from where the one before it is.
            let is_common = trails.iter().all(|it| it.ahead.front() == Some(&common));
            if is_common {
                if found.seqs.len() == self.limit {
                    found.next = found.seqs.last().copied();
                    return Ok(found);
                }
                found.seqs.push(common);
                at = self.behind(common);
            } else {
                at = Some(common);
            }
            if looked_at >= LOOKED_AT_MAX && trails.len() > 1 {
                // What is at `at` was not yet looked at by all.
                found.next = match self.is_backward() {
                    true => at.map(|at| at.saturating_add(1)),
                    false => at.map(|at| at.saturating_sub(1)),
                };
                return Ok(found);
            }
        }
        found.total = u64::try_from(found.seqs.len()).ok();
        Ok(found)
    }

    fn behind(&self, seq: u64) -> Option<u64> {
        match self.is_backward() {
            true => seq.checked_sub(1),
            false => seq.checked_add(1),
        }
    }
}

/// The entries that touch one thing.
struct Trail<'w> {
    entity: &'w EntityRef,
    ahead: VecDeque<u64>,
    ended: bool,
}

impl Trail<'_> {
    /// Has at its front the first that is at that number or behind it; how many were looked at for it.
    fn go_to(
        &mut self,
        store: &dyn Store,
        workspace: WorkspaceId,
        seq: u64,
        wanted: &Wanted,
        at_a_time: usize,
    ) -> Result<usize, StoreError> {
        let is_backward = wanted.is_backward();
        let is_there = |it: u64| if is_backward { it <= seq } else { it >= seq };
        while self.ahead.front().is_some_and(|it| !is_there(*it)) {
            self.ahead.pop_front();
        }
        if !self.ahead.is_empty() || self.ended {
            return Ok(0);
        }
        let page = if is_backward {
            let before = Some(seq.saturating_add(1));
            store.touching(workspace, self.entity, before, at_a_time)?
        } else {
            store.touching_after(workspace, self.entity, seq.saturating_sub(1), at_a_time)?
        };
        let read = page.len();
        self.ended = read < at_a_time;
        let within = |it: &u64| wanted.before.is_none_or(|before| *it < before);
        self.ahead = page.into_iter().take_while(within).collect();
        Ok(read)
    }
}

/// Whether some of these entries may have a short form: most logs have none at all.
fn has_briefs(store: &dyn Store, workspace: WorkspaceId, seqs: &[u64]) -> Result<bool, StoreError> {
    let (Some(first), Some(last)) = (seqs.iter().min(), seqs.iter().max()) else {
        return Ok(false);
    };
    let behind = Cursor {
        rank: last.saturating_add(1),
        id: Uuid::nil(),
    };
    let newest = store.archived_recent(workspace, Brief::KIND, Some(behind), 1)?;
    Ok(newest.iter().any(|it| it.seq >= *first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_model::{EntryId, Timestamp};
    use stagegate_store::{Append, ArchiveRecord, Layer, Row, SqliteStore};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

    /// Counts what is read.
    struct Counting {
        inner: SqliteStore,
        rows: AtomicUsize,
        looked_at: AtomicUsize,
        others: AtomicUsize,
    }

    impl Layer for Counting {
        fn behind(&self) -> &dyn Store {
            &self.inner
        }

        fn before(&self, _: &'static str) -> Result<(), StoreError> {
            self.others.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn row(&self, workspace: WorkspaceId, seq: u64) -> Result<Option<Row>, StoreError> {
            self.rows.fetch_add(1, Ordering::Relaxed);
            self.inner.row(workspace, seq)
        }

        fn touching(
            &self,
            workspace: WorkspaceId,
            entity: &EntityRef,
            before_seq: Option<u64>,
            limit: usize,
        ) -> Result<Vec<u64>, StoreError> {
            let found = self.inner.touching(workspace, entity, before_seq, limit)?;
            self.looked_at.fetch_add(found.len(), Ordering::Relaxed);
            Ok(found)
        }

        fn touching_after(
            &self,
            workspace: WorkspaceId,
            entity: &EntityRef,
            after_seq: u64,
            limit: usize,
        ) -> Result<Vec<u64>, StoreError> {
            let found = self
                .inner
                .touching_after(workspace, entity, after_seq, limit)?;
            self.looked_at.fetch_add(found.len(), Ordering::Relaxed);
            Ok(found)
        }
    }

    fn entity(number: u128) -> EntityRef {
        EntityRef::new("environment", Uuid::from_u128(number))
    }

    /// A log of so many entries: what an entry touches and how many bytes its body has.
    fn log(count: u64, of: impl Fn(u64) -> (Vec<u128>, usize)) -> Counting {
        let inner = SqliteStore::in_memory().unwrap();
        let mut head = None;
        let all: Vec<Append> = (1..=count)
            .map(|seq| {
                let (touches, bytes) = of(seq);
                let body = format!("{{\"seq\":{seq},\"filler\":\"{}\"}}", "x".repeat(bytes));
                let id = EntryId(Uuid::from_u128(u128::from(seq)));
                let row = Row::following(
                    head.as_ref(),
                    WORKSPACE,
                    id,
                    Timestamp(0),
                    body.into_bytes(),
                );
                head = Some(row.head());
                let mut append = Append::new(row, 0);
                append.touches = touches.into_iter().map(entity).collect();
                append
            })
            .collect();
        all.chunks(500).for_each(|some| inner.append(some).unwrap());
        Counting {
            inner,
            rows: AtomicUsize::new(0),
            looked_at: AtomicUsize::new(0),
            others: AtomicUsize::new(0),
        }
    }

    fn wanted(touching: &[u128], limit: usize) -> Wanted {
        Wanted {
            after: None,
            before: None,
            limit,
            touching: touching.iter().copied().map(entity).collect(),
            whole: false,
        }
    }

    fn seqs(page: &Page) -> Vec<u64> {
        let entries = page.entries.iter();
        let read = entries.map(|it| serde_json::from_slice::<serde_json::Value>(it).unwrap());
        read.map(|it| {
            assert_eq!(it["hash"].as_str().unwrap().len(), 64);
            it["seq"].as_u64().unwrap()
        })
        .collect()
    }

    /// All pages, in order of their numbers, and how many there were.
    fn all_pages(store: &dyn Store, mut wanted: Wanted) -> (Vec<u64>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            let page = wanted.read(store, WORKSPACE).unwrap();
            pages += 1;
            assert!(page.entries.len() <= wanted.limit && pages < 10_000);
            let next = page.next;
            if wanted.is_backward() {
                all.splice(0..0, seqs(&page));
                wanted.before = next;
            } else {
                all.extend(seqs(&page));
                wanted.after = next;
            }
            if next.is_none() {
                return (all, pages);
            }
        }
    }

    #[test]
    fn a_page_reads_as_many_entries_as_it_shows_however_long_the_history_is() {
        let store = log(3_000, |seq| match seq % 3 {
            0 => (vec![], 0),
            _ => (vec![1], 0),
        });
        let asked = [
            wanted(&[1], 50),
            Wanted {
                before: Some(u64::MAX),
                ..wanted(&[1], 50)
            },
            wanted(&[], 50),
            Wanted {
                after: Some(1_000),
                before: Some(2_500),
                ..wanted(&[1], 50)
            },
        ];
        for wanted in asked {
            let before =
                [&store.rows, &store.looked_at, &store.others].map(|it| it.load(Ordering::Relaxed));
            let page = wanted.read(&store, WORKSPACE).unwrap();
            assert_eq!(page.entries.len(), 50);
            assert!(page.next.is_some());
            let after =
                [&store.rows, &store.looked_at, &store.others].map(|it| it.load(Ordering::Relaxed));
            assert_eq!(after[0] - before[0], 50, "entries");
            assert!(after[1] - before[1] <= 51, "of the index");
            assert!(after[2] - before[2] <= 2, "other questions");
            let expected: Vec<u64> = (1..=3_000)
                .filter(|seq| wanted.touching.is_empty() || seq % 3 != 0)
                .filter(|seq| wanted.after.is_none_or(|after| *seq > after))
                .filter(|seq| wanted.before.is_none_or(|before| *seq < before))
                .collect();
            assert_eq!(all_pages(&store, wanted).0, expected);
        }
    }

    #[test]
    fn how_many_there_are_is_told_where_it_is_known() {
        let store = log(120, |seq| (vec![1 + u128::from(seq % 2)], 0));
        let read = |wanted: Wanted| {
            let page = wanted.read(&store, WORKSPACE).unwrap();
            (page.entries.len(), page.total, page.next)
        };
        assert_eq!(read(wanted(&[], 50)), (50, Some(120), Some(50)));
        assert_eq!(read(wanted(&[1], 50)), (50, None, Some(100)));
        assert_eq!(read(wanted(&[1], 60)), (60, Some(60), None));
        assert_eq!(read(wanted(&[1, 2], 60)), (0, Some(0), None));
        assert_eq!(read(wanted(&[3], 60)), (0, Some(0), None));
        let beyond = Wanted {
            after: Some(120),
            ..wanted(&[], 50)
        };
        assert_eq!(read(beyond), (0, Some(0), None));
        let before_all = Wanted {
            before: Some(0),
            ..wanted(&[1], 50)
        };
        assert_eq!(read(before_all), (0, Some(0), None));
    }

    #[test]
    fn what_must_touch_several_is_found_in_both_directions() {
        let touches = |seq: u64| {
            let of = [(1, 2), (2, 3), (3, 35)];
            let of = of.into_iter().filter(|(_, each)| seq.is_multiple_of(*each));
            of.map(|(entity, _)| entity).collect::<Vec<u128>>()
        };
        let store = log(4_000, |seq| (touches(seq), 0));
        for entities in [&[1_u128, 2][..], &[2, 1], &[1, 2, 3], &[3, 1], &[1, 1]] {
            let expected: Vec<u64> = (1..=4_000)
                .filter(|seq| entities.iter().all(|it| touches(*seq).contains(it)))
                .collect();
            for before in [None, Some(u64::MAX)] {
                let wanted = Wanted {
                    before,
                    ..wanted(entities, 7)
                };
                assert_eq!(all_pages(&store, wanted).0, expected, "{entities:?}");
            }
        }
    }

    #[test]
    fn a_page_ends_though_what_is_looked_for_never_comes() {
        // They take turns, so that neither is ahead of the other for long; at last they meet.
        let store = log(30_000, |seq| match seq {
            30_000 => (vec![1, 2], 0),
            _ => (vec![1 + u128::from(seq % 2)], 0),
        });
        let first = wanted(&[1, 2], 50).read(&store, WORKSPACE).unwrap();
        assert!(first.entries.is_empty() && first.total.is_none());
        assert!(first.next.is_some_and(|next| next > 1_000));
        let looked_at = store.looked_at.load(Ordering::Relaxed);
        assert!(looked_at <= LOOKED_AT_MAX + 2 * AT_A_TIME, "{looked_at}");
        let (found, pages) = all_pages(&store, wanted(&[1, 2], 50));
        assert_eq!((found, pages), (vec![30_000], 2));
        let back = Wanted {
            before: Some(30_000),
            ..wanted(&[1, 2], 50)
        };
        let (found, pages) = all_pages(&store, back);
        assert_eq!((found, pages), (vec![], 2));
    }

    #[test]
    fn large_entries_make_a_page_short_and_are_told_in_short_where_that_is_kept() {
        let store = log(20, |_| (vec![1], 300_000));
        for before in [None, Some(u64::MAX)] {
            let asked = Wanted {
                before,
                ..wanted(&[1], 50)
            };
            let first = asked.read(&store, WORKSPACE).unwrap();
            assert_eq!(first.entries.len(), 4);
            let (all, pages) = all_pages(&store, asked);
            assert_eq!((all.len(), pages), (20, 5));
        }
        // The next ones have a short form.
        let mut head = store.inner.head(WORKSPACE).unwrap();
        let brief = format!("{{\"seq\":21,\"hash\":\"{}\"}}", "0".repeat(64)).into_bytes();
        let id = EntryId(Uuid::from_u128(21));
        let body = format!("{{\"seq\":21,\"filler\":\"{}\"}}", "x".repeat(300_000)).into_bytes();
        let row = Row::following(head.as_ref(), WORKSPACE, id, Timestamp(0), body);
        head = Some(row.head());
        let mut append = Append::new(row, 0);
        append.archive.push(ArchiveRecord {
            kind: Brief::KIND.to_owned(),
            id: Brief::id(21),
            target: None,
            number: None,
            parent: None,
            seq: 21,
            body: brief.clone(),
        });
        store.inner.append(&[append]).unwrap();
        let id = EntryId(Uuid::from_u128(22));
        let body = b"{\"seq\":22}".to_vec();
        let row = Row::following(head.as_ref(), WORKSPACE, id, Timestamp(0), body);
        store.inner.append(&[Append::new(row, 0)]).unwrap();
        let before = store.rows.load(Ordering::Relaxed);
        let asked = Wanted {
            after: Some(20),
            ..wanted(&[], 50)
        };
        let page = asked.read(&store, WORKSPACE).unwrap();
        assert_eq!(page.entries[0], brief);
        assert_eq!(seqs(&page), [21, 22]);
        let rows = store.rows.load(Ordering::Relaxed) - before;
        assert_eq!(rows, 1, "the large one is not read");
        let whole = Wanted {
            whole: true,
            ..asked
        };
        let page = whole.read(&store, WORKSPACE).unwrap();
        assert_eq!(seqs(&page), [21, 22]);
        assert!(page.entries[0].len() > 300_000);
    }
}
