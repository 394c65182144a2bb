//! YAML 1.2 text to trees that know where everything stood. JSON is YAML, so it comes in here too.

mod build;
mod node;
mod scalar;

pub(crate) use build::parse;
pub(crate) use node::{Entry, Node, Position, Value, join, join_index};
pub(crate) use scalar::{Meaning, Scalar, plain_meaning};
