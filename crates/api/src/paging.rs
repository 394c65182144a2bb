//! Lists in pages, and the answer to a write.

use serde::{Deserialize, Serialize};

/// How many items a page holds when the caller does not say.
pub const LIMIT_DEFAULT: usize = 50;

/// The most items a page may hold.
pub const LIMIT_MAX: usize = 1000;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// How many items the page may hold.
    pub limit: usize,
    /// How many items stand before this page.
    pub offset: usize,
    /// How many items there are on all pages.
    pub total: usize,
}

impl<T> Page<T> {
    /// Cuts the page at `offset` out of all items.
    pub fn cut(all: impl IntoIterator<Item = T>, limit: usize, offset: usize) -> Self {
        let mut total = 0;
        let mut items = Vec::new();
        for item in all {
            if total >= offset && items.len() < limit {
                items.push(item);
            }
            total += 1;
        }
        Self {
            items,
            limit,
            offset,
            total,
        }
    }

    /// The same page with each item changed.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            limit: self.limit,
            offset: self.offset,
            total: self.total,
        }
    }
}

/// The paging part of a list's query string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paging {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

impl Paging {
    /// The limit, between 1 and [`LIMIT_MAX`].
    #[must_use]
    pub fn limit(self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }

    /// How many items to skip.
    #[must_use]
    pub fn offset(self) -> usize {
        self.offset.unwrap_or(0)
    }
}

/// The answer to a write that was accepted (`…RequestAccepted`): it is durable when this is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    pub id: String,
    pub message: String,
}

impl Accepted {
    /// An accepted write of the entity with that id.
    pub fn new(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_and_counts_all() {
        let page = Page::cut(0..10, 3, 8);
        assert_eq!(page.items, [8, 9]);
        assert_eq!((page.limit, page.offset, page.total), (3, 8, 10));
        assert_eq!(Page::cut(0..2, 5, 9).items, Vec::<i32>::new());
    }

    #[test]
    fn limits_are_bounded() {
        let paging = |limit| Paging {
            limit,
            offset: None,
        };
        assert_eq!(paging(None).limit(), LIMIT_DEFAULT);
        assert_eq!(paging(Some(0)).limit(), 1);
        assert_eq!(paging(Some(1_000_000)).limit(), LIMIT_MAX);
    }
}
