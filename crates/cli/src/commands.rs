//! One file a command.

pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod init;
mod limits;
pub(crate) mod load;
pub(crate) mod nightly;
pub(crate) mod plan;
pub(crate) mod readiness;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod validate;

use jiff::{Zoned, civil::Date};

use crate::error::CliError;

/// Today, in the time zone of the machine.
pub(crate) fn today() -> Date {
    Zoned::now().date()
}

/// Yesterday: the last day whose results can be complete.
pub(crate) fn yesterday() -> Date {
    let today = today();
    today.yesterday().unwrap_or(today)
}

/// Refuses a night that lies ahead: it would stand as the latest one until it comes.
fn not_ahead(night: Date) -> Result<(), CliError> {
    let today = today();
    // The night shift of another time zone may be a day ahead.
    if night <= today.tomorrow().unwrap_or(today) {
        return Ok(());
    }
    Err(CliError::Argument {
        message: format!("the night of {night} lies ahead"),
        hint: Some(format!(
            "--as-of names the night that a run belongs to; it is today ({today}) where not given"
        )),
    })
}
