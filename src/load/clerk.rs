//! Reads the server's own books, with the API key: audit, orders, stock. Its requests are no load and are not measured.

use crate::cli::Exit;
use crate::client::{Pool, Request};
use crate::load::visit::PATIENCE;
use crate::verify::AuditSummary;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::sleep;

/// Reads in progress at once.
pub const AT_ONCE: usize = 8;
/// How often a busy server is asked.
const TRIES: u32 = 40;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nobody answers, or not in time.
    #[error("the server is not ready: {0}")]
    Away(String),
    /// The key is not taken.
    #[error("the server refuses this API key: {0}")]
    Denied(String),
    /// It answered something else.
    #[error("{path} was answered {what}")]
    Wrong {
        /// What was asked for.
        path: String,
        /// Of the answer.
        what: String,
    },
}

impl Trouble {
    /// How the program ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Trouble::Away(_) => Exit::NotReady,
            Trouble::Denied(_) => Exit::Usage,
            Trouble::Wrong { .. } => Exit::Failed,
        }
    }
}

/// Somebody with a key.
#[derive(Debug)]
pub struct Clerk {
    pool: Pool,
    authorization: String,
}

/// `GET /v1/audit`.
#[derive(Debug, Clone, Deserialize)]
pub struct Audit {
    /// Number of the last record counted.
    pub log_position: u64,
    /// Engine time of its frame.
    pub as_of: String,
    /// The sums.
    #[serde(flatten)]
    pub sums: AuditSummary,
}

/// `GET /v1/skus/{sku}/availability`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Stock {
    /// Units that a hold would get.
    pub available: i64,
    /// Units there.
    pub on_hand: i64,
    /// Units in holds.
    pub held: i64,
    /// Units in allocations.
    pub allocated: i64,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its id.
    pub order: String,
    /// Where it stands.
    pub state: String,
    /// Who buys.
    pub buyer: String,
    /// What.
    pub lines: Vec<ListedLine>,
    /// Tries to collect the money.
    pub payments: Vec<ListedPayment>,
}

/// One of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedLine {
    /// Which SKU.
    pub sku: String,
    /// How many units.
    pub units: u32,
}

/// One of its payments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedPayment {
    /// Where it stands.
    pub state: String,
}

/// A page of orders.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Newest first.
    pub data: Vec<Listed>,
    /// The cursor of the next page.
    #[serde(default)]
    pub next: Option<String>,
}

impl Clerk {
    /// Somebody with this key.
    #[must_use]
    pub fn new(api: SocketAddr, key: &str) -> Clerk {
        Clerk { pool: Pool::new(api, AT_ONCE), authorization: format!("Bearer {key}") }
    }

    /// Reads once.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn try_read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let request = Request::new("GET", path, &[("authorization", &self.authorization)], None);
        let answer = self.pool.send(&request, PATIENCE).await.map_err(|failure| Trouble::Away(failure.to_string()))?;
        match answer.status() {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|error| Trouble::Wrong { path: path.to_owned(), what: error.to_string() }),
            401 | 403 => Err(Trouble::Denied(answer.code())),
            429 | 503 => Err(Trouble::Away(answer.code())),
            status => Err(Trouble::Wrong { path: path.to_owned(), what: format!("{status} {}", answer.code()) }),
        }
    }

    /// Reads, and asks again while the server is busy.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let mut tries = 1;
        loop {
            match self.try_read(path).await {
                Err(Trouble::Away(_)) if tries < TRIES => {
                    tries += 1;
                    sleep(Duration::from_millis(250)).await;
                }
                done => return done,
            }
        }
    }

    /// The audit.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn audit(&self) -> Result<Audit, Trouble> {
        self.read("/v1/audit").await
    }

    /// The stock of a SKU.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn stock(&self, sku: &str) -> Result<Stock, Trouble> {
        self.read(&format!("/v1/skus/{sku}/availability")).await
    }
}
