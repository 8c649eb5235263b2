//! Hostile files of data and of runs: every reader gives a value or an error that names the file.

use std::path::{Path, PathBuf};

use crate::common::damage::{cases, damage};
use crate::common::Place;
use candle_core::Device;
use mdn::experiment::plan::RunSpec;
use mdn::experiment::store::{Picture, RunDir};
use mdn::experiment::trained::Trained;
use mdn::experiment::Compute;
use mdn::report::{draw_run, Format};
use mdn_core::data::{DataSpec, FileSpec};
use mdn_core::rng::Rng;
use mdn_kernels::Choice;
use proptest::prelude::*;
use proptest::sample::Index;

/// An array as NumPy writes it.
fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).expect("a short header");
    [
        b"\x93NUMPY\x01\x00",
        &length.to_le_bytes()[..],
        header.as_bytes(),
        data,
    ]
    .concat()
}

fn good_data() -> [(&'static str, Vec<u8>); 3] {
    let points: Vec<f64> = (0..60).map(|i| f64::from(i * i % 37) / 3.0).collect();
    let rows = points.chunks_exact(2);
    let text: String = rows.map(|p| format!("{},{:e},k\n", p[0], p[1])).collect();
    let numbers: Vec<u8> = points.iter().flat_map(|v| v.to_le_bytes()).collect();
    let columns = points
        .iter()
        .flat_map(|v| (*v as f32).to_be_bytes())
        .collect::<Vec<u8>>();
    [
        (
            "points.csv",
            format!("x,\"y, mm\",kind\n{text}").into_bytes(),
        ),
        ("c.npy", npy("<f8", "False", "(30, 2)", &numbers)),
        ("fortran.npy", npy(">f4", "True", "(30, 2)", &columns)),
    ]
}

/// Everything that is done with a file of data before training.
fn open(path: &Path, label: Option<&str>) -> Result<DataSpec, String> {
    let mut file = FileSpec::new(path);
    file.label = label.map(|name| mdn_core::data::Column::Name(name.to_owned()));
    let mut spec = DataSpec::File(file);
    spec.settle().map_err(|e| e.to_string())?;
    spec.build().map_err(|e| e.to_string())?;
    Ok(spec)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn damaged_data_is_read_or_refused(which: Index, damage in damage()) {
        let dir = tempfile::tempdir().expect("a folder");
        let (name, bytes) = which.get(&good_data()).clone();
        let path = dir.path().join(name);
        std::fs::write(&path, damage.done_to(&bytes)).expect("a writable folder");
        if let Err(said) = open(&path, (name == "points.csv").then_some("kind")) {
            prop_assert!(said.len() < 5000, "{said}");
        }
    }
}

#[test]
fn headers_that_promise_what_is_not_there_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("p.npy");
    for (name, bytes) in good_data() {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a writable folder");
        let label = (name == "points.csv").then_some("kind");
        open(&path, label).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for (descr, fortran, shape) in [
        ("<f8", "False", "(1000000000000000000, 2)"),
        ("<f8", "False", "(0, 1000000000000000000)"),
        ("<f8", "True", "(0, 18446744073709551615)"),
        ("<f8", "False", "(1000000000000000000, 0)"),
        ("<f8", "False", "(4294967296, 4294967296)"),
        ("<f8", "False", "(-1, 2)"),
        ("<f8", "False", "(2,)"),
        ("<f8", "False", "()"),
        ("<c16", "False", "(1, 1)"),
        ("<f99999999999999999999", "False", "(1, 1)"),
        ("|O", "False", "(1, 1)"),
        ("", "False", "(1, 1)"),
        ("é", "False", "(1, 1)"),
    ] {
        std::fs::write(&path, npy(descr, fortran, shape, &[0; 16])).expect("a writable folder");
        assert!(open(&path, None).is_err(), "{descr} {shape}");
        std::fs::write(&path, npy(descr, fortran, shape, &[])).expect("a writable folder");
        assert!(open(&path, None).is_err(), "{descr} {shape} without data");
    }
}

/// A run that is done, small.
fn finished() -> (Place, PathBuf) {
    let place = Place::new();
    let base = "models.plain.flow.base.mixture.components=2";
    let only = [
        "--model",
        "plain",
        "--seed",
        "0",
        "--threads",
        "1",
        "train.steps=2",
    ];
    place
        .mdn(&[&["train", "ring.toml", base], &only[..]].concat())
        .fine();
    let run = place.path("results/ring/ring/plain/seed-0");
    (place, run)
}

const READ: [&str; 9] = [
    "status",
    "config.toml",
    "history.csv",
    "metrics.csv",
    "cost.csv",
    "levels.csv",
    "environment.toml",
    "picture.safetensors",
    "model.safetensors",
];

/// What the verbs read of a run; the errors.
fn read_run(run: &RunDir) -> Vec<String> {
    let mut said = Vec::new();
    let mut told = |e: Option<mdn_core::Error>| said.extend(e.map(|e| e.to_string()));
    told(run.read_status().err());
    told(run.read_history().err());
    told(run.read_metrics().err());
    told(run.read_rounds().err());
    told(run.read_levels().err());
    told(run.read_environment().err());
    told(run.read_picture().err());
    told(run.read_checkpoint("").err());
    told(RunSpec::read(&run.path("config.toml")).err());
    let compute = |_| {
        Ok(Compute {
            device: Device::Cpu,
            kernels: Choice::Auto,
        })
    };
    match Trained::load(run, compute) {
        Err(e) => told(Some(e)),
        Ok(trained) => {
            // Other weights are none that anybody can tell; what is made of them must come to an end.
            let _ = trained.sample(3, &mut Rng::new(0));
            let points = vec![vec![0.5; trained.dim()]; 2];
            let _ = trained.log_density(&points);
            let _ = trained.parts(&points);
        }
    }
    said
}

#[test]
fn every_reader_of_a_run_reads_or_names_the_file() {
    let (_place, folder) = finished();
    let run = RunDir(folder.clone());
    assert_eq!(read_run(&run), Vec::<String>::new(), "the run itself");
    let whole = READ.map(|name| std::fs::read(run.path(name)).expect(name));
    let named = folder.display().to_string();
    let strategy = (
        any::<Index>(),
        damage(),
        proptest::option::of(any::<Index>()),
    );
    proptest!(cases(300), |((which, damage, swap) in strategy)| {
        let at = which.index(READ.len());
        // The file, damaged, or another of the run's files in its place.
        let bytes = match swap {
            Some(other) if other.index(4) == 0 => other.get(&whole).clone(),
            _ => damage.done_to(&whole[at]),
        };
        std::fs::write(run.path(READ[at]), bytes).expect("a writable folder");
        let said = read_run(&run);
        std::fs::write(run.path(READ[at]), &whole[at]).expect("a writable folder");
        for said in said {
            prop_assert!(said.contains(&named), "{}: {said}", READ[at]);
        }
    });
}

#[test]
fn a_flipped_bit_in_the_weights_is_refused_by_name() {
    let (place, run) = finished();
    let path = run.join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("weights");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("a writable folder");
    let run = "results/ring/ring/plain/seed-0";
    let said = place.mdn(&["sample", run, "-n", "3"]);
    said.refused("model.safetensors: expected a whole file; got a damaged one, whose checksum");
}

#[test]
fn figures_of_hostile_numbers_come_to_an_end() {
    let (_place, folder) = finished();
    let run = RunDir(folder);
    let good = run
        .read_picture()
        .expect("a picture")
        .expect("two dimensions");
    let hostile = |value: f32, view: (f64, f64)| {
        let mut landing = good.landing.clone().expect("a base");
        landing.z.fill([value, 1.0]);
        landing.label = Some(vec![u32::MAX; landing.z.len()]);
        landing.part = Some((0..landing.z.len() as u32).map(|i| u32::MAX - i).collect());
        Picture {
            view: [view, (-1.0, 1.0)],
            log_q: vec![value; good.log_q.len()],
            part: Some(
                (0..good.log_q.len() as u32)
                    .map(|i| i.wrapping_mul(1 << 20))
                    .collect(),
            ),
            landing: Some(landing),
            ..good.clone()
        }
    };
    for picture in [
        hostile(f32::NAN, (0.0, 5e-324)),
        hostile(3e38, (-1e308, 1e308)),
    ] {
        run.write_picture(&picture).expect("it can be written");
        draw_run(&run, "mdn", Format::Png).expect("figures");
    }
    run.write_picture(&good).expect("it can be written");
    let losses = "1,train,1,,0\n1,validation,-1e300,,0\n90,train,2,,0\n90,validation,nan,,0\n";
    let history = format!("step,split,loss,grad_norm,non_finite\n{losses}");
    std::fs::write(run.path("history.csv"), history).expect("a writable folder");
    draw_run(&run, "mdn", Format::Png).expect("figures");
}

#[cfg(unix)]
#[test]
fn links_in_the_results_folder_that_lead_out_of_it_are_not_followed() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    let away = place.path("away");
    std::fs::create_dir_all(&away).expect("a writable folder");
    std::fs::create_dir_all(place.path("results/ring/ring")).expect("a writable folder");
    symlink(&away, place.path("results/ring/ring/plain")).expect("a link");
    let out = "results/ring/ring/plain: a symbolic link that leads out of results, to ";
    for verb in ["train", "compare"] {
        let said = place.mdn(&[verb, "ring.toml", "--seed", "0", "train.steps=2"]);
        said.refused(out);
    }
    assert_eq!(crate::common::files(&away), Vec::<PathBuf>::new());
    std::fs::remove_file(place.path("results/ring/ring/plain")).expect("a link");
    symlink(&away, place.path("results/ring/figures")).expect("a link");
    let said = place.mdn(&["compare", "ring.toml", "--seed", "0", "train.steps=2"]);
    said.refused("results/ring/figures: a symbolic link that leads out of results, to ");
    // A folder of all results that is a link is where the user wants them.
    symlink(&away, place.path("linked")).expect("a link");
    let only = [
        "--model",
        "plain",
        "--seed",
        "0",
        "--out",
        "linked",
        "train.steps=2",
    ];
    place
        .mdn(&[&["train", "ring.toml"], &only[..]].concat())
        .fine();
    assert!(away.join("ring/ring/plain/seed-0/status").is_file());
}
