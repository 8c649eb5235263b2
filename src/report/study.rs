//! The report of a study, from its CSV files alone.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::digits::{dash, plain, with_half};
use super::figures;
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
    /// Estimates of its entropy.
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

    /// Temperatures of the entropies, each once, in the order of the file.
    pub fn temperatures(&self) -> Vec<f64> {
        distinct(self.entropies.iter().map(|row| row.temperature))
    }

    /// Names of the strategies, each once, in the order of the file.
    pub fn strategies(&self) -> Vec<&str> {
        distinct(self.gradients.iter().map(|row| row.strategy.as_str()))
    }

    /// Estimates with one density at one temperature, M from small to large.
    pub fn entropies(&self, temperature: f64, density: Density) -> Vec<&EntropyRow> {
        let mut rows = self.of(density);
        rows.retain(|r| r.temperature == temperature);
        rows.sort_by_key(|r| r.inner);
        rows
    }

    /// Gradients by one parameter.
    pub fn by(&self, parameter: Parameter) -> impl Iterator<Item = &GradientRow> {
        let all = self.gradients.iter();
        all.filter(move |r| r.parameter == parameter)
    }

    fn of(&self, density: Density) -> Vec<&EntropyRow> {
        let rows = self.entropies.iter();
        rows.filter(|r| r.density == density).collect()
    }
}

fn distinct<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// What [`study`] found and wrote.
#[derive(Debug, Clone)]
pub struct StudyReport {
    /// The page that is written to `summary.md`.
    pub page: String,
    /// All rows, as in the CSV files.
    pub json: Value,
    /// Files written.
    pub files: Vec<PathBuf>,
}

/// Writes `summary.md` and `figures/`, which depend only on the CSV files, the name and the command.
pub fn study(folder: &Path, name: &str, command: &str) -> Result<StudyReport> {
    let study = Study::read(folder, name, command)?;
    let figures = figures::draw_study(&study, folder)?;
    let page = page(&study, &figures);
    let mut files = vec![folder.join("summary.md")];
    write_atomic(&files[0], page.as_bytes())?;
    files.extend(figures);
    Ok(StudyReport {
        json: study.json()?,
        page,
        files,
    })
}

/// `straight_through 0.5`
fn label(row: &GradientRow) -> String {
    let at = row.temperature.map(|t| format!(" {t}"));
    row.strategy.clone() + &at.unwrap_or_default()
}

/// `header` has the names as they are written, with ` | ` between them.
fn table(header: &str, rule: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rules = format!(" | {rule}").repeat(header.matches(" | ").count());
    let rows = rows.map(|row| format!("| {} |\n", row.join(" | ")));
    format!("| {header} |\n| ---{rules} |\n{}", rows.collect::<String>())
}

fn page(study: &Study<'_>, figures: &[PathBuf]) -> String {
    let opening = format!(
        "# {}\n\n`{}` · mdn {}\n\n± one standard error. Entropies in nats; biases and noise of \
         gradients relative to the length of the true gradient.\n\n## What holds\n\n",
        study.name,
        study.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
    );
    let choices = claims(study).into_iter().map(|(says, (holds, evidence))| {
        let verdict = match holds {
            Some(true) => "**yes**",
            Some(false) => "**no**",
            None => "not studied",
        };
        vec![says.to_owned(), verdict.to_owned(), evidence]
    });
    let choices = table("choice | holds | found", "---", choices);
    let parts = [
        opening,
        choices,
        relaxed(study),
        entropies(study),
        gradients(study),
    ];
    let png = |f: &&PathBuf| f.extension().is_some_and(|e| e == "png");
    let figures = figures.iter().filter(png).map(|figure| {
        let name = figure.file_name().unwrap_or_default().to_string_lossy();
        format!("\n![{name}](figures/{name})\n")
    });
    parts.into_iter().chain(figures).collect()
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
        let cells = [
            (r.entropy, 6),
            (r.exact_mixture, 6),
            (r.kl_to_mixture, 5),
            (r.kl_from_mixture, 5),
            (r.total_variation, 4),
            (r.mean, 4),
            (r.variance, 3),
            (r.joint_entropy, 3),
            (r.conditional_entropy, 2),
            (r.chi2, 2),
        ];
        let cells = cells.map(|(value, decimals)| format!("{value:.decimals$}"));
        [vec![r.temperature.to_string()], cells.to_vec()].concat()
    });
    opening.to_owned() + &table(header, "---:", rows)
}

fn entropies(study: &Study<'_>) -> String {
    let signed = |r: &EntropyRow| {
        let text = bias(r);
        let plus = r.bias > 0.0 && !text.starts_with('(');
        format!("{}{text}", if plus { "+" } else { "" })
    };
    let temperatures = study.temperatures();
    let by_size = temperatures.iter().flat_map(|&t| {
        let columns = [
            Density::NestedIncludingOwn,
            Density::NestedExcludingOwn,
            Density::Midpoint,
            Density::BatchIncludingOwn,
        ];
        let columns = columns.map(|density| study.entropies(t, density));
        let row = |own: &&EntropyRow| {
            let size = format!("{t}, {}", own.inner.unwrap_or_default());
            let mut row = vec![size, own.samples.to_string()];
            row.extend(columns.iter().map(|rows| {
                let same = rows.iter().find(|r| r.inner == own.inner);
                same.map_or_else(dash, |r| signed(r))
            }));
            row.push(plain(own.predicted.abs()));
            row
        };
        columns[0].iter().map(row).collect::<Vec<_>>()
    });
    let header = "temperature, M | samples | own included | own excluded | midpoint | \
                  whole batch | chi2 / (2 M)";
    let by_size = table(header, "---:", by_size);
    let equations = temperatures.iter().map(|&t| {
        let mut row = vec![t.to_string()];
        for density in [Density::ExactMixture, Density::Joint] {
            row.extend(match study.entropies(t, density).first() {
                Some(r) => [signed(r), plain(r.predicted)],
                None => [dash(), dash()],
            });
        }
        row
    });
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
    let numbers = |row: &GradientRow| {
        let unbiased = row.looks_unbiased();
        let bias = if unbiased { 0.0 } else { row.relative_bias };
        let bias = with_half(bias, row.bias_std_err);
        [bias, with_half(row.sd, row.sd_std_err)]
    };
    let rows = study.by(Parameter::Logits).map(|own| {
        let mut cells = vec![format!("`{}`", label(own)), own.evaluations.to_string()];
        cells.extend(numbers(own));
        cells.push(format!("{:.3}", own.cosine));
        for parameter in [Parameter::Means, Parameter::LogStdDevs] {
            let same = study.by(parameter).find(|r| label(r) == label(own));
            cells.extend(same.map_or_else(|| [dash(), dash()], numbers));
        }
        cells
    });
    opening + &table(header, "---:", rows)
}

/// Whether the rows agree with a claim (`None` where there are none to tell), and the evidence in
/// numbers.
type Finding = (Option<bool>, String);

/// Choices that a program may make, with what was found.
fn claims(study: &Study<'_>) -> Vec<(&'static str, Finding)> {
    vec![
        (
            "Nested density with the sample's own weights: a lower bound of the entropy",
            bound(study, Density::NestedIncludingOwn, -1.0),
        ),
        (
            "Nested density without the sample's own weights: an upper bound of the entropy",
            bound(study, Density::NestedExcludingOwn, 1.0),
        ),
        (
            "Both bounds are off by chi2 / (2 M) where M is large (shown: the largest M)",
            law(study),
        ),
        (
            "The midpoint of both bounds is nearer to the entropy than either, from some M on",
            midpoint(study),
        ),
        (
            "The weights of the whole batch serve as well as fresh ones for each sample",
            shared(study),
        ),
        (
            "Equation 1, the mixture's density on relaxed samples, gives their entropy",
            is_entropy(study, Density::ExactMixture, "KL(relaxed‖mixture)"),
        ),
        (
            "Equation 2, the joint density of sample and weights, gives the entropy of samples",
            is_entropy(
                study,
                Density::Joint,
                "H(c given z), which depends on the measure of c",
            ),
        ),
        (
            "The relaxed mixture may stand for the mixture (total variation below 0.01)",
            (
                all_hold(&study.relaxed, |r| r.total_variation < 0.01),
                joined("; ", &study.relaxed, |r| {
                    format!("{:.4} at {}", r.total_variation, r.temperature)
                }),
            ),
        ),
        (
            "Stratified draws are unbiased, with the least noise, for the logits",
            stratified(study, Parameter::Logits),
        ),
        (
            "Stratified draws are unbiased, with the least noise, for the means",
            stratified(study, Parameter::Means),
        ),
        (
            "Stratified draws are unbiased, with the least noise, for the log standard deviations",
            stratified(study, Parameter::LogStdDevs),
        ),
        (
            "Gumbel-softmax gives the gradients of the mixture",
            biased(study, "gumbel_softmax", "noise", |r| r.sd),
        ),
        (
            "Straight-through gives the gradients of the mixture",
            straight_through(study),
        ),
    ]
}

/// `None` for no rows.
fn all_hold<T>(rows: impl IntoIterator<Item = T>, holds: impl Fn(T) -> bool) -> Option<bool> {
    rows.into_iter().map(holds).reduce(|a, b| a && b)
}

fn joined<T>(by: &str, rows: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    rows.into_iter().map(text).collect::<Vec<_>>().join(by)
}

fn at(row: &EntropyRow) -> String {
    let inner = row.inner.map_or_else(String::new, |m| format!(", M = {m}"));
    format!("at temperature {}{inner}", row.temperature)
}

fn bias(row: &EntropyRow) -> String {
    with_half(row.bias, row.bias_std_err)
}

fn bound(study: &Study<'_>, density: Density, sign: f64) -> Finding {
    let mut rows = study.of(density);
    rows.sort_by(|a, b| a.bias.abs().total_cmp(&b.bias.abs()));
    let holds = all_hold(&rows, |r| -sign * r.bias / r.bias_std_err < CHANCE);
    let ends = rows.last().zip(rows.first());
    let evidence = ends.map(|(far, near)| {
        let (most, least) = (bias(far), bias(near));
        format!("off by {most} nats {}, {least} {}", at(far), at(near))
    });
    (holds, evidence.unwrap_or_default())
}

/// Over the largest M of every temperature.
fn law(study: &Study<'_>) -> Finding {
    let rows = study.temperatures().into_iter().flat_map(|t| {
        let bounds = [
            (Density::NestedIncludingOwn, "below"),
            (Density::NestedExcludingOwn, "above"),
        ];
        bounds.map(|(density, word)| Some((word, study.entropies(t, density).pop()?)))
    });
    let rows: Vec<_> = rows.flatten().collect();
    let holds = all_hold(&rows, |(_, row)| {
        // The next term of the series is smaller by about chi2 / M, and its factor of order one.
        let next = (2.0 * row.predicted.abs()).powi(2);
        (row.bias - row.predicted).abs() < CHANCE * row.bias_std_err + 3.0 * next
    });
    let evidence = joined("; ", &rows, |(word, row)| {
        let (t, m) = (row.temperature, row.inner.unwrap_or_default());
        let (bias, predicted) = (bias(row), plain(row.predicted));
        format!("{word} {bias} against {predicted} at {t}, M = {m}")
    });
    (holds, evidence)
}

fn midpoint(study: &Study<'_>) -> Finding {
    let mut found = Vec::new();
    for t in study.temperatures() {
        let densities = [
            Density::NestedIncludingOwn,
            Density::NestedExcludingOwn,
            Density::Midpoint,
        ];
        let [below, above, middle] = densities.map(|d| study.entropies(t, d));
        let n = middle.len();
        if n == 0 || below.len() != n || above.len() != n {
            continue;
        }
        let nearer = |i: &usize| {
            let nearest = below[*i].bias.abs().min(above[*i].bias.abs());
            middle[*i].bias.abs() < nearest + CHANCE * middle[*i].bias_std_err
        };
        let m = |i: usize| middle[i].inner.unwrap_or_default();
        let from = (0..n).rev().take_while(nearer).last();
        let text = match from {
            Some(i) => format!("at {t} from M = {}: off by {}", m(i), bias(middle[i])),
            None => format!("at {t} not up to M = {}", m(n - 1)),
        };
        found.push((from.is_some(), text));
    }
    let holds = all_hold(&found, |(fine, _)| *fine);
    (holds, joined("; ", found, |(_, text)| text))
}

fn shared(study: &Study<'_>) -> Finding {
    let batches = study.of(Density::BatchIncludingOwn).into_iter();
    let pairs = batches.filter_map(|batch| {
        let fresh = study.entropies(batch.temperature, Density::NestedIncludingOwn);
        let fresh = fresh.into_iter().find(|r| r.inner == batch.inner)?;
        let error = batch.bias_std_err.hypot(fresh.bias_std_err);
        Some(((batch.bias - fresh.bias).abs() / error, batch, fresh))
    });
    let Some((off, batch, fresh)) = pairs.max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return (None, String::new());
    };
    let evidence = format!(
        "bias {} against {}, {off:.1} standard errors apart, {}: the farthest",
        bias(batch),
        bias(fresh),
        at(batch)
    );
    (Some(off < CHANCE), evidence)
}

fn is_entropy(study: &Study<'_>, density: Density, off: &str) -> Finding {
    let rows = study.of(density);
    let holds = all_hold(&rows, |r| r.bias.abs() < CHANCE * r.bias_std_err);
    let biases = joined("; ", rows, |r| format!("{} at {}", bias(r), r.temperature));
    (holds, format!("off by {off}: {biases}"))
}

fn stratified(study: &Study<'_>, parameter: Parameter) -> Finding {
    let unbiased = study.by(parameter).filter(|r| r.looks_unbiased());
    let mut unbiased: Vec<_> = unbiased.collect();
    unbiased.sort_by(|a, b| a.sd.total_cmp(&b.sd));
    let stratified = study.by(parameter).find(|r| r.strategy == "stratified");
    let holds = stratified.map(|s| {
        let worse = |r: &&GradientRow| s.sd - r.sd > CHANCE * s.sd_std_err.hypot(r.sd_std_err);
        s.looks_unbiased() && !unbiased.iter().any(worse)
    });
    let noises = joined(", ", unbiased, |r| {
        format!("`{}` {}", label(r), with_half(r.sd, r.sd_std_err))
    });
    (holds, format!("unbiased within error, by noise: {noises}"))
}

/// `number` is shown after the bias, and called `word`.
fn biased(
    study: &Study<'_>,
    strategy: &str,
    word: &str,
    number: fn(&GradientRow) -> f64,
) -> Finding {
    let rows = study.gradients.iter().filter(|r| r.strategy == strategy);
    let holds = all_hold(rows.clone(), GradientRow::looks_unbiased);
    let logits = rows.filter(|r| r.parameter == Parameter::Logits);
    let biases = joined("; ", logits, |r| {
        let bias = with_half(r.relative_bias, r.bias_std_err);
        let number = plain((100.0 * number(r)).round() / 100.0);
        let t = r.temperature.unwrap_or_default();
        format!("{bias} at {t} ({word} {number})")
    });
    (holds, format!("bias for the logits: {biases}"))
}

fn straight_through(study: &Study<'_>) -> Finding {
    let name = "straight_through";
    let (holds, mut evidence) = biased(study, name, "cosine", |r| r.cosine);
    let rows = study.gradients.iter().filter(|r| r.strategy == name);
    let mut others = rows.filter(|r| r.parameter != Parameter::Logits);
    evidence.push_str(match others.all(GradientRow::looks_unbiased) {
        true => "; means and log standard deviations unbiased within error",
        false => "; means or log standard deviations biased too",
    });
    (holds, evidence)
}

/// The folder of a study of two temperatures, four sizes and eight strategies.
#[cfg(test)]
pub const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/fixture/study");

/// What its files hold.
#[cfg(test)]
pub fn fixture() -> Study<'static> {
    Study::read(Path::new(FIXTURE), "three", "mdn study three.toml").unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    fn verdicts(study: &Study<'_>) -> Vec<Option<bool>> {
        claims(study).into_iter().map(|c| c.1 .0).collect()
    }

    #[test]
    fn claims_follow_the_rows() {
        let good = fixture();
        let expected = [YES, YES, YES, YES, YES, NO, NO, NO, YES, YES, NO, NO, NO];
        assert_eq!(verdicts(&good), expected, "{:#?}", claims(&good));
        let mut none = good.clone();
        none.entropies.clear();
        none.gradients.clear();
        none.relaxed.clear();
        assert_eq!(verdicts(&none), [None; 13]);
        // Each breaks the claim of this index, and none of those on other rows.
        let shifts = [
            (0, Density::NestedIncludingOwn, 10, 0.2),
            (1, Density::NestedExcludingOwn, 10, -0.4),
            (2, Density::NestedExcludingOwn, 1000, 0.05),
            (3, Density::Midpoint, 1000, 0.1),
            (4, Density::BatchIncludingOwn, 100, 0.01),
        ];
        for (index, density, inner, by) in shifts {
            let mut study = good.clone();
            for row in &mut study.entropies {
                if row.density == density && row.inner == Some(inner) {
                    row.bias += by;
                }
            }
            assert_eq!(verdicts(&study)[index], NO, "{:#?}", claims(&study)[index]);
            assert_eq!(verdicts(&study)[5..], expected[5..], "{index}");
        }
        for (index, parameter) in [(8, Parameter::Logits), (9, Parameter::Means)] {
            let mut study = good.clone();
            for row in &mut study.gradients {
                if row.strategy == "stratified" && row.parameter == parameter {
                    row.relative_bias = 0.5;
                }
            }
            let mut broken = expected;
            broken[index] = NO;
            assert_eq!(verdicts(&study), broken, "{index}");
        }
    }

    #[test]
    fn a_study_is_reported_from_its_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["relaxed.csv", "entropy.csv", "gradients.csv"] {
            std::fs::copy(Path::new(FIXTURE).join(name), dir.path().join(name)).unwrap();
        }
        let report = study(dir.path(), "three", "mdn study three.toml").unwrap();
        for part in [
            "# three\n\n`mdn study three.toml`",
            "| Equation 1, the mixture's density on relaxed samples, gives their entropy | **no** |",
            "| 0.1 | 2.140000 | 2.158000 | 0.01800 |",
            "| 0.1, 10 | 600000 | -0.12200 ± 0.00022 | +0.22900 ± 0.00025 |",
            "| `gumbel_softmax 0.1` | 16 | 0.1350 ± 0.0072 | 10.200 ± 0.051 |",
            "| `stratified` | 16 | 0.00000 ± 0.00098 | 1.3900 ± 0.0069 |",
            "![gradients.png](figures/gradients.png)",
        ] {
            assert!(report.page.contains(part), "{part}\n{}", report.page);
        }
        assert_eq!(report.json["entropy"][0]["density"], "nested_including_own");
    }
}
