//! The tables of a run. Only `cost.csv` depends on the machine's speed: the other files are the same
//! bytes whenever the same run is repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::table::{cells, columns, csv_bytes, csv_rows, exact, read_csv, read_rows};
use super::{Constraint, HistoryRow, Round, RunDir};
use mdn_core::em::Tried;
use mdn_core::metrics::rests_on_few;
use mdn_core::Result;

/// A line of `metrics.csv` or `cost.csv`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MetricRow {
    /// Key, such as `kl`.
    pub metric: String,
    /// Unit, such as `nats`.
    pub unit: String,
    /// `lower`, `higher`, `neither` or `near V`.
    pub better: String,
    /// Empty where the metric does not apply: `note` says why.
    pub value: Option<f64>,
    /// Standard error of `value`, empty where there is none.
    pub std_err: Option<f64>,
    /// Number of points it was computed on.
    pub n: usize,
    /// Points left out because their value was not finite.
    pub non_finite: usize,
    /// Why there is no value, or a remark.
    pub note: String,
    /// [`mdn_core::metrics::Tail::k`]; like the columns after it empty for other metrics than means of log
    /// ratios or weights, and in files of older versions, which lack these columns.
    #[serde(default)]
    pub pareto_k: Option<f64>,
    /// [`mdn_core::metrics::Tail::top10`]
    #[serde(default)]
    pub top10_share: Option<f64>,
    /// [`mdn_core::metrics::Tail::rests_on`]
    #[serde(default)]
    pub rests_on: Option<usize>,
}

/// Columns of metrics and of histories that older versions did not write, the last ones.
const ADDED: usize = 3;
const ADDED_TO_HISTORY: usize = 1;

impl MetricRow {
    /// Whether the value is not to be trusted, as [`rests_on_few`] decides it.
    pub fn is_fragile(&self) -> bool {
        let decide =
            |value| rests_on_few(&self.metric, value, self.std_err, self.n, self.top10_share);
        self.value.is_some_and(decide)
    }
}

/// Settings that were tried, and the result on the validation set. Checkpoints hold it in this layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRow {
    /// As overrides of the experiment file: `train.learning_rate=0.001`.
    pub settings: Vec<String>,
    /// Loss of the best weights on the validation set, nats.
    pub validation_loss: Option<f64>,
    /// Trainable numbers of the model.
    pub parameters: usize,
    /// The step that the best weights are of.
    pub best_step: usize,
    /// Steps until training ended.
    pub steps: usize,
    /// Why training could not go on, if it diverged.
    pub diverged: Option<String>,
    /// Whether it is the one that was measured.
    pub chosen: bool,
}

/// The columns of `rounds.csv` that a round fills; those of its constraint follow.
const ROUND: [&str; 5] = ["step", "entropy", "entropy_std_err", "accepted", "penalty"];

/// What [`ROUND`] holds.
type RoundCells = (usize, f64, f64, Accepted, f64);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Accepted {
    Yes,
    No,
}

const LEVELS: [&str; 2] = ["share", "mass"];

const HELD_OUT: [&str; 1] = ["log_q"];

impl RunDir {
    /// Writes the whole of `history.csv`.
    pub fn write_history(&self, rows: &[HistoryRow]) -> Result<PathBuf> {
        self.write("history.csv", &csv_rows(rows)?)
    }

    /// Reads `history.csv`.
    pub fn read_history(&self) -> Result<Vec<HistoryRow>> {
        let header = columns::<HistoryRow>();
        read_csv(&self.path("history.csv"), header, ADDED_TO_HISTORY)
    }

    /// Writes the whole of `trials.csv`.
    pub fn write_trials(&self, rows: &[TrialRow]) -> Result<PathBuf> {
        let header = [&["trial"], columns::<TrialRow>()].concat();
        let mut lines = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            lines.push([vec![number.to_string()], cells(row)?].concat());
        }
        self.write("trials.csv", &csv_bytes(&header, lines)?)
    }

    /// Writes the whole of `k.csv`.
    pub fn write_tried(&self, rows: &[Tried]) -> Result<PathBuf> {
        self.write("k.csv", &csv_rows(rows)?)
    }

    /// Reads `k.csv`; nothing where K was not chosen by BIC.
    pub fn read_tried(&self) -> Result<Vec<Tried>> {
        let path = self.path("k.csv");
        match path.exists() {
            true => read_rows(&path),
            false => Ok(Vec::new()),
        }
    }

    /// Writes the whole of `rounds.csv`: a line per round and constraint.
    pub fn write_rounds(&self, rounds: &[(usize, Round)]) -> Result<PathBuf> {
        let header = [&ROUND, columns::<Constraint>()].concat();
        let mut lines = Vec::new();
        for (step, round) in rounds {
            let of_round = vec![
                step.to_string(),
                exact(round.entropy),
                exact(round.entropy_std_err),
                if round.accepted { "yes" } else { "no" }.to_owned(),
                exact(round.penalty),
            ];
            for constraint in &round.constraints {
                lines.push([of_round.clone(), cells(constraint)?].concat());
            }
        }
        self.write("rounds.csv", &csv_bytes(&header, lines)?)
    }

    /// Reads `rounds.csv`; no rounds where there is no such file.
    pub fn read_rounds(&self) -> Result<Vec<(usize, Round)>> {
        let path = self.path("rounds.csv");
        let header = [&ROUND, columns::<Constraint>()].concat();
        let mut rounds: Vec<(usize, Round)> = Vec::new();
        if !path.exists() {
            return Ok(rounds);
        }
        let lines: Vec<(RoundCells, Constraint)> = read_csv(&path, &header, 0)?;
        for ((step, entropy, entropy_std_err, accepted, penalty), constraint) in lines {
            match rounds.last_mut() {
                Some((last, round)) if *last == step => round.constraints.push(constraint),
                _ => {
                    let round = Round {
                        entropy,
                        entropy_std_err,
                        accepted: matches!(accepted, Accepted::Yes),
                        penalty,
                        constraints: vec![constraint],
                    };
                    rounds.push((step, round));
                }
            }
        }
        Ok(rounds)
    }

    /// Writes the whole of `modes.csv`: the weight of every mode of the truth and its share of the
    /// model's `n` samples.
    pub fn write_modes(&self, weights: &[f64], found: &[f64], n: usize) -> Result<PathBuf> {
        let lines = weights.iter().zip(found).enumerate().map(|(j, (w, f))| {
            let std_err = (f * (1.0 - f) / n as f64).max(0.0).sqrt();
            [j.to_string(), exact(*w), exact(*f), exact(std_err)]
        });
        let header = ["mode", "weight", "found", "std_err"];
        self.write("modes.csv", &csv_bytes(&header, lines)?)
    }

    /// Writes the whole of `levels.csv`: for density levels of the truth the share of its own mass that
    /// lies below, and the model's mass there.
    pub fn write_levels(&self, levels: &[(f64, f64)]) -> Result<PathBuf> {
        let lines = levels
            .iter()
            .map(|(share, mass)| [*share, *mass].map(exact));
        self.write("levels.csv", &csv_bytes(&LEVELS, lines)?)
    }

    /// Reads `levels.csv`; nothing where there is no such file.
    pub fn read_levels(&self) -> Result<Vec<(f64, f64)>> {
        let path = self.path("levels.csv");
        match path.exists() {
            true => read_csv(&path, &LEVELS, 0),
            false => Ok(Vec::new()),
        }
    }

    /// Writes the whole of `held_out.csv`: log q of every held-out point of a file, in the order of its
    /// test set, which all seeds share.
    pub fn write_held_out(&self, log_q: &[f64]) -> Result<PathBuf> {
        let lines = log_q.iter().map(|l| [exact(*l)]);
        self.write("held_out.csv", &csv_bytes(&HELD_OUT, lines)?)
    }

    /// Reads `held_out.csv`; `None` where there is no such file, as in runs of older versions.
    pub fn read_held_out(&self) -> Result<Option<Vec<f64>>> {
        let path = self.path("held_out.csv");
        if !path.exists() {
            return Ok(None);
        }
        let rows: Vec<(f64,)> = read_csv(&path, &HELD_OUT, 0)?;
        Ok(Some(rows.into_iter().map(|(l,)| l).collect()))
    }

    /// Writes the whole of `bridges.csv`: for pairs of modes the truth's own share of points below its
    /// 0.1 % density level that lie between them, and the model's.
    pub fn write_bridges(&self, bridges: &BTreeMap<(u32, u32), [f64; 2]>) -> Result<PathBuf> {
        let lines = bridges.iter().map(|((a, b), [truth, model])| {
            [a.to_string(), b.to_string(), exact(*truth), exact(*model)]
        });
        let header = ["mode", "other", "share", "mass"];
        self.write("bridges.csv", &csv_bytes(&header, lines)?)
    }

    /// Writes the whole of `metrics.csv`.
    pub fn write_metrics(&self, rows: &[MetricRow]) -> Result<PathBuf> {
        self.write("metrics.csv", &csv_rows(rows)?)
    }

    /// Writes the whole of `cost.csv`.
    pub fn write_costs(&self, rows: &[MetricRow]) -> Result<PathBuf> {
        self.write("cost.csv", &csv_rows(rows)?)
    }

    /// Reads `metrics.csv`, then `cost.csv`.
    pub fn read_metrics(&self) -> Result<Vec<MetricRow>> {
        let header = columns::<MetricRow>();
        let mut rows: Vec<MetricRow> = read_csv(&self.path("metrics.csv"), header, ADDED)?;
        rows.extend(read_csv::<MetricRow>(
            &self.path("cost.csv"),
            header,
            ADDED,
        )?);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdn_core::train::Split;
    use std::fs;

    fn history() -> Vec<HistoryRow> {
        let row = |step, split, loss, grad_norm| HistoryRow {
            step,
            split,
            loss,
            grad_norm,
            non_finite: 2,
            target_evaluations: grad_norm.map(|_| 512),
        };
        vec![
            row(1, Split::Train, 0.1 + 0.2, Some(1e-12)),
            row(1, Split::Validation, f64::INFINITY, None),
        ]
    }

    #[test]
    fn rows_read_back_as_written_and_unknown_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        let path = run.write_history(&history()).unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "step,split,loss,grad_norm,non_finite,target_evaluations\n\
             1,train,0.30000000000000004,1e-12,2,512\n\
             1,validation,inf,,2,\n"
        );
        assert_eq!(run.read_history().unwrap(), history());
        let nll = MetricRow {
            metric: "nll".into(),
            unit: "nats".into(),
            better: "lower".into(),
            value: Some(-1.5),
            n: 1000,
            pareto_k: Some(0.75),
            top10_share: Some(0.5),
            rests_on: Some(40),
            ..MetricRow::default()
        };
        let kl = MetricRow {
            metric: "kl".into(),
            value: None,
            note: "true density unknown, so \"none\"".into(),
            pareto_k: None,
            top10_share: None,
            rests_on: None,
            ..nll.clone()
        };
        let path = run.write_metrics(&[nll.clone(), kl.clone()]).unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "metric,unit,better,value,std_err,n,non_finite,note,pareto_k,top10_share,rests_on\n\
             nll,nats,lower,-1.5,,1000,0,,0.75,0.5,40\n\
             kl,nats,lower,,,1000,0,\"true density unknown, so \"\"none\"\"\",,,\n"
        );
        assert!(nll.is_fragile() && !kl.is_fragile());
        // As older versions wrote it.
        let older =
            "metric,unit,better,value,std_err,n,non_finite,note\nnll,nats,lower,-1.5,,1000,0,\n";
        run.write("cost.csv", older.as_bytes()).unwrap();
        let before = MetricRow {
            note: String::new(),
            metric: "nll".into(),
            value: nll.value,
            ..kl.clone()
        };
        assert_eq!(run.read_metrics().unwrap(), [nll, kl, before]);
        run.write_history(&[]).unwrap();
        assert_eq!(run.read_history().unwrap(), []);
        assert_eq!(run.read_levels().unwrap(), []);
        assert_eq!(run.read_held_out().unwrap(), None);
        run.write_held_out(&[-1.5, f64::NEG_INFINITY]).unwrap();
        let log_q = run.read_held_out().unwrap();
        assert_eq!(log_q, Some(vec![-1.5, f64::NEG_INFINITY]));
        let path = run.write_levels(&[(0.0, 0.25), (1e-3, 0.5)]).unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(text, "share,mass\n0,0.25\n0.001,0.5\n");
        assert_eq!(run.read_levels().unwrap(), [(0.0, 0.25), (1e-3, 0.5)]);
    }

    #[test]
    fn damage_is_reported_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        // As older versions wrote it.
        let head = "step,split,loss,grad_norm,non_finite\n";
        // Pairs of lines: the file, with `^` for its header, and the message.
        let cases = r"
            ^1,train,2,,0\n2,train,2,
                3: the last line does not end: the file is cut off
            ^1,train,2,,0\n2,train\n
                3: expected 5 cells; got 2
            ^1,test,2,,0\n
                2: `split`: expected `train` or `validation`; got `test`
            ^1,train,two,,0\n
                2: `loss`: expected a number; got `two`
            ^1,train,2,x,0\n
                2: `grad_norm`: expected a number; got `x`
            ^-1,train,2,,0\n
                2: `step`: expected a whole number; got `-1`
            step,loss\n
                1: expected the columns `step,split,loss,grad_norm,non_finite,target_evaluations`; got `step,loss`
            \n
                1: expected the columns `step,split,loss,grad_norm,non_finite,target_evaluations`; got an empty file";
        let lines: Vec<_> = cases.trim().lines().map(str::trim).collect();
        for pair in lines.chunks(2) {
            let text = pair[0].replace('^', head).replace("\\n", "\n");
            fs::write(run.path("history.csv"), text).unwrap();
            let got = run.read_history().unwrap_err().to_string();
            let expected = format!("history.csv:{}", pair[1]);
            assert!(got.contains(&expected), "expected {expected}\ngot {got}");
        }
        fs::write(run.path("history.csv"), b"step,\xff\xfe\n").unwrap();
        let got = run.read_history().unwrap_err().to_string();
        assert!(got.contains("history.csv:1: not readable as CSV"), "{got}");
        let got = run.read_metrics().unwrap_err().to_string();
        assert!(got.contains("metrics.csv"), "{got}");
    }
}
