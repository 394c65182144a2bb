//! Lists whose beginning is in memory and whose rest is in the archive.

use crate::answer::Answer;
use crate::archive::{self, Source};
use crate::scope::Scope;
use serde::de::DeserializeOwned;
use stagegate_api::{Page, Paging};

/// The part of a page that memory gave.
pub(crate) struct FromMemory<T> {
    /// Those of the page.
    pub items: Vec<T>,
    /// How many there are in memory in all.
    pub total: usize,
}

impl<T: Clone> FromMemory<T> {
    /// Cuts the page out of what fits, in order. Only what is on the page is copied.
    pub fn cut(fitting: &[&T], paging: Paging) -> Self {
        Self {
            items: fitting
                .iter()
                .skip(paging.offset())
                .take(paging.limit())
                .map(|&it| it.clone())
                .collect(),
            total: fitting.len(),
        }
    }
}

/// Fills the page up from the archive.
///
/// The total counts one item beyond the page if there is one, so that a reader knows to go on; how many follow
/// after that is not counted, since that would mean to read them all.
pub(crate) async fn fill_up<T, K>(
    scope: &Scope,
    kind: &'static str,
    source: Source,
    paging: Paging,
    memory: FromMemory<T>,
    keep: K,
) -> Answer<Page<T>>
where
    T: DeserializeOwned + Send + 'static,
    K: Fn(&T) -> bool + Send + 'static,
{
    let (limit, offset) = (paging.limit(), paging.offset());
    let mut items = memory.items;
    let mut total = memory.total;
    let end = offset.saturating_add(limit).saturating_add(1);
    if end > memory.total {
        let archived = archive::listed(scope, kind, source, end - memory.total, keep).await?;
        total += archived.len();
        let skipped = offset.saturating_sub(memory.total);
        let missing = limit - items.len();
        items.extend(archived.into_iter().skip(skipped).take(missing));
    }
    Ok(Page {
        items,
        limit,
        offset,
        total,
    })
}
