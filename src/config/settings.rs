//! The settings themselves: name, type, default, and what each does.
//!
//! The doc comment of a setting is also what `stampede config explain NAME` and `--help` print, so it names the unit,
//! what makes the server refuse to start, and the effect of a larger or smaller value.

use super::layers::Reader;
use super::value::{
    AmqpUrl, Backend, BrokerKind, Bytes, CacheKind, Collector, Format, Placement, Proxies, Rate, RedisUrl, Share, Works,
};
use crate::workflows::simulated::Faults;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One setting as the catalogue knows it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `holds.ttl`.
    pub name: &'static str,
    /// The value when no source names one, in words that can be read back.
    pub default: fn() -> String,
    /// What kind of value: the type's own word for it.
    pub kind: &'static str,
    /// The doc comment, line by line.
    pub doc: &'static [&'static str],
    /// The value as it may be shown: secrets are not.
    pub show: fn(&str) -> String,
}

/// Writes a group of settings as a struct, and its part of the catalogue beside it.
macro_rules! settings {
    ($(
        $(#[doc = $group_doc:literal])+
        $group:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $kind:ty = $name:literal, $default:expr; )+
        }
    )+) => {
        $(
            $(#[doc = $group_doc])+
            #[derive(Debug, Clone, PartialEq)]
            pub struct $group {
                $( $(#[doc = $doc])+ pub $field: $kind, )+
            }

            impl $group {
                pub(super) const SETTINGS: &[Setting] = &[$(
                    Setting {
                        name: $name,
                        default: || $default.to_string(),
                        kind: <$kind as super::value::Value>::KIND,
                        doc: &[$($doc),+],
                        show: <$kind as super::value::Value>::show,
                    },
                )+];

                pub(super) fn read(reader: &mut Reader) -> $group {
                    $group { $( $field: reader.take($name), )+ }
                }
            }
        )+
    };
}

settings! {
    /// The public API.
    Api {
        /// Address and port of the API.
        /// Errors: port taken or not ours, no start. Effect: anything but loopback lets other machines in; there is no TLS, put a proxy in front.
        bind: SocketAddr = "api.bind", "127.0.0.1:8080";
        /// Largest request body.
        /// Effect: larger ones answer 413 before they are read whole.
        body_limit: Bytes = "api.body-limit", "256KiB";
        /// How long a request may take until its answer is "outcome unknown, repeat it".
        /// Errors: zero, no start. Effect: shorter gives up on slow disks earlier; nothing is undone by it.
        request_timeout: Duration = "api.request-timeout", "10s";
        /// How long a client may take to send its request's head.
        /// Effect: slower clients answer 408 and are disconnected.
        header_timeout: Duration = "api.header-timeout", "5s";
        /// How long an idle connection stays open.
        /// Effect: longer saves handshakes, shorter saves sockets.
        keep_alive: Duration = "api.keep-alive", "75s";
        /// Connections per worker.
        /// Effect: more wait in the kernel's queue until one closes.
        connections: usize = "api.connections", "25000";
        /// How long requests in progress may go on after SIGTERM.
        /// Effect: what is left then is cut off; its outcome is safe in the log and a repeat tells it.
        drain: Duration = "api.drain", "15s";
    }

    /// Health and metrics, on a port of their own.
    Ops {
        /// Address and port of health checks and metrics.
        /// Errors: port taken or not ours, no start. Effect: keep it away from buyers.
        bind: SocketAddr = "ops.bind", "127.0.0.1:8081";
    }

    /// Units claimed for a cart or an order until a deadline.
    Holds {
        /// How long a hold lasts without being paid.
        /// Errors: zero or longer than holds.max-total, no start. Effect: longer sells less, shorter loses carts.
        ttl: Duration = "holds.ttl", "10m";
        /// How long a hold may last with all its extensions while a payment is on its way.
        /// Errors: shorter than holds.ttl, no start. Effect: longer waits for slower payment providers.
        max_total: Duration = "holds.max-total", "30m";
    }

    /// Carts: lines wanted, claiming nothing.
    Carts {
        /// How long a cart lives after its last change.
        /// Errors: zero, no start. Effect: after it the cart has expired and answers so.
        ttl: Duration = "carts.ttl", "7d";
    }

    /// Payment and its (simulated) provider.
    Payment {
        /// How long one call to the provider may take until its outcome is unknown.
        /// Errors: zero, no start. Effect: holds are extended past it before the call.
        timeout: Duration = "payment.timeout", "10s";
        /// How long a step outside the process may stay unanswered until it is asked again; doubles up to 32 times of it.
        /// Errors: zero, no start. Effect: shorter settles faster and asks the provider more.
        ask_again: Duration = "payment.ask-again", "5s";
        /// Unanswered askings until an order needs attention.
        /// Effect: it is still asked, at the longest pace.
        attention_after: u32 = "payment.attention-after", "8";
        /// Attempts to pay per order, the first one included.
        /// Errors: 0, no start. Effect: after the last decline the order is cancelled and its units go back.
        attempts: u32 = "payment.attempts", "5";
        /// How long the provider remembers our idempotency keys.
        /// Effect: a call that may have been made is repeated only within it, then looked up by our reference.
        key_lifetime: Duration = "payment.key-lifetime", "24h";
        /// Mean time the simulated provider takes to answer.
        /// Effect: 0s answers at once.
        latency: Duration = "payment.latency", "30ms";
    }

    /// Fulfilment and its (simulated) warehouse.
    Fulfilment {
        /// How long a paid order may wait for its shipment.
        /// Errors: zero, no start. Effect: after it the order is on the list of those that need attention.
        within: Duration = "fulfilment.within", "3d";
        /// Whether the simulated warehouse ships what it is asked to.
        /// Effect: false leaves shipping to POST /v1/orders/{order}/shipments.
        auto_ship: bool = "fulfilment.auto-ship", "true";
        /// How long the simulated warehouse takes to ship.
        /// Effect: 0s ships at once.
        latency: Duration = "fulfilment.latency", "200ms";
    }

    /// Answers to repeated requests.
    Idempotency {
        /// How long a request's key, a receipt's and an adjustment's id are remembered.
        /// Effect: a repeat after it counts as a new request; the API promises 24 h.
        keep: Duration = "idempotency.keep", "24h";
    }

    /// The commit log.
    Log {
        /// Where the log is kept: in the data directory ("embedded"), or in ScyllaDB ("scylla"; short form: --store). See docs/cluster.md.
        /// Errors: a data directory that was used with the other one, no start. Effect: with "scylla" another process can take over.
        store: Backend = "log.store", "embedded";
        /// Size of one log file, written with zeros ahead of its use.
        /// Errors: less than four frames, no start; fixed when the data directory is created. Effect: larger archives less often.
        segment_bytes: Bytes = "log.segment-bytes", "64MiB";
        /// Largest frame: the records that one sync commits.
        /// Errors: under 1KiB, no start. Effect: larger carries more orders per sync under load.
        frame_bytes: Bytes = "log.frame-bytes", "256KiB";
        /// Longest wait for a fuller frame under load; with one client there is no wait.
        /// Effect: longer syncs less often, shorter answers sooner. 0s never waits.
        pace_max: Duration = "log.pace-max", "400us";
        /// How long after the last frame an empty one seals it.
        /// Effect: damage to a sealed frame is told from a torn write.
        idle_seal: Duration = "log.idle-seal", "50ms";
        /// Records that may wait for the disk.
        /// Errors: 0, no start. Effect: beyond it requests answer 503 overloaded.
        queue_records: usize = "log.queue-records", "65536";
        /// How long full log files stay in the archive.
        /// Effect: "never" keeps the whole history; a shorter one still keeps what no checkpoint covers.
        archive_max_age: Option<Duration> = "log.archive-max-age", "never";
        /// Makes every sync of the log so much slower. For tests and measurements only.
        /// Errors: over 10s, no start. Effect: answers with an effect wait for it.
        sync_delay: Duration = "log.sync-delay", "0s";
    }

    /// The commit log in ScyllaDB; only with log.store = "scylla".
    Cql {
        /// Addresses of some of the nodes, with commas between them.
        /// Errors: none answers, no start.
        contact_points: String = "cql.contact-points", "127.0.0.1:9042";
        /// The keyspace, made by `stampede schema apply`.
        /// Errors: missing, of another version, or replicated to more than one data centre, no start.
        keyspace: String = "cql.keyspace", "stampede";
        /// The data centre that holds the log. All conditional writes are agreed on there.
        /// Errors: the keyspace has replicas elsewhere, or none here, no start.
        data_center: String = "cql.data-center", "datacenter1";
        /// Copies of the log that `stampede schema apply` asks for.
        /// Errors: 0, no schema. Effect: with 3 one node may be down.
        replication: u32 = "cql.replication", "3";
        /// Number of the log: several cells, each with an owner and its stand-bys, can share a keyspace.
        /// Effect: processes with the same number take over from each other.
        cell: u32 = "cql.cell", "0";
        /// Name to log in with.
        /// Effect: empty, no log-in.
        user: String = "cql.user", "";
        /// File that holds the password of cql.user.
        /// Errors: unreadable, no start.
        password_file: String = "cql.password-file", "";
        /// PEM file of the authorities whose certificates are accepted; empty: no TLS.
        /// Errors: unreadable, no start.
        tls_ca: String = "cql.tls-ca", "";
        /// How long one request may take until its outcome is unknown.
        /// Errors: zero, no start. Effect: less than the servers' own time-outs asks again too early.
        timeout: Duration = "cql.timeout", "3s";
        /// How long a write of unknown outcome is sent again until the process gives up and stops.
        /// Errors: shorter than cql.timeout, no start. Effect: longer sits out longer outages, with all buyers waiting.
        resolve_within: Duration = "cql.resolve-within", "10s";
        /// Frames in one bucket (partition) of the log; log.segment-bytes ends it as well.
        /// Errors: 0, no start.
        bucket_frames: usize = "cql.bucket-frames", "8192";
        /// Address that a stand-by names to clients.
        /// Effect: empty, api.bind.
        advertise: String = "cql.advertise", "";
        /// How often the owner shows that it lives.
        /// Errors: zero, no start.
        beat_every: Duration = "cql.beat-every", "500ms";
        /// A stand-by takes over when the owner has shown nothing for this long, by the stand-by's own clock.
        /// Errors: less than three beats, no start. Effect: shorter takes over sooner, and sometimes for nothing; neither costs an order.
        take_over_after: Duration = "cql.take-over-after", "5s";
    }

    /// The store of snapshots and lists: a cache that the log can rebuild.
    Store {
        /// Memory for blocks read from the store.
        /// Effect: more wakes cold entities faster.
        cache_bytes: Bytes = "store.cache-bytes", "64MiB";
        /// How often the store is synced to disk.
        /// Errors: zero, no start. Effect: longer replays more of the log after a crash, loses nothing.
        flush_every: Duration = "store.flush-every", "5s";
        /// Space on the disk of the data directory that is left to the store, the archive and the operating system.
        /// Effect: with less of it free new claims answer 503 disk_full while settlement goes on; 0B looks after none, and a store that finds no space ends the server.
        keep_free: Bytes = "store.keep-free", "512MiB";
    }

    /// Checkpoint files: what lets old log files go.
    Checkpoint {
        /// How often a checkpoint is taken when the log has moved.
        /// Errors: zero, no start. Effect: shorter starts faster and frees log files sooner, at the price of writes.
        every: Duration = "checkpoint.every", "1m";
        /// A checkpoint is taken after so many records of the log all the same.
        /// Errors: 0, no start. Effect: bounds what a start has to read again, however fast the log grows.
        records: usize = "checkpoint.records", "50000";
    }

    /// Putting idle entities to sleep.
    Passivate {
        /// How long an entity stays in memory after its last message.
        /// Errors: zero, no start. Effect: longer uses more memory, shorter wakes more often.
        after: Duration = "passivate.after", "1m";
        /// Entities per shard that may go at once, every 100 ms.
        /// Errors: 0, no start. Effect: more frees memory faster and stalls its shard longer.
        per_tick: usize = "passivate.per-tick", "200";
        /// Entities in memory, over all shards, beyond which those idle for a second go at once, the longest idle first.
        /// Errors: 0, no start. Effect: bounds the memory of a rush, about 2 KiB each; less wakes more often.
        warm: usize = "passivate.warm", "100000";
    }

    /// Live streams of stock.
    Streams {
        /// Streams open at once.
        /// Effect: beyond it new ones answer 503.
        max: usize = "streams.max", "10000";
    }

    /// How often one buyer, API key or address may ask. Beyond it requests answer 429 with Retry-After.
    Limits {
        /// Orders, carts and holds per buyer: `20/1s` is 20 at once, and 20 more for each second that passes.
        /// Errors: more than 10000 per second, or less than whole seconds, no start. Effect: "off" limits nobody, since only the operator knows how a shop calls for its buyers.
        buyer: Rate = "limits.buyer", "off";
        /// Requests per API key, on the routes that need one.
        /// Errors: as limits.buyer. Effect: "off" limits nobody; an import sends thousands of requests per second.
        api_key: Rate = "limits.api-key", "off";
        /// Requests per address of a client; an IPv6 address counts by its first 64 bits.
        /// Errors: as limits.buyer. Effect: "off" limits nobody; thousands of buyers may share an address, and behind a proxy all do unless limits.trusted-proxies names it.
        address: Rate = "limits.address", "off";
        /// Buyers, API keys and addresses that are counted at once in this process, each.
        /// Errors: 0, no start. Effect: while as many are active, further ones are let through uncounted; about 40 bytes each.
        keys: usize = "limits.keys", "100000";
        /// Addresses and networks of proxies whose X-Forwarded-For is believed: `10.0.0.0/8,fd00::/8`.
        /// Errors: unreadable, no start. Effect: "none" takes the address of the connection.
        trusted_proxies: Proxies = "limits.trusted-proxies", "none";
        /// Whether answers say what is left, in RateLimit and RateLimit-Policy.
        /// Effect: false saves some bytes; Retry-After is always there.
        headers: bool = "limits.headers", "true";
    }

    /// Redis, when `cache` is "redis".
    Redis {
        /// Where it is: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`. The password is never shown; the environment keeps it out of the list of processes.
        /// Errors: unreadable, or rediss:// (TLS is left to a proxy beside it), no start. Effect: without an answer from there, requests go on as with "in-process".
        url: RedisUrl = "redis.url", "redis://127.0.0.1:6379";
        /// Longest that a request waits for it.
        /// Errors: zero or over 1s, no start. Effect: longer bears a slower network; every request waits so long while it begins to fail.
        timeout: Duration = "redis.timeout", "5ms";
        /// Reads of availability may be answered from it as long as they are not older; 0s asks the SKU itself every time.
        /// Errors: over 1m, no start. Effect: longer takes more reads off the SKUs, shorter shows newer numbers; orders never look there.
        reads_max_age: Duration = "redis.reads-max-age", "1s";
        /// What its keys begin with. Servers that share limits have the same one.
        /// Errors: not 1 to 32 of a-z, 0-9, - and _, no start. Effect: lets several shops use one Redis.
        namespace: String = "redis.namespace", "stampede";
    }

    /// RabbitMQ, when `broker` is "rabbitmq".
    Rabbitmq {
        /// Where it is: `amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST]`; `%2f` is the virtual host `/`. The password is never shown; the environment keeps it out of the list of processes.
        /// Errors: unreadable, or amqps:// (TLS is left to a proxy beside it), no start. Effect: while nobody answers there, orders go on and their payments wait.
        url: AmqpUrl = "rabbitmq.url", "amqp://127.0.0.1:5672/%2f";
        /// What the names of its exchanges and queues begin with. A shop's server and its workers have the same one.
        /// Errors: not 1 to 32 of a-z, 0-9, - and _, no start. Effect: lets several shops use one RabbitMQ.
        namespace: String = "rabbitmq.namespace", "stampede";
        /// Which steps the server itself takes out of the queues again: "payment,fulfilment", one of them, or "none".
        /// Effect: what is not named needs a process of `stampede worker`.
        works: Works = "rabbitmq.works", "payment,fulfilment";
        /// Messages of a kind that may be published and not confirmed yet.
        /// Errors: 0 or over 65536, no start. Effect: larger publishes faster, and more is published again after an outage.
        window: usize = "rabbitmq.window", "1024";
        /// Messages of a kind that a process works on at once.
        /// Errors: 0 or over 65535, no start. Effect: larger asks provider and warehouse more at once.
        prefetch: usize = "rabbitmq.prefetch", "256";
        /// A message that is not confirmed for so long is published again, over a new connection.
        /// Errors: zero, no start. Effect: shorter finds a broker that hangs sooner, and publishes twice more often.
        confirm_within: Duration = "rabbitmq.confirm-within", "30s";
        /// A message that came back so often goes to the dead letters.
        /// Errors: 0, or a queue that was made with another one, no work until it is made again. Effect: see `stampede dlq`.
        delivery_limit: usize = "rabbitmq.delivery-limit", "20";
        /// Messages that a queue holds; beyond it RabbitMQ refuses and they wait in the log.
        /// Errors: as rabbitmq.delivery-limit. Effect: bounds the broker's disk, some 500 bytes each.
        queue_messages: usize = "rabbitmq.queue-messages", "1000000";
    }

    /// What the server says about itself on standard error.
    Diagnostics {
        /// Which messages: a level (error, warn, info, debug, trace), or levels by module like "info,stampede::journal=debug".
        /// Errors: unreadable, no start. Effect: debug and trace cost throughput.
        filter: String = "diagnostics.filter", "info,actix_server=warn,fjall=warn,lapin=off,lsm_tree=warn";
        /// "text" for people, "json" for collectors; "auto" is text on a terminal.
        /// Effect: none on anything else.
        format: Format = "diagnostics.format", "auto";
        /// Messages from one place of the code in ten seconds; those beyond are counted, and the count is told.
        /// Effect: keeps a fault that every request meets from filling the disk; 0 lets everything through.
        repeats: u32 = "diagnostics.repeats", "20";
    }

    /// Traces of orders, for a collector that speaks OTLP over HTTP.
    Tracing {
        /// Where the collector is: `http://HOST[:PORT][/PATH]`; without a port 4318, without a path /v1/traces.
        /// Errors: unreadable, a user or password in it, or https:// (TLS is left to a collector or proxy beside it), no start. Effect: "off" draws nothing and costs nothing; a collector that is away loses spans and delays nobody.
        otlp: Collector = "tracing.otlp", "off";
        /// Share of the orders whose caller has not decided that are traced, from 0 to 1. A caller decides with the `sampled` flag of `traceparent`.
        /// Errors: not from 0 to 1, no start. Effect: more shows more, and takes more of the collector; 0 traces only what callers ask for.
        sample: Share = "tracing.sample", "0.01";
    }

    /// Settings of the process as a whole.
    Process {
        /// Directory of log, archive, store and keys.
        /// Errors: in use by another server, on a network file system, or not writable, no start.
        data_dir: PathBuf = "data-dir", "./stampede-data";
        /// Threads that serve HTTP. Default: half the cores, at least one.
        /// Errors: 0, no start. Effect: more parse more requests at once; the log thread wants a core of its own.
        workers: usize = "workers", default_workers();
        /// Parts that entities are spread over. Default: two per worker.
        /// Errors: 0 or over 4096, no start. Effect: more spread entities more evenly; free to change between starts.
        shards: usize = "shards", 2 * default_workers();
        /// Where shards live: on the HTTP workers' threads ("worker") or on threads of their own ("own").
        /// Effect: "worker" saves a change of threads per request, "own" keeps slow requests away from entities.
        placement: Placement = "placement", "worker";
        /// Purchases in progress per shard.
        /// Errors: 0, no start. Effect: beyond it buyers are told 503 overloaded with Retry-After.
        permits: usize = "permits", "2048";
        /// What rate limits and hot reads may use beside this process: "in-process" nothing, "redis" the one at redis.url.
        /// Effect: "redis" makes limits hold over all servers that share it; it decides nothing, and losing it loses nothing.
        cache: CacheKind = "cache", "in-process";
        /// Who carries the steps of payment and fulfilment to their workers: "in-process" nobody else, "rabbitmq" the one at rabbitmq.url.
        /// Effect: with "rabbitmq" workers can be processes of their own; it decides nothing, and orders go on without it.
        broker: BrokerKind = "broker", "in-process";
        /// After a start nothing expires until waiting results are in, at most this long.
        /// Effect: longer is kinder to payments that succeeded while the server was down.
        start_grace: Duration = "start-grace", "30s";
        /// What the simulated provider and warehouse do wrong, and how often: `payment=timeout:30%,warehouse=late:5%`.
        /// Errors: unknown words, no start. Effect: for trying out; "none" for real work.
        faults: Faults = "faults", "none";
        /// Lets operators change `faults` and `log.sync-delay` while the server runs: PUT /v1/ops/faults, `stampede fault`.
        /// Effect: for trying out and for drills; "false" refuses it.
        fault_injection: bool = "fault-injection", "false";
        /// Serves POST /v1/noop, which parses and answers like an order but does nothing.
        /// Effect: for measuring only.
        measure: bool = "measure", "false";
    }
}

/// Half the cores, at least one: the log thread and the operating system want the others.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Settings that `--help` leaves out, because only tests and measurements use them. They are explained like all others.
pub const FOR_MEASURING: &[&str] = &["log.sync-delay"];

macro_rules! config {
    ($($field:ident: $group:ident),+ $(,)?; $($own:ident: $own_kind:ty),+ $(,)?) => {
        /// Everything that can be set.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            $(
                #[doc = concat!("See [`", stringify!($group), "`].")]
                pub $field: $group,
            )+
            $(
                #[doc = concat!("See [`Process::", stringify!($own), "`].")]
                pub $own: $own_kind,
            )+
        }

        impl Config {
            pub(super) fn read(reader: &mut Reader) -> Config {
                let process = Process::read(reader);
                Config { $($field: $group::read(reader),)+ $($own: process.$own,)+ }
            }
        }

        /// All settings in the order of their documentation.
        pub fn catalogue() -> impl Iterator<Item = &'static Setting> {
            [Process::SETTINGS, $($group::SETTINGS),+].into_iter().flatten()
        }
    };
}

config! {
    api: Api, ops: Ops, holds: Holds, carts: Carts, payment: Payment, fulfilment: Fulfilment, idempotency: Idempotency,
    log: Log, cql: Cql, store: Store, checkpoint: Checkpoint, passivate: Passivate, streams: Streams, limits: Limits,
    redis: Redis, rabbitmq: Rabbitmq, diagnostics: Diagnostics, tracing: Tracing;
    data_dir: PathBuf, workers: usize, shards: usize, placement: Placement, permits: usize, cache: CacheKind, broker: BrokerKind,
    start_grace: Duration, faults: Faults, fault_injection: bool, measure: bool,
}
