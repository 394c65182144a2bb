//! One-time codes that open a session of the web pages.

use crate::secret;
use stagegate_model::{KeyId, WorkspaceId};
use stagegate_store::Hash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a code can be used.
const VALID: Duration = Duration::from_secs(600);
/// How many unused codes are kept.
const CODES_MAX: usize = 1000;

/// Codes minted by this process, for links such as the demo's. Clones share them. Each opens one session.
#[derive(Clone, Default)]
pub struct LoginCodes {
    codes: Arc<Mutex<HashMap<Hash, Minted>>>,
}

struct Minted {
    workspace: WorkspaceId,
    key: KeyId,
    at: Instant,
}

impl std::fmt::Debug for LoginCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginCodes").finish_non_exhaustive()
    }
}

impl LoginCodes {
    /// A code for `/login?code=…` that opens one session acting with the key, within ten minutes.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn mint(&self, workspace: WorkspaceId, key: KeyId) -> Result<String, std::io::Error> {
        let code = secret::random()
            .map_err(|_| std::io::Error::other("the system has no randomness to give"))?;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, minted| minted.at.elapsed() < VALID);
        if codes.len() >= CODES_MAX {
            codes.clear();
        }
        let minted = Minted {
            workspace,
            key,
            at: Instant::now(),
        };
        codes.insert(secret::hash(&code), minted);
        Ok(code)
    }

    /// The key a code stands for; a second time there is none.
    pub(crate) fn redeem(&self, code: &str) -> Option<(WorkspaceId, KeyId)> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let minted = codes.remove(&secret::hash(code))?;
        (minted.at.elapsed() < VALID).then_some((minted.workspace, minted.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_code_works_once() {
        let codes = LoginCodes::default();
        let (workspace, key) = (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
        let code = codes.mint(workspace, key).unwrap();
        assert_eq!(codes.redeem("other"), None);
        assert_eq!(codes.clone().redeem(&code), Some((workspace, key)));
        assert_eq!(codes.redeem(&code), None);
    }
}
