//! `stampede doctor`.

use super::{FAILED, Here, OK, Serving};
use serde_json::Value;

#[test]
fn the_doctor_answers_in_json_and_by_exit_code() {
    let here = Here::new();
    let free = ["--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--log-segment-bytes", "1MiB"];
    let healthy = here.run(&[&["doctor", "--json"], &free[..]].concat());
    let report: Value = serde_json::from_str(&healthy.stdout).unwrap();
    let names: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let expected = ["api port", "operations port", "file limit", "clock", "memory", "data directory", "file system"];
    assert_eq!(names[..7], expected);
    assert!(names.contains(&"disk sync") && names.contains(&"direct writes"), "{names:?}");
    assert_eq!(healthy.code, if report["ok"] == true { OK } else { FAILED });

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ill = here.run(&["doctor", "--api-bind", &address]);
    assert_eq!(ill.code, FAILED);
    assert!(ill.stdout.contains(&format!("RED   api port        {address} is in use")), "{}", ill.stdout);
    assert!(ill.stdout.contains("stampede serve --api-bind 127.0.0.1:"), "a line to paste");
    assert!(!ill.stdout.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn the_doctor_leaves_nothing_behind() {
    let here = Here::new();
    here.run(&["doctor"]);
    assert_eq!(std::fs::read_dir(here.dir()).unwrap().count(), 0);
}

#[test]
fn the_doctor_sees_a_running_server() {
    let here = Here::new();
    let _serving = Serving::start(&here, &[]);
    let report = here.run(&["doctor", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0"]);
    assert_eq!(report.code, FAILED);
    assert!(report.stdout.contains("RED   data directory  ./stampede-data is in use"), "{}", report.stdout);
}
