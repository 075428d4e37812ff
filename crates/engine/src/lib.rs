//! Runs the stages of a dual run: fence, calculate, align, compare, explain, record, for one pipeline or for all that
//! are due.
//!
//! It stands between the plan (`mapping`) and the renderings (`report`): it reads inputs through the seams of
//! [`context`], calculates with DataFusion, gives the results to `compare` and `explain`, writes the evidence to the
//! object store with its manifest last, and records the run in one transaction. What the records mean for stages and
//! gates is the tracker's to say.
//!
//! It names no driver and opens no database: adapters come from the command line. It prints nothing.

mod anew;
pub mod assess;
pub mod calculate;
pub mod context;
pub mod diff;
pub mod error;
pub mod evidence;
pub mod fence;
mod flags;
pub mod input;
pub mod inputs;
pub mod load;
pub mod night;
mod outside;
pub mod progress;
mod record;
mod rejected;
pub mod replays;
pub mod results;
pub mod reviews;
pub mod run;
mod scratch;
pub mod stages;
mod surroundings;
mod task;
mod unchanged;
mod unread;
pub mod validate;
mod window;

pub use datafusion::catalog::TableProvider;

pub use context::{
    Clock, Context, InputReader, InputRequest, OutsideCalculator, OutsideRequest, Place, SystemClock,
};
pub use diff::{DiffRequest, diff};
pub use error::EngineError;
pub use load::{LoadRequest, load};
pub use night::{NightRequest, nightly};
pub use progress::{Progress, Silent, Step};
pub use run::{RunAnswer, RunRequest, SideReport, run, run_and_tell, run_side};
