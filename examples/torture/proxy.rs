//! A TCP proxy on loopback that can be told where to go and what to do wrong. On a thread of its own, so that it goes on
//! while the torture itself waits for something.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What it does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Passes them on.
    Pass,
    /// Passes requests on and swallows the answers.
    DropAnswers,
    /// Swallows requests.
    DropRequests,
    /// Closes every connection at the next byte, and every new one.
    Cut,
    /// Passes them on after a while.
    Delay,
}

const DELAY: Duration = Duration::from_millis(300);
const PIECE: usize = 64 << 10;

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    mode: AtomicU8,
    /// Counts changes of the mode: what was swallowed leaves a connection out of step, so that it is closed afterwards.
    changes: AtomicU64,
}

/// A running proxy; it ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub at: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a free port.
    pub fn start(target: SocketAddr) -> anyhow::Result<Proxy> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            mode: AtomicU8::new(Mode::Pass as u8),
            changes: AtomicU64::new(0),
        });
        let of = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("proxy".to_owned()).spawn(move || runtime.block_on(accept(listener, of)))?;
        Ok(Proxy { at, shared })
    }

    /// New connections go there.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// What it does from now on.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
        self.shared.changes.fetch_add(1, Ordering::SeqCst);
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if shared.mode.load(Ordering::SeqCst) == Mode::Cut as u8 {
                return;
            }
            let target = *shared.target.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(server) = TcpStream::connect(target).await else { return };
            // Small answers must not wait for more.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = pass(from_client, to_server, &shared, Mode::DropRequests) => {}
                () = pass(from_server, to_client, &shared, Mode::DropAnswers) => {}
            }
        });
    }
}

/// Until one side ends, or what was swallowed has put the connection out of step.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, dropping: Mode) {
    let mut buffer = vec![0; PIECE];
    let mut swallowed_in = None;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let mode = shared.mode.load(Ordering::SeqCst);
        let change = shared.changes.load(Ordering::SeqCst);
        if mode == Mode::Cut as u8 || swallowed_in.is_some_and(|then| then != change) {
            return;
        }
        if mode == dropping as u8 {
            swallowed_in = Some(change);
            continue;
        }
        if mode == Mode::Delay as u8 {
            tokio::time::sleep(DELAY).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
