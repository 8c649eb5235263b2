//! How the runs of a comparison were made: settings that they share, versions, devices, kernels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use indexmap::IndexMap;
use serde::Deserialize;

use super::results::Results;
use crate::experiment::plan::RunSpec;
use crate::experiment::store::unusable;
use mdn_core::{Error, Result};

/// What `data.toml` says of the points of a run; files of older versions lack some of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DataRecord {
    train: Option<usize>,
    validation: Option<usize>,
    test: Option<usize>,
    warnings: Vec<String>,
}

/// Numbers of points to train on, to choose weights by, and to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counts {
    pub train: usize,
    pub validation: usize,
    pub test: usize,
}

/// What made the runs, from their `config.toml` and `environment.toml`.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    specs: Vec<RunSpec>,
    /// Runs by version and device.
    makers: BTreeMap<String, usize>,
    /// Runs of every model by what evaluated them.
    kernels: BTreeMap<String, BTreeMap<String, usize>>,
    /// Points of every data set, of the runs whose settings and records agree.
    counts: IndexMap<String, Vec<Counts>>,
    /// Warnings about the points by data set and text, with the runs that they concern.
    of_data: IndexMap<(String, String), Vec<(String, u64)>>,
}

impl Provenance {
    /// Reads the files of the runs that are done; a run without them is left out.
    pub fn read(results: &Results<'_>) -> Result<Self> {
        let mut found = Self::default();
        for run in results.runs.iter().filter(|r| r.is_done()) {
            let record = run.place.path("data.toml");
            let record: DataRecord = match record.exists() {
                false => DataRecord::default(),
                true => {
                    let text = fs::read_to_string(&record);
                    let text = text.map_err(Error::io(&record, "could not read"))?;
                    toml::from_str(&text).map_err(|e| unusable(&record, e.to_string()))?
                }
            };
            let old = (record.train.is_some() && run.held_out.is_none()).then_some(
                "the interval of nll covers training alone, without the error of the held-out points, where a run \
                 lacks held_out.csv, as those of older versions do (--force makes it)",
            );
            let warnings = record.warnings.iter().map(String::as_str);
            for text in warnings.chain(old) {
                let of = (run.data.clone(), text.to_owned());
                let runs = found.of_data.entry(of).or_default();
                runs.push((run.model.clone(), run.seed));
            }
            let config = run.place.path("config.toml");
            if config.exists() {
                let spec = RunSpec::read(&config)?;
                let at_most = |asked: usize, there: Option<usize>| match (asked, there) {
                    (0, Some(all)) => all,
                    (asked, there) => asked.min(there.unwrap_or(asked)),
                };
                let counts = Counts {
                    train: at_most(spec.train.points, record.train),
                    validation: at_most(spec.train.validation_points, record.validation),
                    test: at_most(spec.evaluation.points, record.test),
                };
                let known = found.counts.entry(run.data.clone()).or_default();
                if !known.contains(&counts) {
                    known.push(counts);
                }
                found.specs.push(spec);
            }
            if let Some(made) = run.place.read_environment()? {
                let maker = format!("mdn {} on {}", made.version, made.device);
                *found.makers.entry(maker).or_default() += 1;
                let of_model = found.kernels.entry(run.model.clone()).or_default();
                *of_model.entry(made.kernels).or_default() += 1;
            }
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
        match self.makers.len() {
            1 => self.makers.keys().cloned().collect(),
            _ => counted(&self.makers),
        }
    }

    /// Every kind of kernels that evaluated a model.
    pub fn kernels(&self) -> BTreeSet<&str> {
        let all = self.kernels.values().flat_map(BTreeMap::keys);
        all.map(String::as_str).collect()
    }

    /// Points of every data set whose runs agree on them.
    pub fn counts(&self) -> IndexMap<&str, Counts> {
        let all = self.counts.iter();
        let agreed = all.filter_map(|(data, counts)| match counts.as_slice() {
            [counts] => Some((data.as_str(), *counts)),
            _ => None,
        });
        agreed.collect()
    }

    /// What is likely a mistake in the points, with the runs that it concerns if not all of the data set.
    pub fn of_data(&self, results: &Results<'_>) -> Vec<String> {
        let all = self.of_data.iter();
        let line = |((data, text), runs): (&(String, String), &Vec<(String, u64)>)| {
            let done = results.on(data).filter(|r| r.is_done()).count();
            let some = match runs.len() < done {
                true => {
                    let models: BTreeSet<String> =
                        runs.iter().map(|(model, _)| format!("`{model}`")).collect();
                    let models = Vec::from_iter(models).join(", ");
                    format!(" ({} of {done} runs: {models})", runs.len())
                }
                false => String::new(),
            };
            format!("`{data}`{some}: {text}")
        };
        all.map(line).collect()
    }

    /// Runs that are compared though other versions, devices or kernels made them.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |what: &str, made: &BTreeMap<String, usize>| {
            let list = counted(made);
            (made.len() > 1).then(|| format!("different {what}: {list}; their mean is over all."))
        };
        let makers = warning("versions or devices made the runs", &self.makers);
        let makers = makers.map(|text| text + " --force makes them anew.");
        let kernels = self.kernels.iter().filter_map(|(model, made)| {
            warning(&format!("kernels made the runs of `{model}`"), made)
        });
        makers.into_iter().chain(kernels).collect()
    }
}

fn counted(made: &BTreeMap<String, usize>) -> String {
    let one = |(name, n): (&String, &usize)| format!("{name} ({n} runs)");
    made.iter().map(one).collect::<Vec<_>>().join(", ")
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
        assert_eq!(read().warnings(), [] as [String; 0]);
        assert_eq!(read().common(|s| s.train.steps), Some(5000));
        assert_eq!(read().common(|s| s.seed), None);
        let place = fixture.place("ring", "rad", 2);
        let mut other = place.read_environment().unwrap().unwrap();
        other.version = "0.2.0".into();
        other.kernels = "fused (avx512)".into();
        place.write_environment(&other).unwrap();
        let expected = [
            "different versions or devices made the runs: mdn 0.1.0 (0123456789) on cpu (50 runs), mdn \
             0.2.0 on cpu (1 runs); their mean is over all. --force makes them anew.",
            "different kernels made the runs of `rad`: fused (avx512) (1 runs), plain (9 runs); their \
             mean is over all.",
        ];
        assert_eq!(read().warnings(), expected);
    }
}
