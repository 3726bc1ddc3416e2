//! Lists: how long a page is, where it goes on, and where lists come from.

use crate::feed::projection::{self, BadCursor, Reader};
use crate::http::call::Call;
use crate::http::problem::{Problem, kinds};
use crate::http::spec::Query;
use actix_web::web;

/// Rows of a page.
pub const LIMIT: Query = Query { name: "limit", meaning: "Rows of a page: 1 to 200, 50 without." };
/// Where to go on.
pub const AFTER: Query = Query { name: "after", meaning: "The `next` of the page before." };

/// Reads `limit`.
///
/// # Errors
/// `validation_failed` for anything but 1 to 200.
pub fn limit(text: Option<&str>) -> Result<usize, Problem> {
    at_most(text, 50, 200)
}

/// Reads `limit` of a list that is no longer than `most`; `without` one, so many rows.
///
/// # Errors
/// `validation_failed` for anything but 1 to `most`.
pub fn at_most(text: Option<&str>, without: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(without) };
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| Problem::bad_parameter("limit", format!("expected 1 to {most}")))
}

impl Call {
    /// Reads a list that shows everything committed before the request. Waits for the store on a thread of its own.
    ///
    /// # Errors
    /// `validation_failed` for a cursor that is none of ours; `not_loaded` when the store cannot be read or is behind.
    pub async fn read_lists<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<Result<T, BadCursor>, projection::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let (engine, patience) = (self.app.engine().clone(), self.app.answer_within);
        let work = move || {
            engine.projection().written(engine.committed(), patience)?;
            read(engine.reader())
        };
        match web::block(work).await {
            Ok(Ok(Ok(list))) => Ok(list),
            Ok(Ok(Err(bad))) => Err(Problem::bad_parameter("after", bad)),
            Ok(Err(error)) => {
                tracing::error!(request = %self.id, %error, "a list could not be read");
                Err(Problem::new(&kinds::NOT_LOADED, "the list could not be read"))
            }
            Err(error) => {
                tracing::error!(request = %self.id, %error, "a list could not be read");
                Err(Problem::new(&kinds::INTERNAL_ERROR, "the list could not be read"))
            }
        }
    }
}
