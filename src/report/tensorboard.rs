//! A run's numbers as a TensorBoard event file.
//!
//! The file is a sequence of records, each with checksums (`tensorflow/core/lib/io/record_writer.h`):
//! length as u64, masked CRC-32C of the length, content, masked CRC-32C of the content, all little
//! endian. The content is a protocol buffer `Event` (`tensorflow/core/util/event.proto`), here with a
//! time and either the version of the format, or a step and one scalar.

use std::time::UNIX_EPOCH;

use crc::{Crc, CRC_32_ISCSI};

use crate::experiment::store::{unusable, RunDir};
use mdn_core::Result;

/// TensorBoard reads files with `tfevents` in their names.
pub const FILE: &str = "events.out.tfevents.0.mdn";

const VERSION: &[u8] = b"brain.Event:2";
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

// Wire types: the low three bits of a field's key.
const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const LENGTH_FIRST: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// A tag, a step and a value.
type Scalar = (String, usize, f64);

/// The event file of the run in `place`: losses and gradient norms by step, `rounds/...` by the step at the
/// end of each round, and at the last step the metrics that apply and their standard errors.
///
/// Every event has the time at which the run began (0 if unknown): the bytes depend on the run alone.
///
/// # Errors
/// For files of the run that are damaged.
pub fn event_file(place: &RunDir) -> Result<Vec<u8>> {
    let environment = place.read_environment()?;
    let started = environment.map_or(Ok(0.0), |e| seconds(place, &e.started))?;
    Ok(encode(started, &scalars(place)?))
}

/// Seconds from 1970 to a time as RFC 3339 has it.
fn seconds(place: &RunDir, time: &str) -> Result<f64> {
    let parsed = humantime::parse_rfc3339(time).ok();
    let since = parsed.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    since.map(|d| d.as_secs_f64()).ok_or_else(|| {
        let expected = "expected a time such as 2026-01-31T12:00:00Z";
        let why = format!("`started`: {expected}; got `{time}`");
        unusable(&place.path("environment.toml"), why)
    })
}

fn scalars(place: &RunDir) -> Result<Vec<Scalar>> {
    let mut all = Vec::new();
    let mut add = |tag: String, step: usize, value: f64| all.push((tag, step, value));
    let mut last = 0;
    if place.path("history.csv").exists() {
        for row in place.read_history()? {
            let split = row.split.word();
            add(format!("{split}/loss"), row.step, row.loss);
            if let Some(norm) = row.grad_norm {
                add(format!("{split}/grad_norm"), row.step, norm);
            }
            last = last.max(row.step);
        }
    }
    for (step, round) in place.read_rounds()? {
        let mut add = |name: &str, value| add(format!("rounds/{name}"), step, value);
        add("entropy", round.entropy);
        add("entropy_std_err", round.entropy_std_err);
        add("penalty", round.penalty);
        for c in round.constraints {
            let name = c.statistic;
            add(&format!("{name}/off"), c.mean - c.target);
            add(&format!("{name}/std_err"), c.std_err);
            add(&format!("{name}/multiplier"), c.multiplier);
        }
        last = last.max(step);
    }
    if place.path("metrics.csv").exists() {
        for row in place.read_metrics()? {
            if let Some(value) = row.value {
                add(format!("metrics/{}", row.metric), last, value);
            }
            if let Some(std_err) = row.std_err {
                add(format!("std_err/{}", row.metric), last, std_err);
            }
        }
    }
    Ok(all)
}

fn encode(time: f64, scalars: &[Scalar]) -> Vec<u8> {
    let mut at_time = Vec::new();
    key(&mut at_time, 1, EIGHT_BYTES);
    at_time.extend(time.to_le_bytes());
    let mut file = Vec::new();
    let mut event = at_time.clone();
    bytes_field(&mut event, 3, VERSION);
    record(&mut file, &event);
    for (tag, step, number) in scalars {
        let mut value = Vec::new();
        bytes_field(&mut value, 1, tag.as_bytes());
        key(&mut value, 2, FOUR_BYTES);
        value.extend((*number as f32).to_le_bytes());
        let mut summary = Vec::new();
        bytes_field(&mut summary, 1, &value);
        let mut event = at_time.clone();
        // Protocol buffers leave out zeros.
        if *step > 0 {
            key(&mut event, 2, VARINT);
            varint(&mut event, *step as u64);
        }
        bytes_field(&mut event, 5, &summary);
        record(&mut file, &event);
    }
    file
}

fn key(to: &mut Vec<u8>, field: u8, kind: u8) {
    to.push(field << 3 | kind);
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn bytes_field(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    key(to, field, LENGTH_FIRST);
    varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn record(to: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u64).to_le_bytes();
    to.extend(length);
    to.extend(masked(&length).to_le_bytes());
    to.extend_from_slice(content);
    to.extend(masked(content).to_le_bytes());
}

/// A checksum that may itself be part of data with a checksum.
fn masked(bytes: &[u8]) -> u32 {
    let sum = CASTAGNOLI.checksum(bytes);
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::store::{Environment, MetricRow};

    /// What tensorboard 2.21.0 writes for these events (`RecordWriter` of `event_pb2.Event`s).
    const WRITTEN: &str =
        "1800000000000000a37f4b2209000000406e55da411a0d627261696e2e4576656e743a32\
        c3486dfc1e00000000000000d9dc123209000000406e55da412a130a110a0a747261696e2f6c6f737315000020\
        40b27629eb2100000000000000017becf609000000406e55da4110ac022a130a110a0a747261696e2f6c6f7373\
        15cdccccbd0ea0b7b3220000000000000078113dfd09000000406e55da4110f0a2042a130a110a0a6d65747269\
        63732f6b6c150000807fe9a88479";

    #[test]
    fn events_are_the_bytes_of_tensorboard_itself() {
        let scalars = [
            ("train/loss", 0, 2.5),
            ("train/loss", 300, -0.1),
            ("metrics/kl", 70_000, f64::INFINITY),
        ];
        let scalars = scalars.map(|(tag, step, value)| (tag.to_owned(), step, value));
        let bytes = encode(1_767_225_600.0, &scalars);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, WRITTEN);
    }

    #[test]
    fn metrics_without_a_value_are_left_out_and_a_bad_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        let metric = |metric: &str, value| MetricRow {
            metric: metric.into(),
            value,
            ..MetricRow::default()
        };
        let metrics = [metric("kl", Some(0.25)), metric("nll", None)];
        run.write_metrics(&metrics).unwrap();
        run.write_costs(&[]).unwrap();
        let found = scalars(&run).unwrap();
        let tags: Vec<_> = found.iter().map(|s| s.0.as_str()).collect();
        assert_eq!(tags, ["metrics/kl"]);
        // The time is the first field of the first record; it is 0 where it is not known.
        let time = |bytes: &[u8]| f64::from_le_bytes(bytes[13..21].try_into().unwrap());
        assert_eq!(time(&event_file(&run).unwrap()), 0.0);
        let environment = Environment {
            started: "yesterday".into(),
            ..Environment::default()
        };
        run.write_environment(&environment).unwrap();
        let why = event_file(&run).unwrap_err().to_string();
        assert!(why.contains("`started`: expected a time"), "{why}");
    }
}
