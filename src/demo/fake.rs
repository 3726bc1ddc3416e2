//! A shop of a hundred lines that keeps its promises, to try the buyers on without a server. Tests only.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How long a hold lasts.
const TTL: Duration = Duration::from_millis(300);

#[derive(Debug, Clone)]
struct Claim {
    sku: String,
    units: u64,
    until: Instant,
}

#[derive(Debug, Clone)]
struct Order {
    lines: Vec<(String, u64)>,
    declined: bool,
    state: &'static str,
    until: Instant,
}

/// The shop's state.
#[derive(Debug, Default)]
pub struct Fake {
    /// Units that are free, by SKU.
    pub free: BTreeMap<String, u64>,
    /// Units of captured orders, by SKU.
    pub sold: BTreeMap<String, u64>,
    claims: BTreeMap<String, Claim>,
    orders: BTreeMap<String, Order>,
    carts: BTreeMap<String, Vec<(String, u64)>>,
    answers: BTreeMap<String, (u16, Value)>,
}

impl Fake {
    /// Opens a shop with these units on a free port.
    pub async fn open(free: BTreeMap<String, u64>) -> (SocketAddr, Rc<RefCell<Fake>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shop = Rc::new(RefCell::new(Fake { free, ..Fake::default() }));
        let doors = shop.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(stream, doors.clone()));
            }
        });
        (address, shop)
    }

    fn answer(&mut self, method: &str, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        self.run_out();
        let known = key.and_then(|key| self.answers.get(key).cloned());
        if let Some(known) = known {
            return known;
        }
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let answer = match (method, parts.as_slice()) {
            ("POST", ["carts"]) => {
                let id = format!("crt_{}", self.carts.len());
                self.carts.insert(id.clone(), Vec::new());
                (201, json!({ "cart": id }))
            }
            ("PUT", ["carts", cart, "lines", sku]) => {
                let line = ((*sku).to_owned(), body["units"].as_u64().unwrap());
                self.carts.get_mut(*cart).unwrap().push(line);
                (200, json!({}))
            }
            ("POST", ["carts", cart, "checkout"]) => self.place(self.carts[*cart].clone(), body),
            ("POST", ["orders"]) => {
                let line = |line: &Value| {
                    if let Some(hold) = line["hold"].as_str() {
                        self.end_claim(hold);
                    }
                    (line["sku"].as_str().unwrap().to_owned(), line["units"].as_u64().unwrap())
                };
                let lines = body["lines"].as_array().unwrap().iter().map(line).collect();
                self.place(lines, body)
            }
            ("PUT", ["skus", sku, "holds", hold]) => {
                let units = body["units"].as_u64().unwrap();
                if self.take(&[((*sku).to_owned(), units)]) {
                    let claim = Claim { sku: (*sku).to_owned(), units, until: Instant::now() + TTL };
                    self.claims.insert((*hold).to_owned(), claim);
                    (201, json!({}))
                } else {
                    (409, json!({ "code": "sold_out" }))
                }
            }
            ("GET", ["skus", sku, "availability"]) => {
                let held: u64 = self.claims.values().filter(|claim| claim.sku == *sku).map(|claim| claim.units).sum();
                (200, json!({ "available": self.free[*sku], "held": held }))
            }
            ("GET", ["orders", order]) => (200, json!({ "order": order, "state": self.orders[*order].state })),
            ("POST", ["orders", order, "payments"]) => {
                let order = self.orders.get_mut(*order).unwrap();
                if order.state != "awaiting_payment" {
                    return (409, json!({ "code": "not_payable" }));
                }
                order.declined = false;
                (202, json!({}))
            }
            _ => (404, json!({ "code": "unknown_route" })),
        };
        if let (Some(key), true) = (key, answer.0 < 300) {
            self.answers.insert(key.to_owned(), answer.clone());
        }
        answer
    }

    fn place(&mut self, lines: Vec<(String, u64)>, body: &Value) -> (u16, Value) {
        if !self.take(&lines) {
            return (409, json!({ "code": "sold_out" }));
        }
        let id = format!("ord_{}", self.orders.len());
        let declined = body["payment_token"] == "tok_declined_funds";
        let order = Order { lines, declined, state: "awaiting_payment", until: Instant::now() + TTL };
        self.orders.insert(id.clone(), order);
        (201, json!({ "order": id, "state": "awaiting_payment" }))
    }

    fn take(&mut self, lines: &[(String, u64)]) -> bool {
        let enough = lines.iter().all(|(sku, units)| self.free[sku] >= *units);
        if enough {
            lines.iter().for_each(|(sku, units)| *self.free.get_mut(sku).unwrap() -= units);
        }
        enough
    }

    fn end_claim(&mut self, hold: &str) {
        if let Some(claim) = self.claims.remove(hold) {
            *self.free.get_mut(&claim.sku).unwrap() += claim.units;
        }
    }

    /// Whatever has run out: holds, and orders that were declined; the others are paid.
    fn run_out(&mut self) {
        let now = Instant::now();
        let over: Vec<String> =
            self.claims.iter().filter(|(_, claim)| claim.until <= now).map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|hold| self.end_claim(hold));
        for order in self.orders.values_mut().filter(|order| order.state == "awaiting_payment") {
            let (state, into) = match order.declined {
                false => ("captured", &mut self.sold),
                true if order.until <= now => ("expired", &mut self.free),
                true => continue,
            };
            order.state = state;
            order.lines.iter().for_each(|(sku, units)| *into.entry(sku.clone()).or_default() += units);
        }
    }
}

async fn serve(mut stream: TcpStream, shop: Rc<RefCell<Fake>>) {
    let mut buffer = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(&buffer).unwrap();
        let header = |name: &str| {
            let header = request.headers.iter().find(|header| header.name == name)?;
            std::str::from_utf8(header.value).ok()
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        match parsed {
            httparse::Status::Complete(start) if buffer.len() >= start + length => {
                let body = serde_json::from_slice(&buffer[start..start + length]).unwrap_or_default();
                let key = header("idempotency-key");
                let (method, path) = (request.method.unwrap(), request.path.unwrap());
                let (status, body) = shop.borrow_mut().answer(method, path, key, &body);
                let body = body.to_string();
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                buffer.drain(..start + length);
            }
            _ => match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
        }
    }
}
