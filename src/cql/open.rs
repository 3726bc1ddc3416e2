//! Taking the log over: an epoch, the fence, and only then the frames that are committed, into the mirror.

use super::kept::panicked;
use super::log::CqlLog;
use super::protocol::{FIRST_BUCKET, Mark, Reply, State, Statement, Step, Takeover, Tenure};
use super::statements::int;
use super::{Cluster, Error, Tenancy};
use crate::clock::{Clock, boot_micros};
use crate::disk::SharedDisk;
use crate::journal::{self, CommitLog, Committed, LogId, Opened, Wal, frame, mark};
use stampede_actors::record::Position;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Between attempts whose outcome is unknown.
const PAUSE: Duration = Duration::from_millis(50);

/// A log that is ours.
pub struct Taken {
    /// Its mirror, with the writer that commits to the database.
    pub opened: Opened<Box<dyn CommitLog>>,
    /// Our time as the owner. It is to be started.
    pub tenancy: Arc<Tenancy>,
}

/// Begins the log of this cell if nobody has. What all its processes share: which log it is, and the secret of its ids.
///
/// # Errors
/// [`Error`].
pub fn bootstrap(cluster: &Arc<Cluster>) -> Result<(LogId, [u8; 32]), Error> {
    if let Some(shared) = cluster.shared()? {
        // Written first, so that a start that was cut off here is gone on with.
        make_rows(cluster)?;
        return Ok(shared);
    }
    let (id, secret): ([u8; 16], [u8; 32]) = (rand::random(), rand::random());
    let asked = Arc::clone(cluster);
    let made = cluster.wait(async move {
        let values = (asked.cell(), id.as_slice(), secret.as_slice());
        asked.rows("beginning the log", &asked.statements().make_cell, values).await.map(drop)
    });
    made.unwrap_or_else(|| Err(panicked("beginning the log")))?;
    make_rows(cluster)?;
    cluster.shared()?.ok_or_else(|| Error::Broken("the cell's row was written and is not there".to_owned()))
}

/// The header before the owner's row: whoever finds the latter may count on the former.
fn make_rows(cluster: &Arc<Cluster>) -> Result<(), Error> {
    let asked = Arc::clone(cluster);
    let made = cluster.wait(async move {
        if asked.read_owner().await?.is_some() {
            return Ok(());
        }
        let (header, owner) = (&asked.statements().make_header, &asked.statements().make_owner);
        let (cell, first, zero) = (asked.cell(), int(FIRST_BUCKET), [0_u8; 32]);
        asked.rows("beginning the log", header, (cell, first, zero.as_slice())).await?;
        asked.rows("beginning the log", owner, (cell, first)).await.map(drop)
    });
    made.unwrap_or_else(|| Err(panicked("beginning the log")))
}

/// Opens the mirror of this log in `dir`, and makes it afresh when it is damaged: all of it can be fetched again.
///
/// # Errors
/// [`Error::Mirror`]: in use, another log's, or what the disk says.
pub fn open_mirror(
    disk: &SharedDisk,
    dir: &Path,
    id: LogId,
    config: &journal::Config,
    clock: &dyn Clock,
) -> Result<Opened, Error> {
    mark::set(disk, dir, id)?;
    let config = journal::Config { log_id: Some(id), ..config.clone() };
    let mut opened = match Wal::open(disk, dir, config.clone(), clock) {
        Err(journal::Error::Corrupt(what)) => {
            tracing::warn!(%what, "the mirror of the log is damaged and is fetched again");
            mark::wipe(dir)?;
            Wal::open(disk, dir, config, clock)?
        }
        other => other?,
    };
    // It is in the database, and comes from there.
    opened.cut = None;
    Ok(opened)
}

/// Fetches what is committed after the mirror's head, up to `last` where it is named. `heard` is told of each frame.
/// Answers how many there were.
///
/// # Errors
/// [`Error::Broken`] when frames are missing or do not follow each other, also by a serial read.
pub fn follow_into(
    cluster: &Arc<Cluster>,
    mirror: &mut Wal,
    last: Option<u64>,
    heard: &mut dyn FnMut(Committed),
) -> Result<u64, Error> {
    let (mut bucket, mut count, mut serial) = (mirror.segment().max(FIRST_BUCKET), 0, false);
    loop {
        let head = mirror.log().head().seq;
        if last.is_some_and(|last| head >= last) {
            return Ok(count);
        }
        let found = cluster.frames_after(bucket, head, serial)?;
        let mut wrong = None;
        for bytes in &found.frames {
            match mirror.adopt(bytes) {
                Ok(header) => {
                    count += 1;
                    let records = frame::records(&header, bytes).map_err(Error::Broken)?;
                    let hash = mirror.log().head().hash;
                    heard(Committed { seq: header.seq, hash, at: header.at, first: header.first, records });
                }
                Err(journal::Error::Corrupt(what)) => {
                    wrong = Some(what.what);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            if last == Some(mirror.log().head().seq) {
                break;
            }
        }
        cluster.vitals().followed.fetch_add(found.frames.len() as u64, Relaxed);
        let moved = mirror.log().head().seq > head;
        let is_short = found.frames.is_empty() && last.is_some();
        if wrong.is_none() && !is_short {
            if found.frames.is_empty() {
                return Ok(count);
            }
            (bucket, serial) = (found.bucket, false);
        } else if !moved && serial {
            let what = wrong.unwrap_or_else(|| "it is missing".to_owned());
            return Err(Error::Broken(format!("frame {} (bucket {}): {what}", head + 1, found.bucket)));
        } else {
            // Perhaps a quorum has not seen it yet: what is being agreed on is settled by a serial read.
            serial = !moved || wrong.is_some();
        }
    }
}

/// The last committed frame, by serial reads along the chain of buckets. Blocks.
///
/// # Errors
/// [`Error`].
pub fn head(cluster: &Arc<Cluster>) -> Result<Mark, Error> {
    let mut bucket = cluster.owner()?.hint;
    loop {
        let (asked, statement) = (Arc::clone(cluster), Statement::ReadHeader { bucket });
        let answer = cluster.wait(async move { asked.ask(&statement, &[], 0).await });
        match answer {
            Some((Reply::Header(Some(header)), _)) if header.state == State::Open => return Ok(header.head),
            Some((Reply::Header(Some(header)), _)) => {
                let (asked, next) = (Arc::clone(cluster), header.next);
                let there = cluster.wait(async move { asked.header(next).await });
                match there.unwrap_or_else(|| Err(panicked("reading a header")))? {
                    Some(_) => bucket = next,
                    // Sealed, and its owner has not come to the next one yet.
                    None => return Ok(header.head),
                }
            }
            Some((Reply::Header(None), _)) => return Err(Error::Broken(format!("bucket {bucket} has no header"))),
            other => {
                let why = other.and_then(|(_, why)| why).unwrap_or_else(|| "no answer".to_owned());
                return Err(Error::request("reading a header", why));
            }
        }
    }
}

/// Takes the log over and brings the mirror in `dir` up to it.
///
/// # Errors
/// [`Error::Lost`] when somebody else is faster, [`Error::Broken`] when the log is damaged, or anything else.
pub fn open(
    cluster: &Arc<Cluster>,
    disk: &SharedDisk,
    dir: &Path,
    config: &journal::Config,
    clock: &dyn Clock,
    (node, address): (String, String),
) -> Result<Taken, Error> {
    let (id, _) = bootstrap(cluster)?;
    // Before anything is taken from anybody: a directory that cannot be used is no reason to stop a healthy owner.
    let mut opened = open_mirror(disk, dir, id, config, clock)?;
    match follow_into(cluster, &mut opened.wal, None, &mut |_| ()) {
        // Whose fault it is, the mirror's or the log's, is found out below.
        Ok(_) | Err(Error::Broken(_)) => {}
        Err(error) => return Err(error),
    }
    cluster.call(&node, &address);
    let since = boot_micros();
    let (epoch, bucket, head) = fence(cluster)?;
    // Shows that it lives from here on: bringing mirror and store up may take longer than others wait.
    let tenancy = Tenancy::new(Arc::clone(cluster), epoch, bucket, since)?;
    if let Err(error) = bring_up(cluster, &mut opened.wal, bucket, head) {
        let Error::Broken(what) = error else { return Err(error) };
        tracing::warn!(what, "the mirror does not fit the log and is fetched again");
        drop(opened);
        mark::wipe(dir)?;
        opened = open_mirror(disk, dir, id, config, clock)?;
        bring_up(cluster, &mut opened.wal, bucket, head)?;
    }
    opened.clock = clock.resume(opened.log.head().at);
    opened.log.set_epoch(epoch);
    keep_cursors(cluster, &opened)?;
    let frames = opened.wal.frames_in_segment();
    let tenure = Tenure::new(epoch, bucket, head, frames);
    tracing::info!(epoch, bucket, frame = head.seq, "this process owns the commit log");
    let (of, at) = (Arc::clone(cluster), Arc::clone(&tenancy));
    let opened = opened.with_writer(|mirror| Box::new(CqlLog::new(of, at, tenure, mirror)) as Box<dyn CommitLog>);
    Ok(Taken { opened, tenancy })
}

/// Makes this process the owner: epoch, newest bucket, and the last frame that is committed in it.
fn fence(cluster: &Arc<Cluster>) -> Result<(u64, u64, Mark), Error> {
    let mut takeover = Takeover::new(rand::random());
    let give_up = Instant::now() + cluster.config().resolve_within.max(Duration::from_secs(10));
    let mut attempt = 0;
    loop {
        let statement = match takeover.next() {
            Step::Send(statement) => statement,
            Step::Done { epoch, bucket, head } => return Ok((epoch, bucket, head)),
            Step::Lost(why) => return Err(Error::Lost(why)),
            Step::Broken(what) => return Err(Error::Broken(what)),
        };
        let asked = Arc::clone(cluster);
        let answer = cluster.wait(async move { asked.ask(&statement, &[], attempt).await });
        let (reply, why) = answer.unwrap_or((Reply::Unknown, None));
        takeover.take(&reply);
        if reply != Reply::Unknown {
            attempt = 0;
            continue;
        }
        if Instant::now() >= give_up {
            let why = why.unwrap_or_else(|| "no answer".to_owned());
            return Err(Error::request("taking the log over", format!("{}: {why}", statement.word())));
        }
        cluster.vitals().again.fetch_add(1, Relaxed);
        attempt += 1;
        std::thread::sleep(PAUSE);
    }
}

/// Brings the mirror to exactly this head, in this bucket.
fn bring_up(cluster: &Arc<Cluster>, mirror: &mut Wal, bucket: u64, head: Mark) -> Result<(), Error> {
    follow_into(cluster, mirror, Some(head.seq), &mut |_| ())?;
    let there = mirror.log().head();
    if (there.seq, there.hash) != (head.seq, head.hash) {
        return Err(Error::Broken(format!(
            "the data directory ends with frame {}, the log with frame {}, and they do not agree",
            there.seq, head.seq
        )));
    }
    if mirror.segment() > bucket {
        return Err(Error::Broken(format!(
            "the data directory is in bucket {}, the log in {bucket}",
            mirror.segment()
        )));
    }
    match mirror.roll_to(bucket)? {
        true => Ok(()),
        false => Err(journal::Error::Remote("there is no room on the disk for another segment".to_owned()).into()),
    }
}

/// The cursors of whoever owned the log before: its workflows are gone on with where they were.
fn keep_cursors(cluster: &Arc<Cluster>, opened: &Opened) -> Result<(), Error> {
    let ours = opened.log.cursors();
    for (name, position) in cluster.owner()?.cursors {
        if ours.get(&name).is_none_or(|ours| ours.0 < position) {
            opened.log.keep(&name, Position(position));
        }
    }
    Ok(())
}
