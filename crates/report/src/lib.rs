//! Renderings of what dualrun found: text for a terminal, Markdown, HTML, JSON.
//!
//! It stands at the end of the flow: the models come from `core` (runs, nights) and `tracker` (status, readiness),
//! and every rendering of one model says the same.
//!
//! This crate asks no database, reads no file and decides nothing.

pub mod html;
pub mod markdown;
pub mod style;
#[cfg(test)]
mod testing;
pub mod text;

pub use style::Style;
