//! Everything users write as text inside documents: CEL selectors and
//! conditions ([`cel`]) and `{{ }}` templates ([`template`]).
//!
//! Both look at data through [`View`] and [`Object`], so that a caller's own
//! structs are read in place and nothing is converted that is not asked for.
//! Both are checked against a [`Schema`] when they are compiled, so that a
//! misspelt field is refused on write and not found out on a Friday night.
//!
//! Architecture Invariant: this crate has no clock, no randomness and no I/O.
//! The one thread it starts parses a CEL text on a stack of known size and is
//! joined before `compile` returns.

mod data;
mod schema;

pub mod cel;
pub mod template;

pub use data::{Object, Roots, View};
pub use schema::{Schema, Shape};
