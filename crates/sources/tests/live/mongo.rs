//! A MongoDB server, or what stands in for it: `DUALRUN_TEST_MONGODB_URL`.

mod cursors;
mod faults;
mod lag;
mod proxy;
mod reading;
mod support;
mod tls;
mod types;
