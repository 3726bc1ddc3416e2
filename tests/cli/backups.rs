//! `stampede backup` and `stampede restore`, beside a server that sells meanwhile.

use super::{FAILED, Here, OK, Serving, USAGE, VIOLATED, wait_until};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Segments of seven small frames: they are full, archived and used again many times a second.
const SMALL: &str = "[log]\nsegment-bytes = \"32KiB\"\nframe-bytes = \"4KiB\"\n[checkpoint]\nevery = \"200ms\"\n\
                     [payment]\nlatency = \"5ms\"\n[fulfilment]\nlatency = \"5ms\"\n";

#[test]
fn what_was_acknowledged_before_a_backup_under_load_is_in_it() {
    let here = shop(SMALL);
    let serving = Serving::start(&here, &[]);
    let load = Load::start(&serving);
    wait_until(|| load.count() > 50 && segments(&here.dir().join("stampede-data")) > 5);
    let first = backup(&here, "copy");
    assert!(first["segments_copied"].as_u64().unwrap() > 5, "{first}");

    wait_until(|| segments(&here.dir().join("stampede-data")) > segments(&here.dir().join("copy")) + 5);
    let before = load.acknowledged();
    here.key("later");
    let second = backup(&here, "copy");
    let [copied, last] = ["segments_copied", "last_segment"].map(|field| second[field].as_u64().unwrap());
    assert!(copied < last, "those that were there are not copied again: {second}");
    assert!(frame(&second) > frame(&first));
    wait_until(|| load.count() > before.len() + 20);
    load.stop();
    serving.kill();

    here.run(&["restore", "copy", "elsewhere"]).says(OK);
    let report: Value = serde_json::from_str(&here.run(&["verify", "elsewhere", "--json"]).says(OK)).unwrap();
    assert_eq!((&report["head"], &report["hash"]), (&second["ends_with"]["frame"], &second["ends_with"]["hash"]));
    assert_eq!((&report["found"], &report["first"], &report["was_clean"]), (&json!(0), &json!(1), &json!(true)));
    let keys = here.run(&["keys", "ls", "--data-dir", "elsewhere"]).says(OK);
    assert!(keys.contains("later"), "{keys}");

    let restored = Serving::start(&here, &["--data-dir", "elsewhere"]);
    replays(&restored, &before);
    place(&restored.api, "after-the-restore").expect("a new order");
    assert_eq!(restored.stop(), OK);
    assert!(here.run(&["verify", "elsewhere"]).says(OK).ends_with("every invariant holds\n"));

    // Both have gone on from the backup's last frame: it can follow one of them.
    let third: Value =
        serde_json::from_str(&here.run(&["backup", "copy", "--data-dir", "elsewhere", "--json"]).says(OK)).unwrap();
    assert!(frame(&third) > frame(&second));
    here.run(&["backup", "copy"]).fails(FAILED, "Use another directory");
    here.run(&["restore", "copy", "--check"]).says(OK);
}

#[test]
fn a_backup_that_was_killed_is_none_and_is_gone_on_with() {
    let here = shop(SMALL);
    let serving = Serving::start(&here, &[]);
    let load = Load::start(&serving);
    let data = here.dir().join("stampede-data");
    wait_until(|| segments(&data) > 40);
    killed_when(&here, 3);
    here.run(&["restore", "copy", "elsewhere"]).fails(FAILED, "no backup was finished here");
    assert!(!here.dir().join("elsewhere").exists());
    let first = backup(&here, "copy");
    assert!(first["segments_copied"].as_u64() < first["last_segment"].as_u64(), "it went on: {first}");

    wait_until(|| segments(&data) > segments(&here.dir().join("copy")) + 40);
    killed_when(&here, segments(&here.dir().join("copy")) + 3);
    let checked: Value = serde_json::from_str(&here.run(&["restore", "copy", "--check", "--json"]).says(OK)).unwrap();
    assert_eq!(checked["ends_with"], first["ends_with"], "the one from before still holds");

    let before = load.acknowledged();
    backup(&here, "copy");
    load.stop();
    assert_eq!(serving.stop(), OK);
    here.run(&["restore", "copy", "elsewhere"]).says(OK);
    let restored = Serving::start(&here, &["--data-dir", "elsewhere"]);
    replays(&restored, &before);
    assert_eq!(restored.stop(), OK);
    assert!(here.run(&["verify", "elsewhere"]).says(OK).ends_with("every invariant holds\n"));
}

#[test]
fn a_history_that_begins_later_is_restored_from_its_full_checkpoint() {
    let here = shop(&SMALL.replace("[log]\n", "[log]\narchive-max-age = \"1s\"\n"));
    let serving = Serving::start(&here, &[]);
    let load = Load::start(&serving);
    let data = here.dir().join("stampede-data");
    wait_until(|| first_segment(&data) > 10);
    let before = load.acknowledged();
    let taken = backup(&here, "copy");
    assert!(taken["begins_after"]["record"].as_u64().unwrap() > 0, "{taken}");
    let last = taken["last_segment"].as_u64().unwrap();
    wait_until(|| first_segment(&data) > last);
    here.run(&["backup", "copy"]).fails(FAILED, "begin a new backup in another directory");
    load.stop();
    serving.kill();

    here.run(&["restore", "copy", "elsewhere"]).says(OK);
    let report: Value = serde_json::from_str(&here.run(&["verify", "elsewhere", "--json"]).says(OK)).unwrap();
    assert!(report["first"].as_u64() > Some(1) && report["found"] == 0, "{report}");
    let restored = Serving::start(&here, &["--data-dir", "elsewhere"]);
    replays(&restored, &before);
    assert_eq!(restored.stop(), OK);
    assert!(here.run(&["verify", "elsewhere"]).says(OK).ends_with("every invariant holds\n"));
}

#[test]
fn a_damaged_source_is_refused_and_named() {
    let here = stopped();
    let data = here.dir().join("stampede-data");
    let newest = files(&data.join("wal"))
        .into_iter()
        .rfind(|path| path.extension().is_some_and(|end| end == "seg") && std::fs::read(path).unwrap()[4_096] != 0);
    let archive = files(&data.join("archive")).swap_remove(1);
    let checkpoint = files(&data.join("checkpoint")).swap_remove(0);
    for path in [archive, newest.expect("frames that are not archived"), checkpoint, data.join("secret")] {
        let whole = damage(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        // Afresh each time: what is whole in a backup is not copied again, and damage of its source does it no harm.
        let copy = format!("copy-of-{name}");
        here.run(&["backup", &copy]).fails(VIOLATED, name);
        let said: Value = serde_json::from_str(&here.run(&["backup", &copy, "--json"]).stdout).unwrap();
        assert!(said["corrupt"]["file"].as_str().unwrap().ends_with(name), "{said}");
        assert!(said["corrupt"]["offset"].is_u64(), "{said}");
        std::fs::write(&path, whole).unwrap();
        here.run(&["restore", &copy, "--check"]).fails(FAILED, "no backup was finished here");
        backup(&here, &copy);
    }
}

#[test]
fn a_segment_that_is_missing_or_cut_short_in_the_source_is_refused() {
    let here = stopped();
    let data = here.dir().join("stampede-data");
    let archive = files(&data.join("archive")).swap_remove(1);
    let whole = std::fs::read(&archive).unwrap();
    std::fs::remove_file(&archive).unwrap();
    here.run(&["backup", "copy"]).fails(VIOLATED, "000000000002.seg");
    std::fs::write(&archive, &whole[..whole.len() - 4_096]).unwrap();
    here.run(&["backup", "copy"]).fails(VIOLATED, "000000000002.seg.zst");
    std::fs::write(&archive, &whole).unwrap();
    backup(&here, "copy");
}

#[test]
fn a_damaged_backup_is_refused_and_named_and_nothing_is_restored() {
    let here = stopped();
    here.key("ops");
    backup(&here, "copy");
    let copy = here.dir().join("copy");
    let mut paths = files(&copy);
    paths.retain(|path| !path.ends_with("lock") && !path.ends_with("log"));
    let segments = files(&copy.join("archive"));
    paths.extend([segments[0].clone(), segments[segments.len() - 1].clone()]);
    paths.extend(files(&copy.join("tail")).into_iter().chain(files(&copy.join("checkpoint"))));
    assert!(paths.len() >= 7, "manifest, secret, keys, segments, checkpoints: {paths:?}");
    for path in paths {
        let whole = damage(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        here.run(&["restore", "copy", "elsewhere"]).fails(VIOLATED, name);
        std::fs::remove_file(&path).unwrap();
        let missing = here.run(&["restore", "copy", "elsewhere"]);
        let code = if name == "backup.json" { FAILED } else { VIOLATED };
        assert_eq!(missing.code, code, "{name}: {}", missing.stderr);
        assert!(!here.dir().join("elsewhere").exists());
        std::fs::write(&path, whole).unwrap();
    }
    let whole = damage(&segments[1]);
    here.run(&["restore", "copy", "--check"]).fails(VIOLATED, "000000000002.seg.zst at offset");
    std::fs::write(&segments[1], whole).unwrap();
    here.run(&["restore", "copy", "elsewhere"]).says(OK);
}

#[test]
fn what_would_be_wrong_is_refused_and_changes_nothing() {
    let here = stopped();
    here.run(&["backup", "copy", "--data-dir", "nowhere"]).fails(FAILED, "there is no log in this directory");
    assert!(!here.dir().join("copy").exists());
    here.run(&["restore", "copy"]).fails(USAGE, "DIR");
    here.run(&["restore", "copy", "elsewhere"]).fails(FAILED, "no backup was finished here");

    std::fs::create_dir(here.dir().join("mine")).unwrap();
    here.write("mine/letter.txt", "dear");
    here.run(&["backup", "mine"]).fails(FAILED, "holds something else than a backup");
    here.run(&["backup", "stampede-data"]).fails(FAILED, "holds something else than a backup");
    backup(&here, "copy");
    here.run(&["restore", "copy", "mine"]).fails(FAILED, "is not empty: nothing was restored");
    assert_eq!(names(&here.dir().join("mine")), ["letter.txt"]);
    std::fs::create_dir(here.dir().join("empty")).unwrap();
    here.run(&["restore", "copy", "empty"]).says(OK);

    let lock = File::open(here.dir().join("copy/lock")).unwrap();
    lock.try_lock().unwrap();
    here.run(&["backup", "copy"]).fails(FAILED, "is in use by another process");
    here.run(&["restore", "copy", "other"]).fails(FAILED, "is in use by another process");
    drop(lock);

    here.run(&["import", "stock.csv", "--data-dir", "another"]).says(OK);
    let held = std::fs::read(here.dir().join("copy/backup.json")).unwrap();
    here.run(&["backup", "copy", "--data-dir", "another"]).fails(FAILED, "holds the backup of another log");
    assert_eq!(std::fs::read(here.dir().join("copy/backup.json")).unwrap(), held);

    here.write("stampede-data/mirror", &format!("{:032x}\n", 7));
    here.run(&["backup", "copy"]).fails(FAILED, "stampede fetch");
}

#[test]
fn a_restore_that_was_interrupted_is_no_data_directory() {
    let here = stopped();
    backup(&here, "copy");
    here.run(&["restore", "copy", "elsewhere"]).says(OK);
    for copy in ["superblock.0", "superblock.1"] {
        std::fs::remove_file(here.dir().join("elsewhere").join(copy)).unwrap();
    }
    let serve = ["serve", "--data-dir", "elsewhere", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0"];
    here.run(&serve).fails(VIOLATED, "superblock");
    here.run(&["restore", "copy", "elsewhere"]).fails(FAILED, "is not empty");

    // Cut off before the first segment had a name, it has left nothing but empty folders and a mark.
    std::fs::create_dir_all(here.dir().join("early/wal")).unwrap();
    std::fs::write(here.dir().join("early/restoring"), "").unwrap();
    let serve = ["serve", "--data-dir", "early", "--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0"];
    here.run(&serve).fails(FAILED, "a restore into the data directory was cut off");
    assert!(!here.dir().join("early/superblock.0").exists(), "no log was begun");
    here.run(&["restore", "copy", "early"]).fails(FAILED, "is not empty");
    here.run(&["restore", "copy", "whole"]).says(OK);
    assert!(!here.dir().join("whole/restoring").exists());
}

/// A directory with stock and these settings.
fn shop(settings: &str) -> Here {
    let here = Here::new();
    here.write("stampede.toml", settings);
    let stock =
        "sku,seller,location,units,price,currency\ntee,acme,berlin,900000,9.99,EUR\nmug,acme,berlin,900000,5.00,EUR\n";
    here.write("stock.csv", stock);
    here.run(&["import", "stock.csv"]).says(OK);
    here
}

/// The same, after some orders, with archives, checkpoints and frames that are not archived.
fn stopped() -> Here {
    let here = shop(SMALL);
    let serving = Serving::start(&here, &[]);
    let load = Load::start(&serving);
    // The second segment is in the archive alone: its file in wal/ has been used again.
    let reused = here.dir().join("stampede-data/wal/000000000002.seg");
    wait_until(|| segments(&here.dir().join("stampede-data")) > 3 && !reused.exists());
    load.stop();
    place(&serving.api, "the-last").expect("an order");
    assert_eq!(serving.stop(), OK);
    here
}

#[track_caller]
fn backup(here: &Here, out: &str) -> Value {
    serde_json::from_str(&here.run(&["backup", out, "--json"]).says(OK)).unwrap()
}

fn frame(taken: &Value) -> u64 {
    taken["ends_with"]["frame"].as_u64().unwrap()
}

/// Starts a backup and kills it once it has so many segments.
fn killed_when(here: &Here, has: usize) {
    let copy = here.dir().join("copy");
    let held = std::fs::read(copy.join("backup.json")).ok();
    let mut child = here.command().args(["backup", "copy"]).stdout(Stdio::null()).spawn().unwrap();
    while segments(&copy) < has {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it had {has} segments");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read(copy.join("backup.json")).ok(), held, "it was killed before it had finished");
}

/// Every order is there, and its request gets the same answer.
#[track_caller]
fn replays(serving: &Serving, acknowledged: &[(String, String)]) {
    assert!(acknowledged.len() > 30, "{}", acknowledged.len());
    for (key, body) in acknowledged {
        let answer = post(&serving.api, key).unwrap();
        assert!(answer.to_lowercase().contains("idempotency-replayed: true"), "{key}: {answer}");
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body, "{key}");
        let order: Value = serde_json::from_str(body).unwrap();
        let order = order["order"].as_str().unwrap();
        assert_eq!(serving.json("GET", &format!("/v1/orders/{order}"), None)["order"], order);
    }
}

/// Buyers who order until they are told to stop, and what was acknowledged to them: key and body.
struct Load {
    acknowledged: Arc<Mutex<Vec<(String, String)>>>,
    over: Arc<AtomicBool>,
    buyers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(serving: &Serving) -> Load {
        let (acknowledged, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let buyers = (0..4).map(|buyer| {
            let (acknowledged, over, api) = (Arc::clone(&acknowledged), Arc::clone(&over), serving.api.clone());
            std::thread::spawn(move || {
                for visit in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("key-{buyer}-{visit}");
                    if let Some(body) = place(&api, &key) {
                        acknowledged.lock().unwrap().push((key, body));
                    }
                }
            })
        });
        let buyers = buyers.collect();
        Load { acknowledged, over, buyers }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    fn acknowledged(&self) -> Vec<(String, String)> {
        self.acknowledged.lock().unwrap().clone()
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        for buyer in self.buyers {
            buyer.join().unwrap();
        }
    }
}

/// Places an order; the body of its 201.
fn place(api: &str, key: &str) -> Option<String> {
    let answer = post(api, key)?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 201").then(|| body.to_owned())
}

/// `None`: the server is not there.
fn post(api: &str, key: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(api).ok()?;
    let body =
        r#"{"buyer":"buyer-1","payment_token":"tok_ok","lines":[{"sku":"tee","units":1},{"sku":"mug","units":2}]}"#;
    let head = "POST /v1/orders HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let length = body.len();
    write!(stream, "{head}Idempotency-Key: \"{key}\"\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Archived segments, of a data directory or a backup.
fn segments(dir: &Path) -> usize {
    names(&dir.join("archive")).iter().filter(|name| name.ends_with(".zst")).count()
}

/// Number of the oldest one; 0 while there is none.
fn first_segment(dir: &Path) -> u64 {
    let names = names(&dir.join("archive"));
    names.iter().find_map(|name| name.strip_suffix(".seg.zst")?.parse().ok()).unwrap_or(0)
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files in a directory, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    names(dir).iter().map(|name| dir.join(name)).filter(|path| path.is_file()).collect()
}

/// Flips a bit where it counts, and answers what was there.
fn damage(path: &Path) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    let mut bytes = whole.clone();
    // Segments and archives begin with a block of which little is used. The last segment may have no frame yet, or one that
    // ends early in its block.
    let at = match bytes.len() > 4_400 && !path.ends_with("backup.json") {
        true if path.parent().unwrap().ends_with("tail") => 100,
        true if path.parent().unwrap().ends_with("wal") => 4_096 + 60,
        true => 4_096 + 220,
        false => bytes.len() / 2,
    };
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
    whole
}
