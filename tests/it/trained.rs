//! Samples, densities, figures, comparisons and event files of trained runs.

use std::collections::BTreeMap;

use crate::common::{assert_contains, files, one_trained, stub, Place, RAD};

#[test]
fn samples_repeat_and_have_the_density_that_is_said() {
    let place = one_trained();
    let text = place.ok(&format!("sample {RAD} -n 50 --seed 3"));
    assert_eq!(text.lines().next(), Some("x1,x2"));
    assert_eq!(text.lines().count(), 51);
    place.ok(&format!("sample {RAD} -n 50 --seed 3 -o s.csv"));
    assert_eq!(place.read("s.csv"), text);
    let other = place.ok(&format!("sample {RAD} -n 50 --seed 4"));
    assert_ne!(other, text);

    // The cells that `after` adds to the lines of `before`.
    let added = |before: &str, after: &str| -> Vec<String> {
        let lines = before.lines().zip(after.lines());
        let cells = lines.map(|(a, b)| b.strip_prefix(a)?.strip_prefix(','));
        let cells: Option<Vec<_>> = cells.map(|c| Some(c?.to_owned())).collect();
        cells.unwrap_or_else(|| panic!("{before}\n{after}"))
    };
    let density = place.ok(&format!("density {RAD} s.csv"));
    let values = added(&text, &density);
    assert_eq!((values[0].as_str(), values.len()), ("log_density", 51));
    let finite = |v: &String| v.parse().is_ok_and(f64::is_finite);
    assert!(values[1..].iter().all(finite), "{values:?}");
    let from_stdin = place.mdn_with_stdin(&format!("density {RAD} - -o d.csv"), &text);
    from_stdin.fine();
    assert_eq!(place.read("d.csv"), density);

    let parts = place.ok(&format!("density {RAD} s.csv --parts"));
    let parts = added(&density, &parts);
    assert_eq!(parts[0], "part");
    let whole = |p: &String| p.parse::<u64>().is_ok();
    assert!(parts[1..].iter().all(whole), "{parts:?}");

    place.write("three.csv", "1,2,3\n");
    let message = "three.csv: expected 2 values, one for each of `x1`, `x2`; got 3";
    place.refused(&format!("density {RAD} three.csv"), message);
    let lost = place.mdn(&format!("sample {RAD} -n 5 -o ring.toml/x.csv"));
    lost.failed(1, "ring.toml");
}

#[test]
fn a_damaged_run_is_refused() {
    let place = one_trained();
    let config = format!("{RAD}/config.toml");
    let weights = format!("{RAD}/model.safetensors");
    let refused = |why: &str| place.refused(&format!("sample {RAD} -n 5"), why);
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
    // Links are not followed.
    stub(&place, "elsewhere", "rad", "done\n\n");
    #[cfg(unix)]
    {
        let link = place.path("results/ring/link");
        std::os::unix::fs::symlink(place.path("elsewhere"), link).expect("a link");
    }
    for folder in [RAD, "results/ring", "results"] {
        let said = place.ok(&format!("plot {folder}"));
        assert!(said.contains("density.png"), "{said}");
        assert!(said.lines().all(|l| l.starts_with(RAD)), "{said}");
        assert_eq!(&place.bytes(&figure)[1..4], b"PNG");
    }
    let said = place.ok(&format!("plot {RAD} --format svg"));
    assert_contains(&said, &["density.svg"]);
    assert!(!said.contains("png"), "{said}");
    let drawn = place.read(&format!("{RAD}/density.svg"));
    assert!(drawn.starts_with("<svg "));
}

#[test]
fn compare_trains_what_is_missing_and_reports() {
    let place = one_trained();
    let said = place.mdn("compare ring.toml");
    assert_eq!(said.code, 0, "{said:#?}");
    // The warning: two seeds are few.
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

/// Reads event files without the code that writes them, but for the checksum.
struct EventReader<'b>(&'b [u8]);

impl<'b> EventReader<'b> {
    fn take(&mut self, n: usize) -> &'b [u8] {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    /// Bytes that are followed by their checksum, rotated by 15 bits and shifted.
    fn checked(&mut self, n: usize) -> &'b [u8] {
        let bytes = self.take(n);
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(bytes);
        let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(u32::from_le_bytes(self.array()), masked);
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
                1 => self.take(8).to_vec(),
                2 => {
                    let n = self.varint() as usize;
                    self.take(n).to_vec()
                }
                5 => self.take(4).to_vec(),
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
        assert_eq!(EventReader(&event[&1]).array(), time.to_le_bytes());
        if let Some(version) = event.get(&3) {
            assert_eq!(version, b"brain.Event:2");
            assert!(found.is_empty());
            versions += 1;
            continue;
        }
        let step = event.get(&2).map_or([0; 8], |s| EventReader(s).array());
        let value = EventReader(&EventReader(&event[&5]).fields()[&1]).fields();
        found.push((
            String::from_utf8(value[&1].clone()).unwrap(),
            u64::from_le_bytes(step),
            f32::from_le_bytes(EventReader(&value[&2]).array()),
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
fn an_event_file_holds_the_curves_and_metrics_of_its_run() {
    let place = one_trained();
    let export = |to: &str| place.ok(&format!("export results --tensorboard {to}"));
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
    place.ok(&format!("export {RAD} --tensorboard board"));
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
    place.ok("train ring.toml --index 2 --out other");
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
    place.ok("train ring.toml name=second --index 2");
    let both = place.ok("export results --tensorboard both");
    for name in ["ring", "second"] {
        assert!(both.contains(&format!("both/{name}/{EVENTS}\n")), "{both}");
    }
}
