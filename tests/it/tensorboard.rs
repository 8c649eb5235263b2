//! Event files read back by a reader of this file's own.

use std::collections::BTreeMap;

use crate::common::Place;

const RUN: &str = "ring/rad/seed-0/events.out.tfevents.0.mdn";

/// CRC-32C bit by bit, as the polynomial says it.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    !crc
}

fn take<'b>(from: &mut &'b [u8], n: usize) -> &'b [u8] {
    let (head, tail) = from.split_at(n);
    *from = tail;
    head
}

/// What follows `bytes` must be its checksum, turned by 15 bits and shifted.
fn check(bytes: &[u8], rest: &mut &[u8]) {
    let stored = u32::from_le_bytes(take(rest, 4).try_into().unwrap());
    let crc = crc32c(bytes);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    assert_eq!(stored, masked);
}

fn varint(from: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(from, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of a message by number, those of fixed width and numbers as bytes.
fn fields(mut message: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let mut found = BTreeMap::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let bytes = match key & 7 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            1 => take(&mut message, 8).to_vec(),
            2 => {
                let n = varint(&mut message) as usize;
                take(&mut message, n).to_vec()
            }
            5 => take(&mut message, 4).to_vec(),
            kind => panic!("wire type {kind}"),
        };
        found.insert(key >> 3, bytes);
    }
    found
}

/// Every scalar as tag, step and value; all events have this time.
fn scalars(mut file: &[u8], time: f64) -> Vec<(String, u64, f32)> {
    let mut found = Vec::new();
    let mut first = true;
    while !file.is_empty() {
        let length = take(&mut file, 8);
        check(length, &mut file);
        let n = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let content = take(&mut file, n);
        check(content, &mut file);
        let event = fields(content);
        assert_eq!(f64::from_le_bytes(event[&1][..].try_into().unwrap()), time);
        if std::mem::take(&mut first) {
            assert_eq!(event[&3], b"brain.Event:2");
            continue;
        }
        let step = event
            .get(&2)
            .map_or(0, |s| u64::from_le_bytes(s[..].try_into().unwrap()));
        let value = fields(&fields(&event[&5])[&1]);
        let tag = String::from_utf8(value[&1].clone()).unwrap();
        found.push((
            tag,
            step,
            f32::from_le_bytes(value[&2][..].try_into().unwrap()),
        ));
    }
    assert!(!first, "an empty file");
    found
}

fn started(place: &Place) -> f64 {
    let text = place.read("results/ring/ring/rad/seed-0/environment.toml");
    let line = text.lines().find_map(|l| l.strip_prefix("started = "));
    let time = humantime::parse_rfc3339(line.unwrap().trim_matches('"')).unwrap();
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

#[test]
fn the_reader_knows_the_checksum() {
    // RFC 3720, B.4, and the catalogue of parametrised CRC algorithms.
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn an_event_file_holds_the_curves_and_metrics_of_its_run() {
    let place = Place::new();
    place.mdn(&["train", "ring.toml", "--threads", "1"]).fine();
    let export = |to: &str| {
        place
            .mdn(&["export", "results", "--tensorboard", to])
            .fine()
    };
    let written = export("board");
    assert_eq!(written.lines().count(), 4, "{written}");
    assert!(written.contains(&format!("board/{RUN}\n")), "{written}");
    let file = place.bytes(&format!("board/{RUN}"));
    let found = scalars(&file, started(&place));
    // The run writes doubles, the format has singles.
    let single = |text: &str| text.parse::<f64>().unwrap() as f32;
    let history = place.read("results/ring/ring/rad/seed-0/history.csv");
    let mut expected = Vec::new();
    for line in history.lines().skip(1) {
        let cells: Vec<_> = line.split(',').collect();
        let step: u64 = cells[0].parse().unwrap();
        expected.push((format!("{}/loss", cells[1]), step, single(cells[2])));
        if !cells[3].is_empty() {
            expected.push((format!("{}/grad_norm", cells[1]), step, single(cells[3])));
        }
    }
    assert!(
        expected.iter().any(|e| e.0 == "validation/loss"),
        "{expected:?}"
    );
    assert!(
        expected.iter().any(|e| e.0 == "train/grad_norm"),
        "{expected:?}"
    );
    assert_eq!(found[..expected.len()], expected);
    let metrics = place.read("results/ring/ring/rad/seed-0/metrics.csv");
    let kl = metrics.lines().find(|l| l.starts_with("kl,")).unwrap();
    let cells: Vec<f32> = kl.split(',').skip(3).take(2).map(single).collect();
    let last = |tag: &str| {
        let found = found.iter().find(|s| s.0 == tag);
        found
            .map(|s| (s.1, s.2))
            .unwrap_or_else(|| panic!("no {tag}"))
    };
    assert_eq!(last("metrics/kl"), (30, cells[0]));
    assert_eq!(last("std_err/kl"), (30, cells[1]));
    assert_eq!(last("metrics/steps").1, 30.0);

    export("again");
    assert!(file == place.bytes(&format!("again/{RUN}")));
    export("board");
    assert!(file == place.bytes(&format!("board/{RUN}")));
}

#[test]
fn rounds_are_exported_and_names_that_clash_are_refused() {
    let place = Place::new();
    place.mdn(&["train", "ring.toml", "--index", "2"]).fine();
    let run = "results/ring/ring/rad/seed-0";
    let head = "step,entropy,entropy_std_err,accepted,penalty,statistic,target,mean,std_err,\
                std_dev,multiplier,exact\n";
    let rounds = format!("{head}10,2.5,0.5,no,10,x^2,1,1.25,0.125,1,-0.5,\n");
    place.write(&format!("{run}/rounds.csv"), &rounds);
    place.mdn(&["export", run, "--tensorboard", "board"]).fine();
    let found = scalars(&place.bytes(&format!("board/{RUN}")), started(&place));
    for (tag, value) in [
        ("rounds/entropy", 2.5),
        ("rounds/entropy_std_err", 0.5),
        ("rounds/x^2/off", 0.25),
        ("rounds/x^2/multiplier", -0.5),
    ] {
        assert!(
            found.contains(&(tag.to_owned(), 10, value)),
            "{tag}: {found:?}"
        );
    }
    // The same experiment in another place, and another experiment.
    place
        .mdn(&["train", "ring.toml", "--index", "2", "--out", "other"])
        .fine();
    place
        .mdn(&["export", "results", "other", "--tensorboard", "both"])
        .refused("got `ring/rad/seed-0` twice");
    assert!(!place.path("both").exists());
    place
        .mdn(&["train", "ring.toml", "name=second", "--index", "2"])
        .fine();
    let both = place
        .mdn(&["export", "results", "--tensorboard", "both"])
        .fine();
    for name in ["ring", "second"] {
        assert!(both.contains(&format!("both/{name}/{RUN}\n")), "{both}");
    }
    place.mdn(&["export", run]).refused("--tensorboard <DIR>");
    place.write("empty/x", "");
    place
        .mdn(&["export", "empty", "--tensorboard", "board"])
        .refused("empty: expected the folder of a run, or one above several; found none");
}
