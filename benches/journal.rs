//! What a frame costs: encoding, checking, decoding, and committing one on the disk of this machine.
//! `TMPDIR` decides which disk: `TMPDIR=/data cargo bench --bench journal`.
#![allow(clippy::unwrap_used)] // a benchmark may fail by panicking

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stampede::clock::{BootClock, Clock};
use stampede::disk::{RealDisk, SharedDisk};
use stampede::journal::frame::{self, HEADER, Header, Place};
use stampede::journal::{CommitLog, Config, FrameBody, LogId, Outcome, Turn, Wal, Writer};
use stampede_actors::ids::{EntityId, LocationId, OpId, SkuId};
use stampede_actors::journal::Journal;
use stampede_actors::record::{Entry, Event, Position, Record};
use stampede_actors::sku;
use stampede_actors::time::Timestamp;
use std::hint::black_box;
use std::sync::Arc;

const BATCHES: [u64; 4] = [1, 16, 64, 256];

/// A receipt: as long as most records are.
fn record(number: u64) -> Record {
    let event = sku::Event::Received {
        receipt: OpId(u128::from(number) << 64 | 77),
        fingerprint: number,
        location: LocationId::new("warehouse-1").unwrap(),
        units: 100,
        at: Timestamp(1_700_000_000_000_000),
    };
    let entity = EntityId::Sku(SkuId::new("hoodie-m-black").unwrap());
    let entries = vec![Entry { entity, version: number, event: Event::Sku(event) }];
    Record { at: Timestamp(1_700_000_000_000_000), entries, trace: None }
}

fn fill(body: &mut FrameBody, records: &[Record]) {
    body.clear(Position(1), Timestamp(1));
    for record in records {
        assert!(body.push(record, 1 << 20));
    }
}

fn place() -> Place {
    Place { log: LogId([1; 16]), segment: 1, epoch: 1, seq: 1, prev: [0; 32] }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for batch in BATCHES {
        let records: Vec<Record> = (0..batch).map(record).collect();
        let mut body = FrameBody::with_capacity(256 << 10);
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new("encode", batch), |bencher| {
            bencher.iter(|| {
                fill(&mut body, &records);
                body.seal(place()).1
            });
        });
        fill(&mut body, &records);
        let bytes = body.seal(place()).0.to_vec();
        group.bench_function(BenchmarkId::new("check", batch), |bencher| {
            bencher.iter(|| {
                let header = Header::read(black_box(&bytes)).unwrap();
                assert_eq!(frame::fault(&header, &bytes), None);
                frame::hash(&bytes[..HEADER])
            });
        });
        let header = Header::read(&bytes).unwrap();
        group.bench_function(BenchmarkId::new("decode", batch), |bencher| {
            bencher.iter(|| frame::records(&header, black_box(&bytes)).unwrap());
        });
        group.bench_function(BenchmarkId::new("root", batch), |bencher| {
            bencher.iter(|| frame::check_root(&header, black_box(&bytes)).unwrap());
        });
    }
    group.finish();
}

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    for batch in BATCHES {
        let dir = tempfile::tempdir().unwrap();
        let (disk, clock): (SharedDisk, Arc<BootClock>) = (Arc::new(RealDisk), Arc::new(BootClock::new()));
        let config = Config::default();
        let mut opened = Wal::open(&disk, dir.path(), config.clone(), &*clock).unwrap();
        let queue = opened.queue.clone();
        while opened.upkeep.step(clock.now()).unwrap() {}
        let mut writer = Writer::new(Box::new(opened.wal), opened.queue, &config, clock, Vec::new());
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new("append and sync", batch), |bencher| {
            bencher.iter_batched(
                || (0..batch).map(record).collect::<Vec<_>>(),
                |records| {
                    let mut last = Position(0);
                    for record in records {
                        last = queue.append(record, stampede_actors::record::Position(0));
                    }
                    while queue.committed() < last {
                        assert!(!matches!(writer.step(), Turn::Stopped(_)));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// One frame straight to the log, without queue and pace: what the disk itself takes.
fn disk(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let (disk, clock): (SharedDisk, BootClock) = (Arc::new(RealDisk), BootClock::new());
    let mut opened = Wal::open(&disk, dir.path(), Config::default(), &clock).unwrap();
    let records: Vec<Record> = (0..64).map(record).collect();
    let mut body = FrameBody::with_capacity(256 << 10);
    criterion.bench_function("write of 64 records", |bencher| {
        bencher.iter(|| {
            let next = Position(opened.wal.head().position.0 + 1);
            body.clear(next, clock.now());
            records.iter().for_each(|record| assert!(body.push(record, 1 << 20)));
            assert!(opened.wal.make_room(body.frame_len()).unwrap());
            assert!(matches!(opened.wal.commit(&mut body), Outcome::Committed { .. }));
        });
    });
}

criterion_group!(benches, frames, commits, disk);
criterion_main!(benches);
