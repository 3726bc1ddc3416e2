//! Real orders and SKUs, the real feed and jobs, a provider and a warehouse of which nothing good can be expected.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chaos;
mod s19;
mod s20;
mod world;
