//! How the runs of a comparison were made: settings that they share, versions, devices, kernels.

use std::collections::{BTreeMap, BTreeSet};

use super::results::Results;
use crate::experiment::plan::RunSpec;
use mdn_core::Result;

/// What made the runs, from their `config.toml` and `environment.toml`.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    specs: Vec<RunSpec>,
    /// Runs by what made them: version, device.
    makers: BTreeMap<(String, String), usize>,
    /// Runs of every model by what evaluated them.
    kernels: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Provenance {
    /// Reads the files of the runs that are done; a run without them is left out.
    pub fn read(results: &Results<'_>) -> Result<Self> {
        let mut found = Self::default();
        for run in results.runs.iter().filter(|r| r.is_done()) {
            let config = run.place.path("config.toml");
            if config.exists() {
                found.specs.push(RunSpec::read(&config)?);
            }
            let Some(environment) = run.place.read_environment()? else {
                continue;
            };
            let maker = (environment.version, environment.device);
            *found.makers.entry(maker).or_default() += 1;
            let of_model = found.kernels.entry(run.model.clone()).or_default();
            *of_model.entry(environment.kernels).or_default() += 1;
        }
        Ok(found)
    }

    /// `f` of a run's settings, where all runs agree.
    pub fn common<T: PartialEq>(&self, f: impl Fn(&RunSpec) -> T) -> Option<T> {
        let mut all = self.specs.iter().map(f);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// `mdn 0.1.0 on cpu`, with the number of runs where there are several.
    pub fn makers(&self) -> String {
        let several = self.makers.len() > 1;
        let one = |((version, device), n): (&(String, String), &usize)| match several {
            true => format!("mdn {version} on {device} ({n} runs)"),
            false => format!("mdn {version} on {device}"),
        };
        self.makers.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Every kind of kernels that evaluated a model.
    pub fn kernels(&self) -> Vec<&str> {
        let all = self.kernels.values().flat_map(BTreeMap::keys);
        let all: BTreeSet<&str> = all.map(String::as_str).collect();
        all.into_iter().collect()
    }

    /// Runs that are compared though other versions, devices or kernels made them.
    pub fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.makers.len() > 1 {
            out.push(format!(
                "different versions or devices made the runs: {}; their mean is over all. --force makes \
                 them anew.",
                self.makers()
            ));
        }
        for (model, kernels) in self.kernels.iter().filter(|(_, k)| k.len() > 1) {
            let list = kernels.iter().map(|(name, n)| format!("{name} ({n} runs)"));
            let list = list.collect::<Vec<_>>().join(", ");
            out.push(format!(
                "different kernels made the runs of `{model}`: {list}; their mean is over all."
            ));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Fixture;

    #[test]
    fn what_made_the_runs_is_counted_and_mixtures_are_warned_about() {
        let fixture = Fixture::new();
        let what = fixture.comparison();
        let read = || Provenance::read(&Results::read(&what).unwrap()).unwrap();
        let found = read();
        assert_eq!(found.makers(), "mdn 0.1.0 (0123456789) on cpu");
        assert_eq!(found.kernels(), ["fused (avx2)", "plain"]);
        assert_eq!(found.warnings(), [] as [String; 0]);
        assert_eq!(found.common(|s| s.train.steps), Some(5000));
        assert_eq!(found.common(|s| s.seed), None);

        let place = fixture.place("ring", "rad", 2);
        let mut other = place.read_environment().unwrap().unwrap();
        other.version = "0.2.0".into();
        other.kernels = "fused (avx512)".into();
        place.write_environment(&other).unwrap();
        let warnings = read().warnings();
        assert_eq!(warnings.len(), 2);
        assert!(
            warnings[0]
                .contains("mdn 0.1.0 (0123456789) on cpu (50 runs), mdn 0.2.0 on cpu (1 runs)"),
            "{warnings:?}"
        );
        assert!(
            warnings[1].starts_with(
                "different kernels made the runs of `rad`: fused (avx512) (1 runs), plain (9 runs);"
            ),
            "{warnings:?}"
        );
    }
}
