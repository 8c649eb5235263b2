//! Training that goes on from a checkpoint makes the steps that it would have made.

use candle_core::Device;

use super::tests::bytes;
use super::*;
use crate::models::ModelSpec;
use crate::objectives::maximum_likelihood::MaximumLikelihood;
use crate::objectives::ProblemSpec;
use crate::{num, Error};
use mdn_kernels::Choice;

/// Stops when it is asked for the `left`-th time, and keeps what a file would hold.
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

type Make = for<'a> fn(&'a Training<'a>) -> Result<Box<dyn Steps + 'a>>;

fn queued<'a>(task: &'a Training<'a>) -> Result<Box<dyn Steps + 'a>> {
    Ok(Box::new(steps::QueuedSteps::new(task)?))
}

/// What is trained, on data or, with a problem, without.
#[derive(Clone, Copy)]
struct Case {
    model: &'static str,
    problem: Option<&'static str>,
    precision: Precision,
    kernels: Choice,
    make: Make,
}

const STEPS: usize = 40;

/// Everything that a run leaves: all but the time it took.
type Left = (Curves, Vec<(String, Vec<f64>)>);

impl Case {
    fn of(model: &'static str) -> Self {
        Self {
            model,
            problem: None,
            precision: Precision::F32,
            kernels: Choice::Auto,
            make: steps::for_device,
        }
    }

    /// Trains, from the start or from a checkpoint, as a new process would: with a model of its own.
    fn train(&self, from: Option<&[u8]>, checkpointer: &mut dyn Checkpointer) -> Result<Left> {
        let rng = Rng::new(8);
        let dtype = self.precision.dtype();
        let draw = |n: usize, label| {
            let rows: Vec<f64> = {
                let rng = &mut rng.fork(label);
                let side = |i: usize| if (i / 2).is_multiple_of(2) { -2.0 } else { 2.0 };
                (0..2 * n).map(|i| side(i) + rng.uniform()).collect()
            };
            num::from_rows(&rows, 2, dtype, &Device::Cpu).unwrap()
        };
        let (x, validation) = (draw(150, "x"), draw(60, "validation"));
        let params = Params::seeded(rng.fork("init"), dtype, &Device::Cpu);
        let params = params.with_kernels(self.kernels);
        let spec: ModelSpec = toml::from_str(self.model).unwrap();
        let with_data = self.problem.is_none();
        let start = with_data.then(|| x.clone());
        let model = spec.build(&params, 2, start)?;
        let objective: Box<dyn Objective> = match self.problem {
            None => Box::new(MaximumLikelihood),
            Some(text) => toml::from_str::<ProblemSpec>(text).unwrap().build()?,
        };
        let spec = TrainSpec {
            steps: STEPS,
            batch_size: 32,
            learning_rate: 5e-3,
            validate_every: 7,
            validation_points: 60,
            precision: self.precision,
            schedule: Schedule::Cosine {
                warmup: 0.1,
                floor: 0.0,
            },
            ..TrainSpec::default()
        };
        let points = match self.problem {
            None => Points::Fixed(x),
            Some(_) => Points::Nothing,
        };
        let task = Training {
            model: model.as_ref(),
            params: &params,
            objective: objective.as_ref(),
            points: &points,
            validation: with_data.then_some(&validation),
            spec: &spec,
            seconds: None,
            rng: &rng,
        };
        let from = from.map(|bytes| postcard::from_bytes(bytes).unwrap());
        let make = || (self.make)(&task);
        let mut curves = course::run(&task, from, &make, (checkpointer, &mut |_| {}))?;
        curves.seconds = 0.0;
        Ok((curves, bytes(&params.snapshot()?)))
    }

    /// Trains in pieces, each ended after so many steps.
    fn train_in_pieces(&self, pieces: &[usize]) -> Left {
        let mut from: Option<Vec<u8>> = None;
        for &left in pieces {
            let mut checkpointer = StopAfter { left, kept: None };
            match self.train(from.as_deref(), &mut checkpointer) {
                Err(Error::Interrupted(_)) => from = checkpointer.kept,
                Err(e) => panic!("{}: {e}", self.model),
                Ok(_) => panic!("{}: expected an end after {left} steps", self.model),
            }
        }
        self.train(from.as_deref(), &mut NoCheckpoints).unwrap()
    }

    fn check(&self, what: &str) {
        let whole = self.train(None, &mut NoCheckpoints).unwrap();
        assert_eq!(whole.0.diverged, None, "{what}");
        for pieces in [&[1][..], &[13], &[6, 1, 9], &[30, 3]] {
            let (curves, weights) = self.train_in_pieces(pieces);
            assert_eq!(curves.history, whole.0.history, "{what}, {pieces:?}");
            assert_eq!(curves, whole.0, "{what}, {pieces:?}");
            for ((name, now), (_, then)) in weights.iter().zip(&whole.1) {
                assert_eq!(now, then, "{what}, {pieces:?}: {name}");
            }
        }
    }
}

/// Every registered model, with the kernels that it gets, with plain tensors, in double precision
/// and with the optimizer of a GPU.
#[test]
fn every_model_goes_on_where_it_was() {
    let own = [
        "[flow]\nbijection.affine_coupling = { layers = 2 }\nbase.mixture = { components = 4 }\n",
        "[flow]\nbijection.masked_autoregressive = { layers = 2, hidden = [8] }\n",
        "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n\
         base.resampled = { hidden = [8] }\n",
        "[rad]\nlayers = 2\nhidden = [8]\ngates = 'net'\n",
        "[clusters]\nclusters = 2\nfine_tune = 0.5\n\
         bijection.spline_coupling = { layers = 2, hidden = [8] }\n",
    ];
    for model in own {
        let case = Case::of(model);
        case.check(&format!("{model}as it comes"));
        let plain = Case {
            kernels: Choice::Plain,
            ..case
        };
        plain.check(&format!("{model}plain"));
        let double = Case {
            precision: Precision::F64,
            ..case
        };
        double.check(&format!("{model}f64"));
        let queued = Case {
            make: queued,
            ..plain
        };
        queued.check(&format!("{model}queued"));
    }
}

/// Every objective without data, the one with rounds over several of them.
#[test]
fn every_objective_goes_on_where_it_was() {
    let models = [
        "[flow]\nbijection.planar = { layers = 3 }\n\
         base.mixture = { components = 2, init = 'random' }\n",
        "[rad]\nlayers = 2\nhidden = [8]\n",
    ];
    let problems = [
        "[maximum_entropy]\nstatistics = ['x', 'y', 'x^2', 'y^2']\nmoments = [0.5, 0.0, 2.0, 1.0]\n\
         rounds = 4\nsamples = 400\n",
        "[reverse_kl]\ntarget.energy = { potential = 'u1' }\n",
    ];
    for model in models {
        for problem in problems {
            let case = Case {
                problem: Some(problem),
                kernels: Choice::Plain,
                ..Case::of(model)
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
    .map(Case::of);
    let kept = |case: &Case| {
        let mut checkpointer = StopAfter {
            left: 5,
            kept: None,
        };
        assert!(case.train(None, &mut checkpointer).is_err());
        checkpointer.kept.unwrap()
    };
    let other_objective = Case {
        problem: Some("[reverse_kl]\ntarget.energy = { potential = 'u1' }\n"),
        ..small
    };
    let plain = Case {
        kernels: Choice::Plain,
        ..small
    };
    for (from, to) in [(&small, &large), (&rad, &small), (&plain, &small)] {
        let why = to.train(Some(&kept(from)), &mut NoCheckpoints).unwrap_err();
        assert!(why.to_string().contains("expected"), "{why}");
    }
    let rounds = Case {
        problem: Some(
            "[maximum_entropy]\nstatistics = ['x', 'x^2', 'y^2']\nmoments = [0.0, 1.0, 1.0]\n",
        ),
        ..small
    };
    let why = other_objective
        .train(Some(&kept(&rounds)), &mut NoCheckpoints)
        .unwrap_err();
    assert!(why.to_string().contains("same kind"), "{why}");
}
