//! Training that resumes from a checkpoint makes the same steps as without the interruption.

use super::tests::{queued, Case};
use super::*;
use crate::models::testing::bytes;
use crate::Error;
use mdn_kernels::Choice;

/// Stops at the request number `left`, and keeps what a file would hold.
struct StopAfter {
    left: usize,
    kept: Option<Vec<u8>>,
}

impl Checkpointer for StopAfter {
    fn request(&mut self) -> Request {
        self.left -= 1;
        match self.left {
            0 => Request::Stop,
            n if n % 5 == 0 => Request::Save,
            _ => Request::Continue,
        }
    }

    fn save(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.kept = Some(postcard::to_stdvec(&checkpoint).unwrap());
        Ok(())
    }
}

/// All that a run leaves but the time it took.
type Left = (Curves, Vec<(String, Vec<f64>)>);

fn of(model: &str) -> Case<'_> {
    let spec = TrainSpec {
        steps: 40,
        batch_size: 32,
        learning_rate: 5e-3,
        validate_every: 7,
        validation_points: 60,
        schedule: Schedule::Cosine {
            warmup: 0.1,
            floor: 0.0,
        },
        ..TrainSpec::default()
    };
    Case::of(model, &spec)
}

impl Case<'_> {
    /// Trains as a new process would.
    fn resume(&self, from: Option<&[u8]>, checkpointer: &mut dyn Checkpointer) -> Result<Left> {
        let from = from.map(|bytes| postcard::from_bytes(bytes).unwrap());
        let (mut curves, weights) = self.train(from, checkpointer)?;
        curves.seconds = 0.0;
        Ok((curves, bytes(&weights)))
    }

    /// Trains in pieces of these numbers of steps.
    fn train_in_pieces(&self, pieces: &[usize]) -> Left {
        let mut from: Option<Vec<u8>> = None;
        for &left in pieces {
            let mut checkpointer = StopAfter { left, kept: None };
            match self.resume(from.as_deref(), &mut checkpointer) {
                Err(Error::Interrupted(_)) => from = checkpointer.kept,
                Err(e) => panic!("{}: {e}", self.model),
                Ok(_) => panic!("{}: expected an end after {left} steps", self.model),
            }
        }
        self.resume(from.as_deref(), &mut NoCheckpoints).unwrap()
    }

    fn check(&self, what: &str) {
        let whole = self.resume(None, &mut NoCheckpoints).unwrap();
        assert_eq!(whole.0.diverged, None, "{what}");
        // After the first step, before and behind validations, and in the second phase.
        for pieces in [&[13][..], &[1, 5, 1, 9, 14, 3]] {
            let (curves, weights) = self.train_in_pieces(pieces);
            assert_eq!(curves.history, whole.0.history, "{what}, {pieces:?}");
            assert_eq!(curves, whole.0, "{what}, {pieces:?}");
            for ((name, now), (_, then)) in weights.iter().zip(&whole.1) {
                assert_eq!(now, then, "{what}, {pieces:?}: {name}");
            }
        }
    }
}

/// Models with the kernels that they get, with plain tensors, in double precision and with the
/// optimizer of a GPU.
#[test]
fn every_model_resumes_where_it_stopped() {
    let own = [
        "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n\
         base.mixture = { components = 4 }\n",
        "[flow]\nbijection.masked_autoregressive = { layers = 2, hidden = [8] }\n",
        "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n\
         base.resampled = { hidden = [8] }\n",
        "[rad]\nlayers = 2\nhidden = [8]\ngates = 'net'\n",
        "[clusters]\nclusters = 2\nfine_tune = 0.5\n\
         bijection.spline_coupling = { layers = 2, hidden = [8] }\n",
    ];
    for model in own {
        let case = of(model);
        case.check(&format!("{model}as it comes"));
        let mut double = case.clone();
        double.spec.precision = Precision::F64;
        double.check(&format!("{model}f64"));
        let plain = Case {
            kernels: Choice::Plain,
            ..case
        };
        plain.check(&format!("{model}plain"));
        let queued = Case {
            make: queued,
            ..plain
        };
        queued.check(&format!("{model}queued"));
    }
}

const KL: &str = "[reverse_kl]\ntarget.energy = { potential = 'u1' }\n";
const GROWN: &str = "[reverse_kl]\ntarget.energy = { potential = 'u1' }\ngradient = 'path'\n\
                     anneal = { from = 0.3, ess = 0.5 }\n\
                     grow = { width = 4.0, candidates = 200, every = 3 }\n";
const FAB: &str =
    "[reverse_kl]\ntarget.energy = { potential = 'u1' }\nfab = { batches = 5, every = 3 }\n";

/// Every objective without data, the one with rounds over several of them.
#[test]
fn every_objective_resumes_where_it_stopped() {
    let models = [
        "[flow]\nbijection.planar = { layers = 3 }\n\
         base.mixture = { components = 2, init = 'random' }\n",
        "[rad]\nlayers = 2\nhidden = [8]\n",
    ];
    let rounds = "[maximum_entropy]\nstatistics = ['x', 'y', 'x^2', 'y^2']\n\
                  moments = [0.5, 0.0, 2.0, 1.0]\nrounds = 4\nsamples = 2000\n";
    for model in models {
        for problem in [rounds, KL, GROWN, FAB] {
            let case = Case {
                problem: Some(problem),
                kernels: Choice::Plain,
                ..of(model)
            };
            case.check(&format!("{problem}{model}"));
        }
    }
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let [small, large, rad] = [
        "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n",
        "[flow]\nbijection.affine_coupling = { layers = 4, hidden = [8] }\n",
        "[rad]\nlayers = 2\nhidden = [8]\n",
    ]
    .map(of);
    let kept = |case: &Case| {
        let mut checkpointer = StopAfter {
            left: 5,
            kept: None,
        };
        assert!(case.resume(None, &mut checkpointer).is_err());
        checkpointer.kept.unwrap()
    };
    let other_objective = Case {
        problem: Some(KL),
        ..small.clone()
    };
    let plain = Case {
        kernels: Choice::Plain,
        ..small.clone()
    };
    for (from, to) in [(&small, &large), (&rad, &small), (&plain, &small)] {
        let why = to
            .resume(Some(&kept(from)), &mut NoCheckpoints)
            .unwrap_err();
        assert!(why.to_string().contains("expected"), "{why}");
    }
    let rounds = Case {
        problem: Some(
            "[maximum_entropy]\nstatistics = ['x', 'x^2', 'y^2']\nmoments = [0.0, 1.0, 1.0]\n",
        ),
        ..small
    };
    let why = other_objective
        .resume(Some(&kept(&rounds)), &mut NoCheckpoints)
        .unwrap_err();
    assert!(why.to_string().contains("same kind"), "{why}");
}
