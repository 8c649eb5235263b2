//! What is done with a run that is trained: samples, densities, figures, a comparison, event files.

use std::collections::BTreeMap;

use crate::common::{assert_contains, files, one_trained, Place, RAD};

#[test]
fn samples_repeat_and_have_the_density_that_is_said() {
    let place = one_trained();
    let text = place.mdn(&format!("sample {RAD} -n 50 --seed 3")).fine();
    assert_eq!(text.lines().next(), Some("x1,x2"));
    assert_eq!(text.lines().count(), 51);
    place
        .mdn(&format!("sample {RAD} -n 50 --seed 3 -o s.csv"))
        .fine();
    assert_eq!(place.read("s.csv"), text);
    let other = place.mdn(&format!("sample {RAD} -n 50 --seed 4")).fine();
    assert_ne!(other, text);

    // Every line of `before` with one more cell.
    let added = |before: &str, after: &str| -> Vec<String> {
        let lines = before.lines().zip(after.lines());
        let cells = lines.map(|(a, b)| b.strip_prefix(a)?.strip_prefix(','));
        let cells: Option<Vec<_>> = cells.map(|c| Some(c?.to_owned())).collect();
        cells.unwrap_or_else(|| panic!("{before}\n{after}"))
    };
    let density = place.mdn(&format!("density {RAD} s.csv")).fine();
    let values = added(&text, &density);
    assert_eq!((values[0].as_str(), values.len()), ("log_density", 51));
    let finite = |v: &String| v.parse().is_ok_and(f64::is_finite);
    assert!(values[1..].iter().all(finite), "{values:?}");
    let from_stdin = place.mdn_with_stdin(&format!("density {RAD} - -o d.csv"), &text);
    from_stdin.fine();
    assert_eq!(place.read("d.csv"), density);

    let parts = place.mdn(&format!("density {RAD} s.csv --parts")).fine();
    let parts = added(&density, &parts);
    assert_eq!(parts[0], "part");
    let whole = |p: &String| p.parse::<u64>().is_ok();
    assert!(parts[1..].iter().all(whole), "{parts:?}");

    place.write("three.csv", "x1,x2,x3\n1,2,3\n");
    let message = "three.csv:2: expected 2 values, one per coordinate of the model; got 3";
    place.refuses(&format!(
        "
        density {RAD} three.csv => {message}
        "
    ));
    let lost = place.mdn(&format!("sample {RAD} -n 5 -o ring.toml/x.csv"));
    lost.failed(1, "ring.toml");
}

#[test]
fn a_damaged_run_is_refused() {
    let place = one_trained();
    let config = format!("{RAD}/config.toml");
    let weights = format!("{RAD}/model.safetensors");
    let refused = |why: &str| place.mdn(&format!("sample {RAD} -n 5")).refused(why);
    let whole = place.read(&config);
    // Settings of a smaller model, or of another precision, must not read these weights.
    for (was, now, why) in [
        ("layers = 2", "layers = 1", "got one more"),
        ("\"f32\"", "\"f64\"", "expected numbers in F64"),
    ] {
        assert!(whole.contains(was));
        place.write(&config, whole.replace(was, now));
        refused(why);
    }
    place.write(&config, &whole);
    let mut bytes = place.bytes(&weights);
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    place.write(&weights, bytes);
    refused("model.safetensors: expected a whole file; got a damaged one, whose checksum");
    place.write(&weights, "no weights");
    refused("model.safetensors");
}

#[test]
fn figures_are_drawn_again_without_the_model() {
    let place = one_trained();
    let figure = format!("{RAD}/density.png");
    place.remove(&figure);
    place.remove(&format!("{RAD}/model.safetensors"));
    // Not through a link.
    #[cfg(unix)]
    {
        for name in ["status", "config.toml"] {
            place.write(
                &format!("elsewhere/{name}"),
                place.bytes(&format!("{RAD}/{name}")),
            );
        }
        let link = place.path("results/ring/link");
        std::os::unix::fs::symlink(place.path("elsewhere"), link).expect("a link");
    }
    for folder in [RAD, "results/ring", "results"] {
        let said = place.mdn(&format!("plot {folder}")).fine();
        assert!(said.contains("density.png"), "{said}");
        assert!(said.lines().all(|l| l.starts_with(RAD)), "{said}");
        assert_eq!(&place.bytes(&figure)[1..4], b"PNG");
    }
    let said = place.mdn(&format!("plot {RAD} --format svg")).fine();
    assert!(
        said.contains("density.svg") && !said.contains("png"),
        "{said}"
    );
    let drawn = place.read(&format!("{RAD}/density.svg"));
    assert!(drawn.starts_with("<svg "));
}

#[test]
fn compare_trains_what_is_missing_and_reports() {
    let place = one_trained();
    let said = place.mdn("compare ring.toml");
    assert_eq!(said.code, 0, "{said:#?}");
    // Two seeds are few.
    assert_contains(&said.err, &["1 of 4 runs ended before", "warning: "]);
    assert_contains(&said.out, &["plain", "rad"]);
    for name in "runs.csv summary.csv pairs.csv ranks.csv summary.md report.html".split(' ') {
        assert!(place.path("results/ring").join(name).is_file(), "{name}");
    }
    assert!(!files(&place.path("results/ring/figures")).is_empty());

    let again = place.mdn("compare ring.toml --no-train -q");
    assert!(again.err.lines().all(|l| l.starts_with("warning: ")));
    assert_eq!(again.fine(), said.out);

    let overview = place.mdn("compare ring.toml --no-train --figures=overview");
    assert_eq!(overview.fine(), said.out);
    let left = files(&place.path("results/ring/figures"));
    let names: Vec<_> = left.iter().filter_map(|f| f.file_stem()).collect();
    assert!(names.iter().any(|n| *n == "cost"), "{names:?}");
    assert!(!names.iter().any(|n| n.to_string_lossy().ends_with("-ring")));
    let page = place.read("results/ring/summary.md");
    assert!(page.contains("](figures/cost.png)") && !page.contains("-ring.png"));

    let one = place.mdn("compare ring.toml --no-train --model rad");
    let table = one.fine_with_note("the reference `plain` is not");
    assert!(!table.contains("plain "));
}

/// Reads event files without the code that writes them.
struct EventReader<'b>(&'b [u8]);

/// CRC-32C bit by bit, from its polynomial.
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

impl<'b> EventReader<'b> {
    fn take(&mut self, n: usize) -> &'b [u8] {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }

    fn four(&mut self) -> [u8; 4] {
        self.take(4).try_into().unwrap()
    }

    fn eight(&mut self) -> [u8; 8] {
        self.take(8).try_into().unwrap()
    }

    /// Bytes that are followed by their checksum, rotated by 15 bits and shifted.
    fn checked(&mut self, n: usize) -> &'b [u8] {
        let bytes = self.take(n);
        let masked = crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(u32::from_le_bytes(self.four()), masked);
        bytes
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// The fields of a message by number; numbers as their bytes.
    fn fields(mut self) -> BTreeMap<u64, Vec<u8>> {
        let mut found = BTreeMap::new();
        while !self.0.is_empty() {
            let key = self.varint();
            let bytes = match key & 7 {
                0 => self.varint().to_le_bytes().to_vec(),
                1 => self.eight().to_vec(),
                2 => {
                    let n = self.varint() as usize;
                    self.take(n).to_vec()
                }
                5 => self.four().to_vec(),
                kind => panic!("wire type {kind}"),
            };
            found.insert(key >> 3, bytes);
        }
        found
    }
}

/// Every scalar of an event file as tag, step and value; all events have this time.
fn scalars(file: &[u8], time: f64) -> Vec<(String, u64, f32)> {
    let mut file = EventReader(file);
    let mut found = Vec::new();
    let mut versions = 0;
    while !file.0.is_empty() {
        let length = file.checked(8);
        let n = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let event = EventReader(file.checked(n)).fields();
        assert_eq!(EventReader(&event[&1]).eight(), time.to_le_bytes());
        if let Some(version) = event.get(&3) {
            assert_eq!(
                (version.as_slice(), found.len()),
                (&b"brain.Event:2"[..], 0)
            );
            versions += 1;
            continue;
        }
        let step = event.get(&2).map_or([0; 8], |s| EventReader(s).eight());
        let value = EventReader(&EventReader(&event[&5]).fields()[&1]).fields();
        found.push((
            String::from_utf8(value[&1].clone()).unwrap(),
            u64::from_le_bytes(step),
            f32::from_le_bytes(EventReader(&value[&2]).four()),
        ));
    }
    assert_eq!(versions, 1);
    found
}

const EVENTS: &str = "ring/rad/seed-0/events.out.tfevents.0.mdn";

/// When the run began, in seconds.
fn started(place: &Place) -> f64 {
    let text = place.read(&format!("{RAD}/environment.toml"));
    let line = text.lines().find_map(|l| l.strip_prefix("started = "));
    let time = humantime::parse_rfc3339(line.unwrap().trim_matches('"')).unwrap();
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

#[test]
fn the_reader_of_event_files_knows_the_checksum() {
    // RFC 3720, B.4, and the catalogue of parametrised CRC algorithms.
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn an_event_file_holds_the_curves_and_metrics_of_its_run() {
    let place = one_trained();
    let export = |to: &str| {
        place
            .mdn(&format!("export results --tensorboard {to}"))
            .fine()
    };
    assert_eq!(export("board"), format!("board/{EVENTS}\n"));
    let file = place.bytes(&format!("board/{EVENTS}"));
    let found = scalars(&file, started(&place));
    // The run writes doubles, the format has singles.
    let single = |text: &str| text.parse::<f64>().unwrap() as f32;
    let mut expected = Vec::new();
    for row in place.csv(&format!("{RAD}/history.csv")) {
        for column in ["loss", "grad_norm"] {
            if !row[column].is_empty() {
                let tag = format!("{}/{column}", row["split"]);
                expected.push((tag, row["step"].parse().unwrap(), single(&row[column])));
            }
        }
    }
    for tag in ["validation/loss", "train/grad_norm"] {
        assert!(expected.iter().any(|e| e.0 == tag), "{expected:?}");
    }
    assert_eq!(found[..expected.len()], expected);
    let kl = place.metric_row(RAD, "kl");
    for (tag, value) in [
        ("metrics/kl", single(&kl["value"])),
        ("std_err/kl", single(&kl["std_err"])),
        ("metrics/steps", 30.0),
    ] {
        let scalar = (tag.to_owned(), 30, value);
        assert!(found.contains(&scalar), "{tag}: {found:?}");
    }
    for to in ["again", "board"] {
        export(to);
        assert!(file == place.bytes(&format!("{to}/{EVENTS}")));
    }
}

#[test]
fn rounds_are_exported_and_names_that_clash_are_refused() {
    let place = one_trained();
    let head = "step,entropy,entropy_std_err,accepted,penalty,statistic,target,mean,std_err,\
                std_dev,multiplier,exact\n";
    let rounds = format!("{head}10,2.5,0.5,no,10,x^2,1,1.25,0.125,1,-0.5,\n");
    place.write(&format!("{RAD}/rounds.csv"), &rounds);
    place
        .mdn(&format!("export {RAD} --tensorboard board"))
        .fine();
    let found = scalars(&place.bytes(&format!("board/{EVENTS}")), started(&place));
    for (tag, value) in [
        ("rounds/entropy", 2.5),
        ("rounds/entropy_std_err", 0.5),
        ("rounds/x^2/off", 0.25),
        ("rounds/x^2/multiplier", -0.5),
    ] {
        let scalar = (tag.to_owned(), 10, value);
        assert!(found.contains(&scalar), "{tag}: {found:?}");
    }
    // The same experiment in another place, and another experiment.
    place.mdn("train ring.toml --index 2 --out other").fine();
    place.write("empty/x", "");
    let none = "empty: expected the folder of a run, or one above several; found none";
    place.refuses(&format!(
        "
        export results other --tensorboard both => got `ring/rad/seed-0` twice
        export results => --tensorboard <DIR>
        export empty --tensorboard board => {none}
        "
    ));
    assert!(!place.exists("both"));
    place.mdn("train ring.toml name=second --index 2").fine();
    let both = place.mdn("export results --tensorboard both").fine();
    for name in ["ring", "second"] {
        assert!(both.contains(&format!("both/{name}/{EVENTS}\n")), "{both}");
    }
}
