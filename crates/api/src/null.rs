//! Clients written in Go send `null` where they mean "nothing": an empty map or list.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the type's default. For use with `#[serde(default, deserialize_with = …)]`.
pub(crate) fn as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
