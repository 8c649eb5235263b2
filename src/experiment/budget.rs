//! The table `[budget]`: resources that every model gets alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use mdn_core::error::BadValue;
use mdn_core::models::ModelSpec;

/// The table `[budget]` of an experiment file.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Trainable numbers of every model, within 3 %: all its widths (the lists `hidden`) are
    /// multiplied by a common factor. Models without widths stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<usize>,
    /// Wall time of every training, validations included, in seconds: it ends there, or after
    /// `train.steps` if that is sooner. Learning-rate schedules follow the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Budget {
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_none() && self.seconds.is_none()
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), BadValue> {
        if let Some(n) = self.parameters {
            let expected = "1 <= `parameters` <= 10000000";
            BadValue::unless((1..=10_000_000).contains(&n), "parameters", expected, n)?;
        }
        if let Some(s) = self.seconds {
            let expected = "0.01 <= `seconds` <= 1e7";
            BadValue::unless((0.01..=1e7).contains(&s), "seconds", expected, s)?;
        }
        Ok(())
    }

    /// The model as it is trained over `dim` coordinates, with its trainable numbers where they are
    /// known before there are points.
    pub fn apply(
        &self,
        model: &ModelSpec,
        dim: usize,
    ) -> Result<(ModelSpec, Option<usize>), BadValue> {
        let cannot = |e| BadValue::new("hidden", "a model that can be built", e);
        if let Some(n) = self.parameters {
            if let Some(sized) = model.sized(dim, n).map_err(cannot)?? {
                return Ok((sized.model, Some(sized.parameters)));
            }
        }
        // A model that needs points before it can be counted is counted when it is trained.
        let parameters = model.parameters(dim).ok().flatten();
        Ok((model.clone(), parameters))
    }
}
