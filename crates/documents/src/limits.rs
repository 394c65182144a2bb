//! How much is accepted. Over a limit nothing of the text is applied.

/// Bytes of text in one request, over all its files.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Documents in one request, over all its files.
pub const DOCUMENTS_MAX: usize = 1_000;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a resource's identifier; cloud providers' are longer than names.
pub const IDENTIFIER_CHARS_MAX: usize = 500;
/// Levels of mappings and lists within each other. Not less than what JSON over HTTP may have, so that what was
/// exported can be applied again.
pub const DEPTH_MAX: usize = 160;
/// Scalars, mappings and lists in one file.
pub(crate) const NODES_MAX: usize = 500_000;
/// Bytes of memory that the copies made for YAML aliases in one file may take.
pub(crate) const ALIAS_EXPANSION_MAX: usize = 16 << 20;
