//! Workspaces that something beside the deciding thread wants looked at.

use crate::workspace::Workspace;
use stagegate_model::WorkspaceId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Each workspace once, however often it was marked.
#[derive(Default)]
pub(crate) struct Marks {
    any: AtomicBool,
    marked: Mutex<BTreeMap<WorkspaceId, Arc<Workspace>>>,
}

impl Marks {
    pub fn mark(&self, workspace: &Arc<Workspace>) {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        marked.insert(workspace.id, Arc::clone(workspace));
        self.any.store(true, Ordering::Release);
    }

    /// Takes those that are marked.
    pub fn take(&self) -> Vec<Arc<Workspace>> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *marked).into_values().collect()
    }
}
