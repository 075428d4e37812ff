//! Temporary projects, builders and filters for tests
