//! Whatever way the rows are brought together, the comparison is that of sorted rows in memory.

mod coded;
mod encoded;
mod failures;
mod files;
mod sorted;
mod support;
mod types;
mod unsorted;
