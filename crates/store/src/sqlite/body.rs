//! How bodies lie in the database: large ones as an LZ4 block behind its length.

use std::borrow::Cow;

/// Bodies of at most this many bytes are stored as they are: they fit a page or two and compressing them
/// would cost more than it saves.
const PLAIN_BYTES_MAX: usize = 4096;

/// An LZ4 block cannot expand further than this; a length that claims more is damage, and believing it
/// would allocate gigabytes.
const EXPANSION_MAX: usize = 256;

const PLAIN: i64 = 0;
const LZ4: i64 = 1;

/// The encoding's number and the bytes to store.
pub(super) fn encode(body: &[u8]) -> (i64, Cow<'_, [u8]>) {
    if body.len() > PLAIN_BYTES_MAX {
        let packed = lz4_flex::block::compress_prepend_size(body);
        if packed.len() < body.len() {
            return (LZ4, Cow::Owned(packed));
        }
    }
    (PLAIN, Cow::Borrowed(body))
}

/// The body, or what is wrong with what was stored.
pub(super) fn decode(encoding: i64, stored: &[u8]) -> Result<Vec<u8>, String> {
    match encoding {
        PLAIN => Ok(stored.to_vec()),
        LZ4 => {
            let (length, block) = lz4_flex::block::uncompressed_size(stored)
                .map_err(|_| "its compressed body is cut off".to_owned())?;
            if length > block.len().saturating_mul(EXPANSION_MAX) {
                return Err("its compressed body states an impossible length".to_owned());
            }
            lz4_flex::block::decompress(block, length)
                .ok()
                .filter(|body| body.len() == length)
                .ok_or_else(|| "its compressed body cannot be unpacked".to_owned())
        }
        other => Err(format!("its body has the unknown encoding {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_compresses_only_what_is_large() {
        for length in [0, 1, 4096, 4097, 300_000] {
            let body = vec![b'x'; length];
            let (encoding, stored) = encode(&body);
            assert_eq!(encoding == LZ4, length > 4096, "{length}");
            assert_eq!(decode(encoding, &stored).unwrap(), body);
        }
    }

    #[test]
    fn what_does_not_shrink_stays_plain() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(10_000)
        .collect();
        assert_eq!(encode(&noise).0, PLAIN);
    }

    #[test]
    fn damage_is_an_error_and_never_a_huge_allocation() {
        let (_, stored) = encode(&[7; 10_000]);
        let mut stored = stored.into_owned();
        assert!(decode(LZ4, &stored[..3]).is_err());
        assert!(decode(LZ4, &stored[..stored.len() - 1]).is_err());
        stored[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            decode(LZ4, &stored).unwrap_err(),
            "its compressed body states an impossible length"
        );
        assert!(decode(9, b"x").is_err());
    }
}
