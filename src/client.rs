//! A lean HTTP/1.1 client that produces load: keep-alive connections with one request at a time on each. It shares the
//! machine with the server that it measures, so an exchange is one write, one read and one look at the head; the
//! body stays in the connection's buffer until somebody asks for it.

pub mod answer;
pub mod connection;
pub mod pool;
pub mod request;
pub mod scrape;

pub use answer::{Answer, Head, Says};
pub use connection::Connection;
pub use pool::Pool;
pub use request::Request;

use std::time::Duration;

/// Why there is no answer. The request may have been carried out or not: send the same one again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody listens, or the connection broke.
    #[error("the connection failed: {0}")]
    Connection(#[from] std::io::Error),
    /// The server closed the connection before the answer was whole.
    #[error("the server hung up before it had answered")]
    HungUp,
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// What came is no HTTP/1.1 answer with a content length.
    #[error("not an answer: {0}")]
    Malformed(String),
}
