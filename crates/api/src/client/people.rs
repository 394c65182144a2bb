//! Users and keys.

use super::{ClientError, List, Workspace};
use crate::{CreateKey, CreateUser, CreatedKey, Key, User};

type Answer<T> = Result<T, ClientError>;

/// Users and keys. Every method fails as [`ClientError`] says.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
impl Workspace {
    #[must_use]
    pub fn users(&self) -> List<User> {
        self.list(["users"])
    }

    pub async fn create_user(&self, body: &CreateUser) -> Answer<User> {
        self.client.send(self.to_post(["users"]).json(body)?).await
    }

    #[must_use]
    pub fn keys(&self) -> List<Key> {
        self.list(["keys"])
    }

    /// The only answer that ever holds the secret.
    pub async fn create_key(&self, body: &CreateKey) -> Answer<CreatedKey> {
        self.client.send(self.to_post(["keys"]).json(body)?).await
    }

    pub async fn revoke_key(&self, id: &str) -> Answer<()> {
        self.client.send_only(self.to_delete(["keys", id])).await
    }
}
