use super::*;

fn second(at: usize, cpu: f64) -> Sample {
    let p99 = at as f64;
    Sample {
        at: at as f64,
        seconds: 1.0,
        arrived: 10,
        dropped: 0,
        accepted: 4,
        refused: 6,
        failed: 0,
        accepted_ms: Some(Latency { p50: 1.0, p99 }),
        refused_ms: None,
        stock_left: 5_000 - at as u64,
        in_flight: at,
        cpu,
    }
}

#[test]
fn a_long_run_keeps_few_rows_and_loses_no_arrival() {
    let mut samples = Samples::default();
    (1..=4_001).for_each(|at| samples.push(second(at, 0.1)));
    let rows = samples.rows();
    assert!(rows.len() <= MAX && rows.len() > MAX / 2, "{}", rows.len());
    assert_eq!(rows.iter().map(|row| row.arrived).sum::<u64>(), 40_010);
    assert_eq!(rows.last().map(|row| (row.at, row.stock_left)), Some((4_001.0, 999)));
    assert!(rows.windows(2).all(|pair| pair[0].at < pair[1].at));
    let worst = rows.iter().filter_map(|row| row.accepted_ms).map(|latency| latency.p99).fold(0.0, f64::max);
    assert_eq!(worst, 4_001.0, "the worst second stays visible");
}

#[test]
fn the_busiest_five_seconds_are_judged() {
    let mut samples = Samples::default();
    for at in 1..=60 {
        samples.push(second(at, if (20..25).contains(&at) { 0.9 } else { 0.05 }));
    }
    assert_eq!(samples.cpu_percent(), 90);
    // One busy second among quiet ones is no bottleneck.
    let mut samples = Samples::default();
    (1..=60).for_each(|at| samples.push(second(at, if at == 30 { 1.0 } else { 0.0 })));
    assert_eq!(samples.cpu_percent(), 20);
}

#[test]
fn a_moment_counts_as_a_second() {
    let mut samples = Samples::default();
    assert_eq!(samples.cpu_percent(), 0);
    samples.push(Sample { seconds: 0.02, ..second(1, 1.0) });
    assert_eq!(samples.cpu_percent(), 2);
}

#[test]
fn a_line_names_trouble_only_when_there_is_some() {
    let line = second(3, 0.25).line(5_000);
    assert!(line.contains("accepted 4/s (p50 1.0 p99 3.0 ms)") && line.contains("refused 6/s (none)"), "{line}");
    assert!(line.contains("stock left 4,997/5,000") && line.ends_with("own CPU 25 %"), "{line}");
    assert!(Sample { dropped: 1_234, ..second(3, 0.25) }.line(1).ends_with("DROPPED 1,234"));
}
