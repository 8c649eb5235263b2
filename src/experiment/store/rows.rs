//! `history.csv`, `metrics.csv` and `cost.csv`. What depends on the machine's speed stands in the
//! last alone: the other two are the same bytes whenever the same run is repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::number::{exact, exact_or_empty};
use super::table::{csv_bytes, read_csv};
use super::{Constraint, HistoryRow, MetricRow, Round, RunDir, Split};
use mdn_core::Result;

const HISTORY: [&str; 5] = ["step", "split", "loss", "grad_norm", "non_finite"];

const ROUNDS: [&str; 12] = [
    "step",
    "entropy",
    "entropy_std_err",
    "accepted",
    "penalty",
    "statistic",
    "target",
    "mean",
    "std_err",
    "std_dev",
    "multiplier",
    "exact",
];

const MODES: [&str; 4] = ["mode", "weight", "found", "std_err"];

const LEVELS: [&str; 2] = ["share", "mass"];

const METRICS: [&str; 8] = [
    "metric",
    "unit",
    "better",
    "value",
    "std_err",
    "n",
    "non_finite",
    "note",
];

impl RunDir {
    /// Writes the whole of `history.csv`.
    pub fn write_history(&self, rows: &[HistoryRow]) -> Result<PathBuf> {
        let lines = rows.iter().map(|r| {
            [
                r.step.to_string(),
                r.split.word().to_owned(),
                exact(r.loss),
                exact_or_empty(r.grad_norm),
                r.non_finite.to_string(),
            ]
        });
        self.write("history.csv", &csv_bytes(HISTORY, lines)?)
    }

    /// Reads `history.csv`.
    pub fn read_history(&self) -> Result<Vec<HistoryRow>> {
        read_csv(&self.path("history.csv"), &HISTORY, |line| {
            let split = match line.text("split") {
                "train" => Split::Train,
                "validation" => Split::Validation,
                other => return Err(line.fault("split", "`train` or `validation`", other)),
            };
            Ok(HistoryRow {
                step: line.parse("step", "a whole number")?,
                split,
                loss: line.parse("loss", "a number")?,
                grad_norm: line.parse_or_empty("grad_norm")?,
                non_finite: line.parse("non_finite", "a whole number")?,
            })
        })
    }

    /// Writes the whole of `rounds.csv`: a line per round and constraint.
    pub fn write_rounds(&self, rounds: &[(usize, Round)]) -> Result<PathBuf> {
        let lines = rounds.iter().flat_map(|(step, round)| {
            round.constraints.iter().map(move |c| {
                [
                    step.to_string(),
                    exact(round.entropy),
                    exact(round.entropy_std_err),
                    if round.accepted { "yes" } else { "no" }.to_owned(),
                    exact(round.penalty),
                    c.statistic.clone(),
                    exact(c.target),
                    exact(c.mean),
                    exact(c.std_err),
                    exact(c.std_dev),
                    exact(c.multiplier),
                    exact_or_empty(c.exact),
                ]
            })
        });
        self.write("rounds.csv", &csv_bytes(ROUNDS, lines)?)
    }

    /// Reads `rounds.csv`; no rounds where there is no such file.
    pub fn read_rounds(&self) -> Result<Vec<(usize, Round)>> {
        let path = self.path("rounds.csv");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let mut rounds: Vec<(usize, Round)> = Vec::new();
        let lines = read_csv(&path, &ROUNDS, |line| {
            let accepted = match line.text("accepted") {
                "yes" => true,
                "no" => false,
                other => return Err(line.fault("accepted", "`yes` or `no`", other)),
            };
            let round = Round {
                entropy: line.parse("entropy", "a number")?,
                entropy_std_err: line.parse("entropy_std_err", "a number")?,
                accepted,
                penalty: line.parse("penalty", "a number")?,
                constraints: vec![Constraint {
                    statistic: line.text("statistic").to_owned(),
                    target: line.parse("target", "a number")?,
                    mean: line.parse("mean", "a number")?,
                    std_err: line.parse("std_err", "a number")?,
                    std_dev: line.parse("std_dev", "a number")?,
                    multiplier: line.parse("multiplier", "a number")?,
                    exact: line.parse_or_empty("exact")?,
                }],
            };
            Ok((line.parse("step", "a whole number")?, round))
        })?;
        for (step, round) in lines {
            match rounds.last_mut() {
                Some((last, same)) if *last == step => same.constraints.extend(round.constraints),
                _ => rounds.push((step, round)),
            }
        }
        Ok(rounds)
    }

    /// Writes the whole of `modes.csv`: the weight of every mode of the truth and what the model's
    /// `n` samples make of it.
    pub fn write_modes(&self, weights: &[f64], found: &[f64], n: usize) -> Result<PathBuf> {
        let lines = weights.iter().zip(found).enumerate().map(|(j, (w, f))| {
            let std_err = (f * (1.0 - f) / n as f64).max(0.0).sqrt();
            [j.to_string(), exact(*w), exact(*f), exact(std_err)]
        });
        self.write("modes.csv", &csv_bytes(MODES, lines)?)
    }

    /// Writes the whole of `levels.csv`: for density levels of the truth the share of its own mass that
    /// lies below, and the model's mass there.
    pub fn write_levels(&self, levels: &[(f64, f64)]) -> Result<PathBuf> {
        let lines = levels
            .iter()
            .map(|(share, mass)| [exact(*share), exact(*mass)]);
        self.write("levels.csv", &csv_bytes(LEVELS, lines)?)
    }

    /// Writes the whole of `bridges.csv`: for pairs of modes the truth's own share of points below its
    /// 0.1 % density level that lie between them, and the model's.
    pub fn write_bridges(&self, bridges: &BTreeMap<(u32, u32), [f64; 2]>) -> Result<PathBuf> {
        let lines = bridges.iter().map(|((a, b), [truth, model])| {
            [a.to_string(), b.to_string(), exact(*truth), exact(*model)]
        });
        let header = ["mode", "other", "share", "mass"];
        self.write("bridges.csv", &csv_bytes(header, lines)?)
    }

    /// Reads `levels.csv`; nothing where there is no such file.
    pub fn read_levels(&self) -> Result<Vec<(f64, f64)>> {
        let path = self.path("levels.csv");
        if !path.exists() {
            return Ok(Vec::new());
        }
        read_csv(&path, &LEVELS, |line| {
            Ok((
                line.parse("share", "a number")?,
                line.parse("mass", "a number")?,
            ))
        })
    }

    /// Writes the whole of `metrics.csv`.
    pub fn write_metrics(&self, rows: &[MetricRow]) -> Result<PathBuf> {
        self.write_metric_rows("metrics.csv", rows)
    }

    /// Writes the whole of `cost.csv`.
    pub fn write_costs(&self, rows: &[MetricRow]) -> Result<PathBuf> {
        self.write_metric_rows("cost.csv", rows)
    }

    /// Reads `metrics.csv` and, behind it, `cost.csv`.
    pub fn read_metrics(&self) -> Result<Vec<MetricRow>> {
        let mut rows = self.read_metric_rows("metrics.csv")?;
        rows.extend(self.read_metric_rows("cost.csv")?);
        Ok(rows)
    }

    fn write_metric_rows(&self, name: &str, rows: &[MetricRow]) -> Result<PathBuf> {
        let lines = rows.iter().map(|r| {
            [
                r.metric.clone(),
                r.unit.clone(),
                r.better.clone(),
                exact_or_empty(r.value),
                exact_or_empty(r.std_err),
                r.n.to_string(),
                r.non_finite.to_string(),
                r.note.clone(),
            ]
        });
        self.write(name, &csv_bytes(METRICS, lines)?)
    }

    fn read_metric_rows(&self, name: &str) -> Result<Vec<MetricRow>> {
        read_csv(&self.path(name), &METRICS, |line| {
            Ok(MetricRow {
                metric: line.parse("metric", "a key")?,
                unit: line.text("unit").to_owned(),
                better: line.text("better").to_owned(),
                value: line.parse_or_empty("value")?,
                std_err: line.parse_or_empty("std_err")?,
                n: line.parse("n", "a whole number")?,
                non_finite: line.parse("non_finite", "a whole number")?,
                note: line.text("note").to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn history() -> Vec<HistoryRow> {
        let row = |step, split, loss, grad_norm| HistoryRow {
            step,
            split,
            loss,
            grad_norm,
            non_finite: 2,
        };
        vec![
            row(1, Split::Train, 0.1 + 0.2, Some(1e-12)),
            row(1, Split::Validation, f64::INFINITY, None),
        ]
    }

    fn metrics() -> Vec<MetricRow> {
        let row = |metric: &str, value, note: &str| MetricRow {
            metric: metric.into(),
            unit: "nats".into(),
            better: "lower".into(),
            value,
            std_err: None,
            n: 1000,
            non_finite: 0,
            note: note.into(),
        };
        vec![
            row("nll", Some(-1.5), ""),
            row("kl", None, "true density unknown, so \"none\""),
        ]
    }

    #[test]
    fn rows_read_back_as_written_and_unknown_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        let path = run.write_history(&history()).unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "step,split,loss,grad_norm,non_finite\n\
             1,train,0.30000000000000004,1e-12,2\n\
             1,validation,inf,,2\n"
        );
        assert_eq!(run.read_history().unwrap(), history());
        let path = run.write_metrics(&metrics()).unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "metric,unit,better,value,std_err,n,non_finite,note\n\
             nll,nats,lower,-1.5,,1000,0,\n\
             kl,nats,lower,,,1000,0,\"true density unknown, so \"\"none\"\"\"\n"
        );
        run.write_costs(&metrics()[..1]).unwrap();
        let both = [metrics(), metrics()[..1].to_vec()].concat();
        assert_eq!(run.read_metrics().unwrap(), both);
        run.write_history(&[]).unwrap();
        assert_eq!(run.read_history().unwrap(), []);
        assert_eq!(run.read_levels().unwrap(), []);
        let path = run.write_levels(&[(0.0, 0.25), (1e-3, 0.5)]).unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(text, "share,mass\n0,0.25\n0.001,0.5\n");
        assert_eq!(run.read_levels().unwrap(), [(0.0, 0.25), (1e-3, 0.5)]);
    }

    #[test]
    fn damage_is_reported_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        let head = "step,split,loss,grad_norm,non_finite\n";
        let cases = [
            ("", "history.csv:1: expected the columns `step,split"),
            (
                "step,loss\n",
                "history.csv:1: expected the columns `step,split,loss,grad_norm,non_finite`; \
                 got `step,loss`",
            ),
            (
                &format!("{head}1,train,2,,0\n2,train,2,"),
                "history.csv:3: the last line does not end: the file is cut off",
            ),
            (
                &format!("{head}1,train,2,,0\n2,train\n"),
                "history.csv:3: expected 5 cells; got 2",
            ),
            (
                &format!("{head}1,test,2,,0\n"),
                "history.csv:2: `split`: expected `train` or `validation`; got `test`",
            ),
            (
                &format!("{head}1,train,two,,0\n"),
                "history.csv:2: `loss`: expected a number; got `two`",
            ),
            (
                &format!("{head}1,train,2,x,0\n"),
                "history.csv:2: `grad_norm`: expected a number or nothing; got `x`",
            ),
        ];
        for (text, expected) in cases {
            fs::write(run.path("history.csv"), text).unwrap();
            let got = run.read_history().unwrap_err().to_string();
            assert!(got.contains(expected), "expected {expected}\ngot {got}");
        }
        fs::write(run.path("history.csv"), b"step,\xff\xfe\n").unwrap();
        let got = run.read_history().unwrap_err().to_string();
        assert!(got.contains("history.csv:1: not readable as CSV"), "{got}");
        assert!(run
            .read_metrics()
            .unwrap_err()
            .to_string()
            .contains("metrics.csv"));
    }
}
