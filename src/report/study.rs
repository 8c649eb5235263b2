//! The report of a study, from its CSV files alone.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::digits::{dash, plain, signed, with_half};
use super::markdown_table;
use crate::experiment::store::{json_rows, read_rows, write_atomic};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow, CHANCE};
use mdn_core::Result;

mod findings;

use findings::{findings, CLAIMS};

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

    /// Writes `summary.md`, which shows `figures`, and returns its text.
    pub fn write(&self, folder: &Path, figures: &[PathBuf]) -> Result<String> {
        let page = page(self, figures);
        write_atomic(&folder.join("summary.md"), page.as_bytes())?;
        Ok(page)
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

fn bias(row: &EntropyRow) -> String {
    with_half(row.bias, row.bias_std_err)
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
    let choices = markdown_table("choice | holds | found", "---", choices);
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
    opening.to_owned() + &markdown_table(header, "---:", rows)
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
    let by_size = markdown_table(header, "---:", by_size);
    let header = "temperature | equation 1 | exact | equation 2 | exact";
    let equations = markdown_table(header, "---:", equations);
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
         |truth|, 0 where it is within {CHANCE} of the error behind it; noise: sqrt(total variance x \
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
    opening + &markdown_table(header, "---:", rows)
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
    use super::findings::Finding;
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
        let figures = ["entropy-bounds.png", "entropy-bounds.svg", "gradients.png"];
        let page = fixture()
            .write(dir.path(), &figures.map(PathBuf::from))
            .unwrap();
        let written = std::fs::read_to_string(dir.path().join("summary.md"));
        assert_eq!(page, written.unwrap());
        let expected = include_str!("fixture/study/summary.md");
        assert_eq!(page.replace(env!("CARGO_PKG_VERSION"), "VERSION"), expected);
        let first = &fixture().json().unwrap()["entropy"][0]["density"];
        assert_eq!(first, "nested_including_own");
    }
}
