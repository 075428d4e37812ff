//! A MongoDB server, or what stands in for it: `DUALRUN_TEST_MONGODB_URL`.

mod cursors;
mod cut_off;
mod faults;
mod lag;
#[cfg(feature = "datafusion")]
mod provider;
mod proxy;
mod reading;
mod support;
mod tls;
mod types;
