//! Secrets: made here, shown once, stored only as their SHA-256.

use crate::answer::Failure;
use sha2::{Digest as _, Sha256};
use stagegate_model::{KeyId, Role, Timestamp, UserId, WorkspaceId};
use stagegate_store::{ApiKey, Hash};
use std::fmt::Write as _;
use uuid::Uuid;

/// What every API key starts with, so that people and scanners recognise one.
pub(crate) const KEY_PREFIX: &str = "sgk_";

/// An API key just made.
#[derive(Clone)]
pub struct NewKey {
    /// The secret, to be shown once.
    pub secret: String,
    /// What is stored: goes with the command that creates the key, as `SideWrite::PutKey`.
    pub stored: ApiKey,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey")
            .field("id", &self.stored.id)
            .finish_non_exhaustive()
    }
}

/// Makes an API key. Nothing is stored.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_key(
    workspace: WorkspaceId,
    owner: UserId,
    role: Role,
    name: &str,
    now: Timestamp,
) -> Result<NewKey, std::io::Error> {
    let random = random_hex().map_err(|error| std::io::Error::other(error.to_string()))?;
    let secret = format!("{KEY_PREFIX}{random}");
    let stored = ApiKey {
        id: KeyId(Uuid::now_v7()),
        workspace,
        owner,
        role: role.as_str().to_owned(),
        name: name.to_owned(),
        hash: hash(&secret),
        created: now,
        revoked_at: None,
    };
    Ok(NewKey { secret, stored })
}

/// 32 random bytes as 64 hexadecimal digits.
pub(crate) fn random() -> Result<String, Failure> {
    random_hex().map_err(|_| Failure::internal())
}

fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

pub(crate) fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_random_recognisable_and_stored_as_its_hash() {
        let make = || {
            let id = Uuid::nil();
            new_key(id.into(), id.into(), Role::Ci, "ci", Timestamp(0)).unwrap()
        };
        let (a, b) = (make(), make());
        assert!(a.secret.starts_with("sgk_") && a.secret.len() == 68);
        assert_ne!(a.secret, b.secret);
        assert_eq!(a.stored.hash, hash(&a.secret));
        assert!(!format!("{a:?}").contains(&a.secret));
    }
}
