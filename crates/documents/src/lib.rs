//! YAML documents and what they stand for. [`plan`] turns a text into the changes that make a workspace as the
//! text says; [`export`] writes a workspace as a text that would change nothing.
//!
//! Everything wrong with a text is found in one pass, each with file, line, column and field, and then nothing
//! of it is applied. What only the engine can judge (selectors, rule specs) passes through;
//! [`Plan::locate`] leads its refusals back to the text.

mod catalog;
mod conjunction;
mod difference;
mod draft;
mod emit;
mod error;
mod export;
mod form;
mod limits;
mod lint;
mod persons;
mod plan;
mod reader;
mod resolve;
mod state;
mod wording;
mod yaml;

pub use catalog::Catalog;
pub use difference::FieldChange;
pub use error::{DocumentError, code};
pub use export::export;
pub use limits::{DEPTH_MAX, DOCUMENTS_MAX, IDENTIFIER_CHARS_MAX, NAME_CHARS_MAX, TEXT_BYTES_MAX};
pub use lint::{Linted, lint};
pub use persons::{Persons, UnknownPerson};
pub use plan::{Action, Kind, Plan, Planned, plan, plan_many};
pub use state::WithPersons;
