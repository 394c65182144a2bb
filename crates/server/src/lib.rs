//! The HTTP face: API v1, the event stream, and the first web pages.
//!
//! [`routes`] is the table of contents: every route with the role it needs. A handler gets its workspace only
//! through [`scope::Scope`], which exists only after the key was checked against that workspace.
//!
//! Architecture Invariant: nothing here decides. Handlers turn requests into commands and state into answers.

mod access;
mod admission;
mod answer;
mod app;
mod archive;
mod body;
mod differences;
mod earlier;
mod listening;
mod live_output;
mod login;
mod overview;
mod pages;
mod people;
mod reach;
mod references;
mod routes;
mod scope;
mod secret;
mod selection;
mod serve;
mod timeline;
mod web;
mod wire;

pub use app::ServerOptions;
pub use login::LoginCodes;
pub use routes::route_table;
pub use secret::{NewKey, new_key};
pub use serve::{router, serve};
