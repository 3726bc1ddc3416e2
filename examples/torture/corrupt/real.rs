//! The same damage, seen by the real program: it refuses to start and says why, or answers every acknowledged request as
//! before.

use super::damage::Damage;
use super::template::Made;
use crate::buyers::Buyers;
use anyhow::{bail, ensure};
use stampede::demo::{Server, Setup};
use std::path::Path;
use std::time::Duration;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// Starts it on the damaged directory.
pub async fn judge(program: &Path, made: &Made, damage: &Damage) -> anyhow::Result<()> {
    let template = &made.template;
    let room = tempfile::tempdir()?;
    let flags: Vec<&str> = template.flags.iter().map(String::as_str).collect();
    let setup = Setup::new(program, room.path(), &flags)?;
    std::fs::remove_dir(&setup.data)?;
    template.write(&setup.data, true)?;
    damage.apply(&setup.data)?;
    let mut server = Server::start(setup.clone())?;
    if let Err(error) = server.ready(START).await {
        let words = std::fs::read_to_string(setup.log())?;
        ensure!(error.to_string().contains("ended at its start"), "{error:#}");
        ensure!(!words.contains("panicked"), "it panicked: {words}");
        let names_it = words.contains(&*setup.data.to_string_lossy());
        ensure!(names_it, "it does not start, and does not say which file: {words}");
        return Ok(());
    }
    if template.crashed && damage.file.starts_with("wal") {
        // What the last frame had may be gone; whether no more than that, the case in this process has judged.
        return server.stop(START).await;
    }
    let buyers = Buyers::new(setup.api, &made.key, 1, "real", Duration::ZERO);
    buyers.ledger.borrow_mut().deeds = made.buyers.ledger.borrow().deeds.clone();
    let acknowledged = buyers.ledger.borrow().acknowledged();
    if let Err(error) = buyers.repeat(acknowledged).await {
        let words = std::fs::read_to_string(setup.log())?;
        bail!("{error:#}: {words}");
    }
    let audit = buyers.look("/v1/audit").await?;
    ensure!(audit["verdict"] == "ok", "{audit}");
    let violations = buyers.ledger.borrow().violations.clone();
    ensure!(violations.is_empty(), "{} violations: {}", violations.len(), violations[0]);
    server.stop(START).await
}
