//! Text for a terminal, in lines of at most 100 columns where words allow.

mod doctor;
mod explain;
mod largest;
mod load;
mod night;
mod numbers;
mod parts;
mod plan;
mod review;
mod run;
mod status;
mod table;
mod wrap;

pub use doctor::doctor;
pub use explain::explain;
pub use load::load;
pub use night::{meaning, night};
pub use numbers::figure as short;
pub(crate) use numbers::{count, counted, signed, signed_percent};
pub use plan::plan;
pub use review::{review_list, review_show};
pub use run::{outcome, run, sentence};
pub use status::status;
pub use wrap::paragraph;

#[cfg(test)]
mod tests;
