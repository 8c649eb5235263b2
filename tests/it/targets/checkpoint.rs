//! Checkpoints: raw bytes, bytes behind a right checksum, and checkpoints that a run resumes from.

use mdn::experiment::checkpoint::{digest, Kept, Saved};
use mdn::experiment::control::Control;
use mdn::experiment::plan::RunSpec;
use mdn::experiment::run::{run, Run};
use mdn::experiment::store::TrialRow;
use mdn_core::train::{train, Checkpoint, Checkpointer, Place, Request};
use sha2::{Digest, Sha256};

use super::runs::{compute, flow, in_rounds, on_a_ring, Runs};
use super::{choice, chosen, read_or_named, short, write, Seeds, Target};

/// What is done with the bytes; the first byte decides.
const WAYS: usize = 3;

fn experiments() -> [String; 4] {
    let plain = "flow]\nbijection.radial.layers = 2";
    let search = "[search.train]\nlearning_rate = [1e-3, 1e-2]\n";
    [
        flow(),
        in_rounds(),
        on_a_ring(plain),
        format!("{}{search}", flow()),
    ]
}

/// The way, the run, then the bytes.
pub fn target() -> Target {
    let runs = Runs::planned(&experiments());
    let settings: Vec<_> = runs
        .specs
        .iter()
        .zip(&runs.places)
        .map(|(spec, place)| {
            place.create().expect("a writable folder");
            spec.to_toml(&place.0).expect("TOML")
        })
        .collect();
    Box::new(move |bytes| {
        // Moves all of `runs` into the closure, which keeps the folder.
        let runs = &runs;
        let (way, rest) = choice(bytes, WAYS);
        let (which, rest) = choice(rest, settings.len());
        let (place, settings) = (&runs.places[which], &settings[which]);
        match way {
            // The whole file.
            0 => write(&place.checkpoint(), rest),
            // The content after a right checksum.
            1 => {
                let sum = Sha256::digest(rest);
                write(
                    &place.checkpoint(),
                    [b"mdn checkpoint 2\n", &sum[..], rest].concat(),
                );
            }
            // A checkpoint that the run resumes from.
            _ => match postcard::from_bytes::<Saved>(rest) {
                Ok(saved) => return goes_on(&runs.specs[which], place, (saved, settings)),
                Err(_) => return false,
            },
        }
        read_or_named(place.read_checkpoint(settings), &place.checkpoint())
    })
}

fn goes_on(
    spec: &RunSpec,
    place: &mdn::experiment::store::RunDir,
    (mut saved, settings): (Saved, &str),
) -> bool {
    saved.settings = digest(settings);
    place
        .write_checkpoint(&saved)
        .expect("what was read can be written");
    let back = place.read_checkpoint(settings).expect("what was written");
    assert_eq!(format!("{:?}", Some(saved)), format!("{back:?}"));
    write(&place.path("config.toml"), settings);
    let control = Control::default();
    let done = run(spec, place, &compute(), (&control, "mdn"), &mut |_| {});
    done.map_err(|e| short(&e.to_string())).is_ok()
}

/// Keeps the checkpoints of all steps.
#[derive(Default)]
struct All(Vec<Checkpoint>);

impl Checkpointer for All {
    fn request(&mut self) -> Request {
        Request::Save
    }

    fn save(&mut self, checkpoint: Checkpoint) -> mdn_core::Result<()> {
        self.0.push(checkpoint);
        Ok(())
    }
}

/// Checkpoints that no run of these settings leaves: places far off, and trials that do not exist.
fn forged(saved: &Saved) -> Vec<Saved> {
    let far = 1 << 40;
    let of_training = |change: &dyn Fn(&mut Checkpoint)| {
        let mut saved = saved.clone();
        saved.current.iter_mut().for_each(change);
        saved
    };
    let mut all = vec![
        of_training(&|c| c.curves.steps = far),
        of_training(&|c| c.moments.iter_mut().for_each(|m| m.steps = i32::MAX)),
        of_training(&|c| match &mut c.place {
            Place::Phase(at) => at.end = far,
            Place::Round(at) => at.round = far,
        }),
        of_training(&|c| match &mut c.place {
            Place::Phase(at) => at.without_progress = usize::MAX,
            Place::Round(at) => at.weights.push(c.weights.clone()),
        }),
    ];
    if let Some(trial) = saved.trials.first() {
        let (mut many, mut other) = (saved.clone(), saved.clone());
        many.trials = vec![trial.clone(); 9];
        other.kept.iter_mut().for_each(|k| k.number = far);
        all.extend([many, other]);
    }
    all
}

/// A checkpoint of every run during training; that of the search is after its first trial.
pub fn seeds() -> Seeds {
    let runs = Runs::planned(&experiments());
    let mut all = Vec::new();
    for (which, (spec, place)) in runs.specs.iter().zip(&runs.places).enumerate() {
        let settings = spec.to_toml(&place.0).expect("TOML");
        let trials = spec.trials().expect("trials");
        let made = Run::new(&trials[0].1, &compute()).expect("a run");
        let mut kept = All::default();
        let trained = made.with_training(|task| train(task, None, &mut kept, &mut |_| {}));
        let mut saved = Saved {
            settings: digest(&settings),
            current: kept.0.pop(),
            ..Saved::default()
        };
        if trials.len() > 1 {
            let weights = saved.current.clone().expect("a checkpoint").weights;
            saved.trials = vec![TrialRow {
                settings: trials[0].0.settings.clone(),
                validation_loss: Some(1.5),
                parameters: made.parameters(),
                best_step: 2,
                steps: 4,
                diverged: None,
                chosen: false,
            }];
            saved.kept = Some(Kept {
                number: 0,
                loss: 1.5,
                weights,
                trained: trained.expect("training"),
            });
        }
        let body = postcard::to_stdvec(&saved).expect("what was made can be written");
        let sum = Sha256::digest(&body);
        let file = [b"mdn checkpoint 2\n", &sum[..], &body].concat();
        for (way, bytes) in [(0, &file), (1, &body), (2, &body)] {
            let bytes = chosen(way, &chosen(which, bytes));
            all.push((format!("run-{which}-way-{way}"), bytes));
        }
        for (i, saved) in forged(&saved).iter().enumerate() {
            let body = postcard::to_stdvec(saved).expect("what was made can be written");
            let bytes = chosen(2, &chosen(which, &body));
            all.push((format!("run-{which}-forged-{i}"), bytes));
        }
    }
    all
}
