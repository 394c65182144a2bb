//! Who may decide for a workspace.

use stagegate_model::Timestamp;

/// The right to decide for a workspace until a moment.
///
/// The epoch fences: every append names it, and one made under an older epoch is refused whatever the
/// clocks say. It grows with every acquisition and every release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; unique to one run of one process.
    pub holder: String,
    /// The fencing token.
    pub epoch: u64,
    /// When another may take it over.
    pub until: Timestamp,
}
