//! How much the server takes on at once. What goes beyond is refused at once with 503 and `Retry-After`, so that memory
//! stays within bounds and those who were let in are served.

use crate::answer::{Answer, Failure};
use crate::body::BODY_BYTES_MAX;
use axum::http::{HeaderMap, header};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Streams of events and output that are open at once.
pub(crate) const STREAMS_MAX: usize = 1024;
/// Bytes of all bodies that are being read and worked on, in KiB.
const BODIES_KIB_MAX: u32 = 256 * 1024;
/// Whole states that are copied to be looked at.
const COPIES_MAX: usize = 2;

/// The places there are.
pub(crate) struct Admission {
    streams: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    copies: Semaphore,
}

/// A place that is free again once this is dropped.
pub(crate) struct Place(#[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit);

impl Default for Admission {
    fn default() -> Self {
        Self {
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX as usize)),
            copies: Semaphore::new(COPIES_MAX),
        }
    }
}

impl Admission {
    /// A place for a stream, for as long as it is open.
    pub fn stream(&self) -> Answer<Place> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map(Place).map_err(|_| {
            Failure::new(
                "overloaded",
                format!("{STREAMS_MAX} streams are open already"),
            )
        })
    }

    /// A place for a request's body, for as long as it is worked on; none is needed where nothing is sent.
    pub fn body(&self, headers: &HeaderMap) -> Answer<Option<Place>> {
        let bytes = match headers.get(header::CONTENT_LENGTH) {
            // What is longer than any body may be is refused when it is read.
            Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()),
            None if headers.contains_key(header::TRANSFER_ENCODING) => None,
            None => Some(0),
        };
        let kib = bytes.unwrap_or(BODY_BYTES_MAX).div_ceil(1024);
        let kib = u32::try_from(kib)
            .unwrap_or(BODIES_KIB_MAX)
            .min(BODIES_KIB_MAX);
        if kib == 0 {
            return Ok(None);
        }
        let place = Arc::clone(&self.bodies).try_acquire_many_owned(kib);
        place.map(|place| Some(Place(place))).map_err(|_| {
            Failure::new(
                "overloaded",
                format!(
                    "{} MiB of requests are being worked on",
                    BODIES_KIB_MAX >> 10
                ),
            )
        })
    }

    /// A place for a copy of a whole state; whoever asks for one waits.
    pub async fn copy(&self) -> Answer<tokio::sync::SemaphorePermit<'_>> {
        self.copies.acquire().await.map_err(|_| Failure::internal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn bodies_take_places_by_their_length_and_give_them_back() {
        let admission = Admission::default();
        assert!(admission.body(&HeaderMap::new()).unwrap().is_none());
        let large = headers(header::CONTENT_LENGTH, &BODY_BYTES_MAX.to_string());
        let unknown = headers(header::TRANSFER_ENCODING, "chunked");
        let small = headers(header::CONTENT_LENGTH, "1");
        let fit = (BODIES_KIB_MAX as usize) << 10;
        let held: Vec<_> = (0..fit / BODY_BYTES_MAX)
            .map(|index| match index % 2 {
                0 => admission.body(&large).unwrap(),
                _ => admission.body(&unknown).unwrap(),
            })
            .collect();
        let refused = admission.body(&small).err().unwrap();
        assert_eq!((refused.0.status, &*refused.0.code), (503, "overloaded"));
        drop(held);
        assert!(admission.body(&small).is_ok());
    }

    #[test]
    fn streams_are_counted() {
        let admission = Admission::default();
        let held: Vec<_> = (0..STREAMS_MAX)
            .map(|_| admission.stream().unwrap())
            .collect();
        assert!(admission.stream().is_err());
        drop(held);
        assert!(admission.stream().is_ok());
    }
}
