//! A client that hides nothing: it sends the bytes it is given and shows the answer as it came.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem's code.
    #[track_caller]
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.header("request-id"), "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Status and code of a problem, as tests compare them.
    #[track_caller]
    pub fn problem(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The pointer of the first wrong field.
    #[track_caller]
    pub fn pointer(&self) -> String {
        self.json()["errors"][0]["pointer"].as_str().unwrap_or("none").to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// Sends a request and reads the whole answer.
pub fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    let mut stream = connect(to);
    stream.write_all(&request(method, path, headers, body)).unwrap();
    read(&mut stream).unwrap()
}

/// Connects, with a limit for every wait.
pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n").into_bytes();
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n").unwrap();
    }
    if let Some(body) = body {
        write!(bytes, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

/// Reads one answer with a known length.
pub fn read(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(answer) = parse(&bytes) {
            return Ok(answer);
        }
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(std::io::Error::other(format!("ended early: {:?}", String::from_utf8_lossy(&bytes))));
        }
        bytes.extend_from_slice(&chunk[..count]);
    }
}

/// The head of an answer, and where its body begins.
pub fn parse_head(bytes: &[u8]) -> Option<(Answer, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(at) = head.parse(bytes).unwrap() else { return None };
    let text = |header: &httparse::Header| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    let headers = head.headers.iter().map(text).collect();
    Some((Answer { status: head.code.unwrap(), headers, body: Vec::new() }, at))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let (mut answer, at) = parse_head(bytes)?;
    let length = match answer.header("content-length") {
        Some(length) => length.parse().unwrap(),
        None => 0,
    };
    answer.body = bytes.get(at..at + length)?.to_vec();
    Some(answer)
}
