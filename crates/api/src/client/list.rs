//! Lists, page by page.

use super::send::Request;
use super::{Client, ClientError};
use crate::{LIMIT_MAX, Page};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;

/// A list on the server. Nothing is sent before one of its methods is awaited.
#[derive(Clone, Debug)]
pub struct List<T> {
    client: Client,
    request: Request,
    fetched: VecDeque<T>,
    offset: usize,
    ended: bool,
}

impl<T> List<T> {
    pub(super) fn new(client: Client, request: Request) -> Self {
        Self {
            client,
            request,
            fetched: VecDeque::new(),
            offset: 0,
            ended: false,
        }
    }

    /// With a further query parameter, such as `cel` or `order`.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl ToString) -> Self {
        self.request = self.request.param(name, value);
        self
    }
}

impl<T: DeserializeOwned> List<T> {
    /// The page of at most `limit` items after the first `offset`.
    ///
    /// # Errors
    /// As every call.
    pub async fn page(&self, limit: usize, offset: usize) -> Result<Page<T>, ClientError> {
        let request = self.request.clone();
        let request = request.param("limit", limit).param("offset", offset);
        self.client.send(request).await
    }

    /// The next item, fetching pages as they are needed; `None` at the end.
    ///
    /// # Errors
    /// As every call; the same item can be asked for again.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        if self.fetched.is_empty() && !self.ended {
            let page = self.page(LIMIT_MAX, self.offset).await?;
            self.offset += page.items.len();
            // An empty page ends it too, so that a list that shrinks meanwhile cannot go on for ever.
            self.ended = page.items.is_empty() || self.offset >= page.total;
            self.fetched = page.items.into();
        }
        Ok(self.fetched.pop_front())
    }

    /// Everything there is.
    ///
    /// # Errors
    /// As every call.
    pub async fn all(mut self) -> Result<Vec<T>, ClientError> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await? {
            all.push(item);
        }
        Ok(all)
    }
}
