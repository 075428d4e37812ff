//! One file a command.

pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod nightly;
pub(crate) mod plan;
pub(crate) mod readiness;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod validate;

use jiff::{Zoned, civil::Date};

/// Today, in the time zone of the machine.
fn today() -> Date {
    Zoned::now().date()
}

/// Yesterday: the last day whose results can be complete.
fn yesterday() -> Date {
    let today = today();
    today.yesterday().unwrap_or(today)
}
