//! RabbitMQ's first words, which name its version: read by hand, because the client keeps them to itself.

use super::trouble::Trouble;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The oldest version whose quorum queues hand dead letters on without losing them.
pub const OLDEST: &str = "3.10";
/// Longest that it may take.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// What a client of AMQP 0-9-1 begins with.
const HELLO: &[u8] = b"AMQP\0\0\x09\x01";
/// Largest greeting that is read.
const LONGEST: usize = 64 * 1024;

/// Product and version of what answers there; an error when it is none of ours, or too old. Blocks.
///
/// # Errors
/// [`Trouble`].
pub fn greet(host: &str, port: u16) -> Result<String, Trouble> {
    let gone = |error: std::io::Error| Trouble::Gone(format!("{host}:{port}: {error}"));
    let mut last = Trouble::Gone(format!("{host}: no such host"));
    for address in (host, port).to_socket_addrs().map_err(gone)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return read(stream).map_err(gone).and_then(|frame| version(&frame)),
            Err(error) => last = gone(error),
        }
    }
    Err(last)
}

fn read(mut stream: TcpStream) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(HELLO)?;
    let mut frame = vec![0; 8];
    stream.read_exact(&mut frame)?;
    // A frame begins with its type, channel and length; anything else is somebody else's greeting.
    if frame[0] == 1 {
        let length = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
        frame.resize(7 + length.clamp(1, LONGEST), 0);
        stream.read_exact(&mut frame[8..])?;
    }
    Ok(frame)
}

fn version(frame: &[u8]) -> Result<String, Trouble> {
    let (Some(product), Some(version)) = (field(frame, "product"), field(frame, "version")) else {
        return Err(Trouble::NoRabbit(String::from_utf8_lossy(&frame[..frame.len().min(16)]).into_owned()));
    };
    if product != "RabbitMQ" {
        return Err(Trouble::NoRabbit(format!("{product} {version}")));
    }
    let number = |text: &str| {
        let mut parts = text.split('.').map_while(|part| part.parse::<u32>().ok());
        Some((parts.next()?, parts.next()?))
    };
    match number(&version) {
        Some(found) if Some(found) >= number(OLDEST) => Ok(version),
        _ => Err(Trouble::TooOld(version, OLDEST)),
    }
}

/// A text of the table of properties: its name with one byte of length before it, `S`, four bytes of length, the text.
fn field(frame: &[u8], name: &str) -> Option<String> {
    let mut entry = vec![u8::try_from(name.len()).ok()?];
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'S');
    let at = frame.windows(entry.len()).position(|window| window == entry)? + entry.len();
    let length = u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize;
    String::from_utf8(frame.get(at + 4..at + 4 + length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(product: &str, version: &str) -> Vec<u8> {
        let mut frame = b"\x01\0\0\0\0\0\0".to_vec();
        for (name, value) in [("cluster_name", "x"), ("product", product), ("version", version)] {
            frame.push(name.len() as u8);
            frame.extend_from_slice(name.as_bytes());
            frame.push(b'S');
            frame.extend_from_slice(&(value.len() as u32).to_be_bytes());
            frame.extend_from_slice(value.as_bytes());
        }
        frame
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (found, well) in [("3.10.8", true), ("4.1.0", true), ("3.9.29", false), ("3.8.2", false), ("next", false)] {
            assert_eq!(version(&greeting("RabbitMQ", found)).is_ok(), well, "{found}");
        }
    }

    #[test]
    fn others_are_not_taken_for_it() {
        assert!(matches!(version(&greeting("LavinMQ", "2.0.0")), Err(Trouble::NoRabbit(_))));
        assert!(matches!(version(b"HTTP/1.1 400 Bad Request"), Err(Trouble::NoRabbit(_))));
        assert!(matches!(version(b"AMQP\0\x01\0\0"), Err(Trouble::NoRabbit(_))));
        assert!(matches!(version(b"\x01\0\0\0\0\0\0\x07productS\xff\xff\xff\xff"), Err(Trouble::NoRabbit(_))));
    }
}
