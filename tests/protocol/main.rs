//! The protocol of the commit log in CQL, explored whole in the small and driven at random in the large.
//!
//! The machines are those of the server (`stampede::cql::protocol`). Around them is a database that executes conditional
//! statements one after the other, a network that loses answers and delays statements, and processes that crash, stand
//! still and start again. Each run demands: no acknowledged frame is lost, no number has two frames, nothing is
//! acknowledged behind the back of a later owner, and no machine meets what cannot be.

mod database;
mod explore;
mod process;
mod simulate;
mod world;
