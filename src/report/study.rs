//! The report of a study, from its CSV files alone.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::{json, Value};

use super::digits::{dash, plain, signed, with_half};
use super::markdown_table;
use crate::experiment::store::{csv_rows, json_rows, read_rows, write_atomic};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow, CHANCE};
use mdn_core::Result;

mod findings;

use findings::findings;

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
        let page = page(self, figures)?;
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

fn page(study: &Study<'_>, figures: &[PathBuf]) -> Result<String> {
    let claims = findings(study)
        .into_iter()
        .map(|(claim, agrees, evidence)| {
            let verdict = match agrees {
                Some(true) => "**yes**",
                Some(false) => "**no**",
                None => "not studied",
            };
            vec![claim, verdict.to_owned(), evidence]
        });
    let png = |f: &&PathBuf| f.extension().is_some_and(|e| e == "png");
    let figures = figures.iter().filter(png).map(|figure| {
        let name = figure.file_name().unwrap_or_default().to_string_lossy();
        format!("\n![{name}](figures/{name})\n")
    });
    Ok(format!(
        "# {}\n\n`{}` · mdn {}\n\n± one standard error. Entropies in nats; biases and noise of gradients \
         relative to the length of the true gradient.\n\n## What holds\n\n{}{}{}{}{}",
        study.name,
        study.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
        markdown_table("choice | holds | row that agrees least", "---", claims),
        relaxed(study)?,
        entropies(study),
        gradients(study),
        figures.collect::<String>(),
    ))
}

fn relaxed(study: &Study<'_>) -> Result<String> {
    let csv = csv_rows(&study.relaxed)?;
    let csv = String::from_utf8_lossy(&csv);
    let mut lines = csv.lines().map(|line| line.split(','));
    let header: Vec<&str> = lines.next().into_iter().flatten().collect();
    let number = |text: &str| text.parse().map_or_else(|_| dash(), plain);
    let cells = lines.map(|mut row| {
        let temperature = row.next().map(str::to_owned);
        temperature.into_iter().chain(row.map(number)).collect()
    });
    Ok(format!(
        "\n## The relaxed mixture\n\nBy quadrature. `entropy`: of a relaxed sample z; `exact_mixture`: mean of \
         -log of the mixture's density over relaxed samples (equation 1); `joint_entropy`: of z and the \
         relaxed weights c, `conditional_entropy`: of c given z, both by Lebesgue measure on the simplex \
         (equation 2); `chi2`: nested densities over M terms are off by chi2 / (2 M).\n\n{}",
        markdown_table(&header.join(" | "), "---:", cells)
    ))
}

fn entropies(study: &Study<'_>) -> String {
    let mut sizes: IndexMap<(String, Option<usize>), Vec<&EntropyRow>> = IndexMap::new();
    for row in &study.entropies {
        let size = (row.temperature.to_string(), row.inner);
        sizes.entry(size).or_default().push(row);
    }
    let rows = sizes.into_iter().map(|((temperature, inner), rows)| {
        let inner = inner.map_or_else(dash, |m| m.to_string());
        let mut cells = vec![temperature, inner, rows[0].samples.to_string()];
        cells.extend(Density::ALL.map(|density| {
            let row = rows.iter().find(|r| r.density == density);
            row.map_or_else(dash, |r| signed(r.bias, &bias(r)))
        }));
        cells
    });
    let header =
        "temperature | M | samples | own included | own excluded | midpoint | whole batch | \
                  equation 1 | equation 2";
    format!(
        "\n## Entropies\n\nDistance from the true entropy, with log p(z) by quadrature at every sample as its \
         own control.\n\n{}",
        markdown_table(header, "---:", rows)
    )
}

fn gradients(study: &Study<'_>) -> String {
    let rows = study.gradients.iter().map(|r| {
        let bias = if r.looks_unbiased() {
            0.0
        } else {
            r.relative_bias
        };
        vec![
            format!("`{}`", label(r)),
            r.parameter.words().to_owned(),
            r.evaluations.to_string(),
            with_half(bias, r.bias_std_err),
            with_half(r.sd, r.sd_std_err),
            format!("{:.3}", r.cosine),
        ]
    });
    let estimates = study.gradients.first().map_or(0, |r| r.estimates);
    format!(
        "\n## Gradients\n\nOf E sin(1.5 z) + 0.15 z², {estimates} estimates each. Bias: |mean - truth| / |truth|, \
         0 where it is within {CHANCE} of its error; noise: sqrt(total variance x evaluations) / |truth|; \
         cosine: between mean and truth.\n\n{}",
        markdown_table("strategy | parameters | evaluations | bias | noise | cosine", "---:", rows)
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
        let letter = |agrees: Option<bool>| agrees.map_or('-', |a| if a { 'y' } else { 'n' });
        let findings = findings(study).into_iter();
        findings.map(|(_, agrees, _)| letter(agrees)).collect()
    }

    #[test]
    fn claims_follow_the_rows() {
        assert_eq!(verdicts(&fixture()), "yyyyyynnnyynnn");
        for (density, inner, by, expected) in [
            (Density::NestedIncludingOwn, 10, 0.2, 0),
            (Density::NestedExcludingOwn, 10, -0.4, 1),
            (Density::NestedIncludingOwn, 1000, -0.05, 2),
            (Density::NestedExcludingOwn, 1000, 0.05, 3),
            (Density::Midpoint, 1000, 0.1, 4),
            (Density::BatchIncludingOwn, 100, 0.01, 5),
        ] {
            let mut study = fixture();
            let rows = study.entropies.iter_mut();
            rows.filter(|r| (r.density, r.inner) == (density, Some(inner)))
                .for_each(|r| r.bias += by);
            let got = verdicts(&study);
            assert_eq!(&got[expected..=expected], "n", "{density:?}: {got}");
        }
        let mut study = fixture();
        let rows = study.gradients.iter_mut();
        rows.filter(|r| r.strategy == "stratified")
            .for_each(|r| r.relative_bias = 0.5);
        study.relaxed.clear();
        assert_eq!(verdicts(&study), "yyyyyynn-nnnnn");
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
