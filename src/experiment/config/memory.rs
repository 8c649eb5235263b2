//! The memory that a run will need, estimated from its settings.

use super::Config;
use mdn_core::error::BadValue;
use mdn_core::models::ModelSpec;

/// The most that a run may need: more than machines for small flows have.
const MAX_BYTES: f64 = 128.0 * GIB;
const GIB: f64 = (1u64 << 30) as f64;

/// An estimate in bytes.
///
/// With P parameters, A numbers that a step keeps per point (`Settings::extent` of the model) and s
/// bytes a number:
///
/// - weights = 4 P s (parameters, their gradient, and two moments of the optimizer);
/// - step = 2 A s times the points of a step (values and their gradients);
/// - points = 16 D (training + validation + 2 evaluation points) + 32 (cells of the grid), in f64.
///
/// Plain tensors need this much; fused kernels need less for the step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    weights: f64,
    step: f64,
    points: f64,
}

impl Memory {
    /// Of one run of the file with `model`, sized as it is trained, over `dim` coordinates.
    pub fn of(config: &Config, model: &ModelSpec, dim: usize) -> Self {
        let train = &config.train;
        let bytes = train.precision.dtype().size_in_bytes() as f64;
        let samples = !config.problems.is_empty();
        let extent = model.extent(dim, samples.then_some(train.batch_size));
        let problems = config.problems.values().map(|p| p.samples_at_once());
        let at_once = match model.is_fitted() {
            true => train.start_points(),
            false => problems.fold(train.batch_size, usize::max),
        };
        let evaluation = &config.evaluation;
        let held = train.start_points() + train.validation_points + 2 * evaluation.points;
        let cells = match dim {
            2 => (evaluation.grid * evaluation.grid) as f64,
            _ => 0.0,
        };
        Self {
            weights: 4.0 * bytes * extent.parameters,
            step: 2.0 * bytes * extent.per_point * at_once as f64,
            points: 16.0 * dim as f64 * held as f64 + 32.0 * cells,
        }
    }

    /// The whole, in bytes.
    pub fn total(&self) -> f64 {
        self.weights + self.step + self.points
    }

    /// An error with the key `memory` for a run that needs more than 128 GiB.
    pub fn check(&self) -> Result<(), BadValue> {
        let expected = format!("a run of at most {}", size(MAX_BYTES));
        let got = format!(
            "about {}: {} for the weights, {} for the points of a step, {} for all points (try a \
             smaller `train.batch_size`, fewer points, fewer layers or components, or narrower \
             `hidden`)",
            size(self.total()),
            size(self.weights),
            size(self.step),
            size(self.points)
        );
        BadValue::unless(self.total() <= MAX_BYTES, "memory", &expected, got)
    }
}

/// Bytes with two digits and a unit.
pub fn size(bytes: f64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(value < 10.0 && unit > 0);
    match value < 1e6 {
        true => format!("{value:.digits$} {}", units[unit]),
        false => format!("{value:.1e} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_no_machine_would_hold_is_refused_and_the_message_says_by_what() {
        let text = "[train]\nbatch_size = 1000000\n[data.r]\nring = {}\n[models.m.flow]\n\
                    bijection.affine_coupling = { layers = 100, hidden = [4096] }\n";
        let said = Config::parse(text, "e").unwrap_err();
        // 2 x 4 bytes x 1e6 points x 100 layers of 2 (4096 + 2) + 8 numbers, and those of the base.
        let expected = "models.m: expected a run of at most 128 GiB; got about 6.0 TiB";
        assert!(said.to_string().contains(expected), "{said}");
        for (bytes, text) in [
            (0.0, "0 bytes"),
            (999.0, "999 bytes"),
            (2048.0, "2.0 KiB"),
            (1e30, "8.9e14 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
