//! The speed of training and evaluation: the reference models and their measurement.
//!
//! It measures the program's own work: steps of [`mdn_core::train`] with their batches, the
//! log-densities that metrics are computed from, samples of the model.

use crate::experiment::plan::{Plan, RunSpec};
use mdn_core::error::did_you_mean;
use mdn_core::{Error, Result};

pub mod machine;
mod measure;
mod segments;

pub use measure::{measure, Measured, Rates, Work};
pub use segments::Spread;

/// A model on which speed is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// Its name on the command line.
    pub name: &'static str,
    experiment: &'static str,
    file: &'static str,
}

/// All of them, as they are shipped in `experiments/`.
pub const REFERENCES: [Reference; 3] = [
    Reference {
        name: "a",
        experiment: "reference_a",
        file: include_str!("../../experiments/reference_a.toml"),
    },
    Reference {
        name: "b",
        experiment: "reference_b",
        file: include_str!("../../experiments/reference_b.toml"),
    },
    Reference {
        name: "c",
        experiment: "reference_c",
        file: include_str!("../../experiments/reference_c.toml"),
    },
];

impl Reference {
    /// The reference of this name, in capitals or not.
    /// Fails if there is none.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        let names = REFERENCES.map(|r| r.name);
        REFERENCES
            .iter()
            .find(|r| r.name.eq_ignore_ascii_case(name) || r.experiment == name)
            .ok_or_else(|| {
                let experiments = REFERENCES.map(|r| r.experiment);
                let near = did_you_mean(&name.to_lowercase(), experiments);
                format!(
                    "expected `{}`{near}; --file measures an experiment file",
                    names.join("`, `")
                )
            })
    }

    /// Its run.
    pub fn spec(&self) -> Result<RunSpec> {
        first_run(Plan::parse(self.file, self.experiment)?)
    }
}

/// The first run of a plan.
pub fn first_run(plan: Plan) -> Result<RunSpec> {
    let first = plan.runs.into_iter().next();
    first.ok_or_else(|| Error::failed("expected an experiment with at least one run; got none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use mdn_core::models::ModelSpec;
    use mdn_core::nn::Params;
    use mdn_core::rng::Rng;
    use mdn_kernels::Choice;

    #[test]
    fn the_references_are_what_their_names_promise() {
        let specs = REFERENCES.map(|r| r.spec().unwrap());
        for spec in &specs {
            assert_eq!((spec.train.steps, spec.train.batch_size), (2000, 512));
        }
        // Weights of the conditioners 1-64-64-n.
        let products = |spec: &RunSpec| {
            let params = Params::seeded(Rng::new(0), DType::F32, &Device::Cpu)
                .with_kernels(Choice::Fused(None));
            let points = spec.task.law().unwrap().unwrap();
            let points = points.sample(100, &mut Rng::new(1)).unwrap();
            let points = points.to_dtype(DType::F32).unwrap();
            let model = spec.model.build(&params, 2, Some(points)).unwrap();
            model.fused().unwrap().products()
        };
        assert_eq!(products(&specs[0]), 8 * (64 + 64 * 64 + 64 * 2));
        assert_eq!(products(&specs[1]), 4 * (64 + 64 * 64 + 64 * 23));
        assert!(matches!(&specs[2].model, ModelSpec::Rad(rad) if rad.layers == 6));
    }
}
