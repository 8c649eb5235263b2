//! The report of a study, from its CSV files alone.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::digits::{dash, plain, signed, with_half};
use super::figures;
use super::page::table;
use crate::experiment::store::{json_rows, read_rows, write_atomic};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow};
use mdn_core::Result;

/// A deviation of at most this many standard errors counts as chance.
const CHANCE: f64 = 3.5;

/// The contents of a study's files.
#[derive(Debug, Clone)]
pub struct Study<'a> {
    /// Its name.
    pub name: &'a str,
    /// The user's command line, which every figure shows.
    pub command: &'a str,
    /// The relaxed mixture by temperature.
    pub relaxed: Vec<RelaxedRow>,
    /// Estimates of its entropy, by temperature.
    pub entropies: Vec<EntropyRow>,
    /// Estimates of a gradient.
    pub gradients: Vec<GradientRow>,
}

impl<'a> Study<'a> {
    /// Reads the three CSV files in `folder`.
    pub fn read(folder: &Path, name: &'a str, command: &'a str) -> Result<Self> {
        Ok(Self {
            name,
            command,
            relaxed: read_rows(&folder.join("relaxed.csv"))?,
            entropies: read_rows(&folder.join("entropy.csv"))?,
            gradients: read_rows(&folder.join("gradients.csv"))?,
        })
    }

    /// All rows, as in the CSV files.
    pub fn json(&self) -> Result<Value> {
        Ok(json!({
            "study": self.name,
            "relaxed": json_rows(&self.relaxed)?,
            "entropy": json_rows(&self.entropies)?,
            "gradients": json_rows(&self.gradients)?,
        }))
    }

    /// Writes `summary.md`, whose text it returns, and `figures/`, from the rows alone.
    pub fn write(&self, folder: &Path) -> Result<(String, Vec<PathBuf>)> {
        let mut files = figures::draw_study(self, folder)?;
        let page = page(self, &files);
        files.insert(0, folder.join("summary.md"));
        write_atomic(&files[0], page.as_bytes())?;
        Ok((page, files))
    }

    /// Temperatures of the entropies, each once.
    pub fn temperatures(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.entropies.iter().map(|r| r.temperature).collect();
        all.dedup();
        all
    }

    /// Estimates with one density at one temperature, M from small to large.
    pub fn entropies(&self, temperature: f64, density: Density) -> Vec<&EntropyRow> {
        let mut rows = self.of(density);
        rows.retain(|r| r.temperature == temperature);
        rows.sort_by_key(|r| r.inner);
        rows
    }

    /// Gradients by one parameter.
    pub fn by(&self, parameter: Parameter) -> Vec<&GradientRow> {
        let all = self.gradients.iter();
        all.filter(|r| r.parameter == parameter).collect()
    }

    fn of(&self, density: Density) -> Vec<&EntropyRow> {
        let rows = self.entropies.iter();
        rows.filter(|r| r.density == density).collect()
    }
}

/// `straight_through 0.5`
fn label(row: &GradientRow) -> String {
    let at = row.temperature.map(|t| format!(" {t}"));
    row.strategy.clone() + &at.unwrap_or_default()
}

fn page(study: &Study<'_>, figures: &[PathBuf]) -> String {
    let opening = format!(
        "# {}\n\n`{}` · mdn {}\n\n± one standard error. Entropies in nats; biases and noise of \
         gradients relative to the length of the true gradient.\n\n## What holds\n\n",
        study.name,
        study.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
    );
    let choices = CLAIMS.lines().zip(findings(study));
    let choices = choices.map(|(claim, (holds, evidence))| {
        let verdict = match holds {
            Some(true) => "**yes**",
            Some(false) => "**no**",
            None => "not studied",
        };
        vec![claim.to_owned(), verdict.to_owned(), evidence]
    });
    let choices = table("choice | holds | found", "---", choices);
    let tables = [relaxed(study), entropies(study), gradients(study)].concat();
    let png = |f: &&PathBuf| f.extension().is_some_and(|e| e == "png");
    let figures = figures.iter().filter(png).map(|figure| {
        let name = figure.file_name().unwrap_or_default().to_string_lossy();
        format!("\n![{name}](figures/{name})\n")
    });
    opening + &choices + &tables + &figures.collect::<String>()
}

fn relaxed(study: &Study<'_>) -> String {
    let opening = "\n## The relaxed mixture\n\nBy quadrature. H: entropy of a relaxed sample z; \
        equation 1: mean of -log of the mixture's density over relaxed samples; TV: total variation \
        between relaxed and mixture; H(z, c) and H(c given z) with relaxed weights c by Lebesgue \
        measure on the simplex (equation 2); chi2: nested densities over M terms are off by chi2 / (2 \
        M).\n\n";
    let header = "temperature | H | equation 1 | KL(relaxed to mixture) | \
                  KL(mixture to relaxed) | TV | mean | variance | H(z, c) | H(c given z) | chi2";
    let rows = study.relaxed.iter().map(|r| {
        vec![
            r.temperature.to_string(),
            format!("{:.6}", r.entropy),
            format!("{:.6}", r.exact_mixture),
            format!("{:.5}", r.kl_to_mixture),
            format!("{:.5}", r.kl_from_mixture),
            format!("{:.4}", r.total_variation),
            format!("{:.4}", r.mean),
            format!("{:.3}", r.variance),
            format!("{:.3}", r.joint_entropy),
            format!("{:.2}", r.conditional_entropy),
            format!("{:.2}", r.chi2),
        ]
    });
    opening.to_owned() + &table(header, "---:", rows)
}

fn entropies(study: &Study<'_>) -> String {
    let cell = |row: Option<&&EntropyRow>| row.map_or_else(dash, |r| signed(r.bias, &bias(r)));
    let (mut by_size, mut equations) = (Vec::new(), Vec::new());
    for t in study.temperatures() {
        let of = |density| study.entropies(t, density);
        let (own, others) = (
            of(Density::NestedIncludingOwn),
            [
                Density::NestedExcludingOwn,
                Density::Midpoint,
                Density::BatchIncludingOwn,
            ]
            .map(of),
        );
        for row in &own {
            let size = format!("{t}, {}", row.inner.unwrap_or_default());
            let mut cells = vec![size, row.samples.to_string(), cell(Some(row))];
            let same = |rows: &Vec<&EntropyRow>| cell(rows.iter().find(|r| r.inner == row.inner));
            cells.extend(others.iter().map(same));
            cells.push(plain(row.predicted.abs()));
            by_size.push(cells);
        }
        let mut cells = vec![t.to_string()];
        for rows in [Density::ExactMixture, Density::Joint].map(of) {
            let exact = rows.first().map_or_else(dash, |r| plain(r.predicted));
            cells.extend([cell(rows.first()), exact]);
        }
        equations.push(cells);
    }
    let header = "temperature, M | samples | own included | own excluded | midpoint | \
                  whole batch | chi2 / (2 M)";
    let by_size = table(header, "---:", by_size);
    let header = "temperature | equation 1 | exact | equation 2 | exact";
    let equations = table(header, "---:", equations);
    format!(
        "\n## Entropies\n\nDistance from the true entropy, with log p(z) by quadrature at every \
         sample as its own control.\n\n{by_size}\n{equations}"
    )
}

fn gradients(study: &Study<'_>) -> String {
    let Some(first) = study.gradients.first() else {
        return String::new();
    };
    let opening = format!(
        "\n## Gradients\n\nOf E sin(1.5 z) + 0.15 z², {} estimates each. Bias: |mean - truth| / \
         |truth|, 0 where it is within 3.5 of the error behind it; noise: sqrt(total variance x \
         evaluations) / |truth|; cosine: between mean and truth, for the logits.\n\n",
        first.estimates
    );
    let header = "strategy | evaluations | logits: bias | noise | cosine | means: bias | noise | \
                  log std devs: bias | noise";
    let rows = study.by(Parameter::Logits).into_iter().map(|own| {
        let mut cells = vec![format!("`{}`", label(own)), own.evaluations.to_string()];
        for parameter in Parameter::ALL {
            let same = study.by(parameter).into_iter();
            let Some(row) = same.into_iter().find(|r| label(r) == label(own)) else {
                cells.extend([dash(), dash()]);
                continue;
            };
            let unbiased = row.looks_unbiased();
            let bias = if unbiased { 0.0 } else { row.relative_bias };
            cells.push(with_half(bias, row.bias_std_err));
            cells.push(with_half(row.sd, row.sd_std_err));
            if parameter == Parameter::Logits {
                cells.push(format!("{:.3}", row.cosine));
            }
        }
        cells
    });
    opening + &table(header, "---:", rows)
}

/// Whether the rows agree with a claim (`None` without rows), and the evidence in numbers.
type Finding = (Option<bool>, String);

/// A claim about each of some rows: whether it holds there, and the evidence.
fn all_hold(rows: impl Iterator<Item = (bool, String)>) -> Finding {
    let (holds, evidence): (Vec<bool>, Vec<String>) = rows.unzip();
    let verdict = (!holds.is_empty()).then(|| !holds.contains(&false));
    (verdict, evidence.join("; "))
}

/// Choices that a program may make: a line for each of [`findings`].
const CLAIMS: &str = "\
Nested density with the sample's own weights: a lower bound of the entropy
Nested density without the sample's own weights: an upper bound of the entropy
Both bounds are off by chi2 / (2 M) where M is large (shown: the largest M)
The midpoint of both bounds is nearer to the entropy than either, from some M on
The weights of the whole batch serve as well as fresh ones for each sample
Equation 1, the mixture's density on relaxed samples, gives their entropy
Equation 2, the joint density of sample and weights, gives the entropy of samples
The relaxed mixture may stand for the mixture (total variation below 0.01)
Stratified draws are unbiased, with the least noise, for the logits
Stratified draws are unbiased, with the least noise, for the means
Stratified draws are unbiased, with the least noise, for the log standard deviations
Gumbel-softmax gives the gradients of the mixture
Straight-through gives the gradients of the mixture";

/// What was found on each of [`CLAIMS`].
fn findings(study: &Study<'_>) -> [Finding; 13] {
    let relaxed = study.relaxed.iter().map(|r| {
        let (tv, t) = (r.total_variation, r.temperature);
        (tv < 0.01, format!("{tv:.4} at {t}"))
    });
    let equation_2 = "H(c given z), which depends on the measure of c";
    [
        is_bound(study, Density::NestedIncludingOwn, -1.0),
        is_bound(study, Density::NestedExcludingOwn, 1.0),
        follow_theory(study),
        midpoint_is_nearest(study),
        batch_is_as_good(study),
        is_entropy(study, Density::ExactMixture, "KL(relaxed‖mixture)"),
        is_entropy(study, Density::Joint, equation_2),
        all_hold(relaxed),
        stratified_is_best(study, Parameter::Logits),
        stratified_is_best(study, Parameter::Means),
        stratified_is_best(study, Parameter::LogStdDevs),
        is_unbiased(study, "gumbel_softmax", ("noise", |r| r.sd)),
        is_unbiased(study, "straight_through", ("cosine", |r| r.cosine)),
    ]
}

fn at(row: &EntropyRow) -> String {
    let inner = row.inner.map_or_else(String::new, |m| format!(", M = {m}"));
    format!("at temperature {}{inner}", row.temperature)
}

fn bias(row: &EntropyRow) -> String {
    with_half(row.bias, row.bias_std_err)
}

/// Whether no bias has the opposite of `sign`.
fn is_bound(study: &Study<'_>, density: Density, sign: f64) -> Finding {
    let mut rows = study.of(density);
    rows.sort_by(|a, b| a.bias.abs().total_cmp(&b.bias.abs()));
    let holds = rows
        .iter()
        .all(|r| -sign * r.bias / r.bias_std_err < CHANCE);
    let found = rows.last().zip(rows.first()).map(|(far, near)| {
        let (most, least) = (bias(far), bias(near));
        (
            holds,
            format!("off by {most} nats {}, {least} {}", at(far), at(near)),
        )
    });
    all_hold(found.into_iter())
}

fn follow_theory(study: &Study<'_>) -> Finding {
    let mut found = Vec::new();
    for t in study.temperatures() {
        for (density, word) in [
            (Density::NestedIncludingOwn, "below"),
            (Density::NestedExcludingOwn, "above"),
        ] {
            let Some(row) = study.entropies(t, density).pop() else {
                continue;
            };
            // The next term of the series is smaller by about chi2 / M, and its factor of order one.
            let next = (2.0 * row.predicted.abs()).powi(2);
            let off = (row.bias - row.predicted).abs();
            let (bias, predicted) = (bias(row), plain(row.predicted));
            let m = row.inner.unwrap_or_default();
            let text = format!("{word} {bias} against {predicted} at {t}, M = {m}");
            found.push((off < CHANCE * row.bias_std_err + 3.0 * next, text));
        }
    }
    all_hold(found.into_iter())
}

fn midpoint_is_nearest(study: &Study<'_>) -> Finding {
    let mut found = Vec::new();
    for t in study.temperatures() {
        let of = |density| study.entropies(t, density);
        let above = of(Density::NestedExcludingOwn);
        let bounds = of(Density::NestedIncludingOwn).into_iter().zip(above);
        let mut rows: Vec<_> = bounds.zip(of(Density::Midpoint)).collect();
        let nearer = |((below, above), middle): &((&EntropyRow, &EntropyRow), &EntropyRow)| {
            let nearest = below.bias.abs().min(above.bias.abs());
            middle.bias.abs() < nearest + CHANCE * middle.bias_std_err
        };
        let m = |row: &EntropyRow| row.inner.unwrap_or_default();
        let Some((_, largest)) = rows.last().copied() else {
            continue;
        };
        rows.reverse();
        found.push(match rows.into_iter().take_while(nearer).last() {
            Some((_, row)) => (
                true,
                format!("at {t} from M = {}: off by {}", m(row), bias(row)),
            ),
            None => (false, format!("at {t} not up to M = {}", m(largest))),
        });
    }
    all_hold(found.into_iter())
}

fn batch_is_as_good(study: &Study<'_>) -> Finding {
    let batches = study.of(Density::BatchIncludingOwn).into_iter();
    let pairs = batches.filter_map(|batch| {
        let fresh = study.entropies(batch.temperature, Density::NestedIncludingOwn);
        let fresh = fresh.into_iter().find(|r| r.inner == batch.inner)?;
        let error = batch.bias_std_err.hypot(fresh.bias_std_err);
        Some(((batch.bias - fresh.bias).abs() / error, batch, fresh))
    });
    let farthest = pairs.max_by(|a, b| a.0.total_cmp(&b.0));
    let found = farthest.map(|(off, batch, fresh)| {
        let (bias, fresh, at) = (bias(batch), bias(fresh), at(batch));
        let text = format!(
            "bias {bias} against {fresh}, {off:.1} standard errors apart, {at}: the farthest"
        );
        (off < CHANCE, text)
    });
    all_hold(found.into_iter())
}

fn is_entropy(study: &Study<'_>, density: Density, off: &str) -> Finding {
    let rows = study.of(density).into_iter().map(|r| {
        let text = format!("{} at {}", bias(r), r.temperature);
        (r.bias.abs() < CHANCE * r.bias_std_err, text)
    });
    let (holds, biases) = all_hold(rows);
    (holds, format!("off by {off}: {biases}"))
}

fn stratified_is_best(study: &Study<'_>, parameter: Parameter) -> Finding {
    let mut unbiased = study.by(parameter);
    let stratified = unbiased
        .iter()
        .find(|r| r.strategy == "stratified")
        .copied();
    unbiased.retain(|r| r.looks_unbiased());
    unbiased.sort_by(|a, b| a.sd.total_cmp(&b.sd));
    let holds = stratified.map(|s| {
        let worse = |r: &&GradientRow| s.sd - r.sd > CHANCE * s.sd_std_err.hypot(r.sd_std_err);
        s.looks_unbiased() && !unbiased.iter().any(worse)
    });
    let noise = |r: &&GradientRow| format!("`{}` {}", label(r), with_half(r.sd, r.sd_std_err));
    let noises: Vec<String> = unbiased.iter().map(noise).collect();
    (
        holds,
        format!("unbiased within error, by noise: {}", noises.join(", ")),
    )
}

/// Of a strategy, by temperature; a number called `word` is shown after the bias.
fn is_unbiased(
    study: &Study<'_>,
    strategy: &str,
    (word, number): (&str, fn(&GradientRow) -> f64),
) -> Finding {
    let rows = study.gradients.iter().filter(|r| r.strategy == strategy);
    let (logits, others): (Vec<_>, Vec<_>) = rows.partition(|r| r.parameter == Parameter::Logits);
    let [logits_are, others_are] =
        [&logits, &others].map(|rows| rows.iter().all(|r| r.looks_unbiased()));
    let evidence = all_hold(logits.iter().map(|r| {
        let bias = with_half(r.relative_bias, r.bias_std_err);
        let number = plain((100.0 * number(r)).round() / 100.0);
        let t = r.temperature.unwrap_or_default();
        (true, format!("{bias} at {t} ({word} {number})"))
    }));
    let also = match (strategy, others_are) {
        ("straight_through", true) => "; means and log standard deviations unbiased within error",
        ("straight_through", false) => "; means or log standard deviations biased too",
        _ => "",
    };
    (
        evidence.0.map(|_| logits_are && others_are),
        format!("bias for the logits: {}{also}", evidence.1),
    )
}

/// The folder of a study of two temperatures, four sizes and eight strategies.
#[cfg(test)]
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/fixture/study");

/// What its files hold.
#[cfg(test)]
pub fn fixture() -> Study<'static> {
    Study::read(Path::new(FIXTURE), "three", "mdn study three.toml").unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(study: &Study<'_>) -> String {
        let letter = |(holds, _): Finding| holds.map_or('-', |holds| if holds { 'y' } else { 'n' });
        findings(study).map(letter).iter().collect()
    }

    #[test]
    fn claims_follow_the_rows() {
        let good = fixture();
        assert_eq!(verdicts(&good), "yyyyynnnyynnn");
        let none = Study {
            relaxed: Vec::new(),
            entropies: Vec::new(),
            gradients: Vec::new(),
            ..good
        };
        assert_eq!(verdicts(&none), "-------------");
        for (density, inner, by, expected) in [
            (Density::NestedIncludingOwn, 10, 0.2, 0),
            (Density::NestedExcludingOwn, 10, -0.4, 1),
            (Density::NestedExcludingOwn, 1000, 0.05, 2),
            (Density::Midpoint, 1000, 0.1, 3),
            (Density::BatchIncludingOwn, 100, 0.01, 4),
        ] {
            let mut study = fixture();
            let rows = study.entropies.iter_mut();
            rows.filter(|r| (r.density, r.inner) == (density, Some(inner)))
                .for_each(|r| r.bias += by);
            let got = verdicts(&study);
            assert_eq!(&got[expected..=expected], "n", "{density:?}: {got}");
            assert_eq!(&got[5..], "nnnyynnn", "{density:?}");
        }
        for (parameter, expected) in [
            (Parameter::Logits, "yyyyynnnnynnn"),
            (Parameter::Means, "yyyyynnnynnnn"),
        ] {
            let mut study = fixture();
            let rows = study.gradients.iter_mut();
            rows.filter(|r| r.strategy == "stratified" && r.parameter == parameter)
                .for_each(|r| r.relative_bias = 0.5);
            assert_eq!(verdicts(&study), expected);
        }
    }

    #[test]
    fn a_study_is_reported_from_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let (page, files) = fixture().write(dir.path()).unwrap();
        assert_eq!(page, std::fs::read_to_string(&files[0]).unwrap());
        let expected = include_str!("fixture/study/summary.md");
        assert_eq!(page.replace(env!("CARGO_PKG_VERSION"), "VERSION"), expected);
        let first = &fixture().json().unwrap()["entropy"][0]["density"];
        assert_eq!(first, "nested_including_own");
    }
}
