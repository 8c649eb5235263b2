//! The report of a study, from its CSV files alone.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::digits::{dash, plain, with_half};
use super::figures;
use crate::experiment::store::{Study, StudyDir};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter};
use mdn_core::Result;

/// Standard errors that chance is given.
const CHANCE: f64 = 3.5;

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

/// Writes `summary.md` and `figures/`: a function of the CSV files, the name and the command alone.
pub fn study(place: &StudyDir, name: &str, command: &str) -> Result<StudyReport> {
    let study = Study::read(place, name, command)?;
    let figures = figures::draw_study(&study, place)?;
    let page = page(&study, &figures);
    let mut files = vec![place.write("summary.md", page.as_bytes())?];
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
    format!("{}{}", row.strategy, at.unwrap_or_default())
}

/// `header` has the names as they are written, with ` | ` between them.
fn table(out: &mut String, header: &str, rule: &str, rows: impl Iterator<Item = Vec<String>>) {
    let rules = format!(" | {rule}").repeat(header.matches(" | ").count());
    let _ = writeln!(out, "| {header} |\n| ---{rules} |");
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

fn page(study: &Study<'_>, figures: &[PathBuf]) -> String {
    let mut out = format!(
        "# {}\n\n`{}` · mdn {}\n\n± one standard error. Entropies in nats; biases and noise of \
         gradients relative to the length of the true gradient.\n\n## What holds\n\n",
        study.name,
        study.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
    );
    let choices = claims(study).into_iter().map(|(says, holds, evidence)| {
        let verdict = match holds {
            Some(true) => "**yes**",
            Some(false) => "**no**",
            None => "not studied",
        };
        vec![says.to_owned(), verdict.to_owned(), evidence]
    });
    table(&mut out, "choice | holds | found", "---", choices);
    relaxed(&mut out, study);
    entropies(&mut out, study);
    gradients(&mut out, study);
    let png = |f: &&PathBuf| f.extension().is_some_and(|e| e == "png");
    for figure in figures.iter().filter(png) {
        let name = figure.file_name().unwrap_or_default().to_string_lossy();
        let _ = write!(out, "\n![{name}](figures/{name})\n");
    }
    out
}

fn relaxed(out: &mut String, study: &Study<'_>) {
    out.push_str(
        "\n## The relaxed mixture\n\nBy quadrature. H: entropy of a relaxed sample z; equation 1: \
         mean of -log of the mixture's density over relaxed samples; TV: total variation between \
         relaxed and mixture; H(z, c) and H(c given z) with relaxed weights c by Lebesgue measure on \
         the simplex (equation 2); chi2: nested densities over M terms are off by chi2 / (2 M).\n\n",
    );
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
        std::iter::once(r.temperature.to_string())
            .chain(cells)
            .collect()
    });
    table(out, header, "---:", rows);
}

fn entropies(out: &mut String, study: &Study<'_>) {
    out.push_str(
        "\n## Entropies\n\nDistance from the true entropy, with log p(z) by quadrature at every \
         sample as its own control.\n\n",
    );
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
        let row = |own: &EntropyRow| {
            let m = own.inner.unwrap_or_default();
            let cells = columns.iter().map(|rows| {
                let same = rows.iter().find(|r| r.inner == own.inner);
                same.map_or_else(dash, |r| signed(r))
            });
            let mut row = vec![format!("{t}, {m}"), own.samples.to_string()];
            row.extend(cells);
            row.push(plain(own.predicted.abs()));
            row
        };
        columns[0].iter().map(|own| row(own)).collect::<Vec<_>>()
    });
    let header = "temperature, M | samples | own included | own excluded | midpoint | \
                  whole batch | chi2 / (2 M)";
    table(out, header, "---:", by_size);
    out.push('\n');
    let header = "temperature | equation 1 | exact | equation 2 | exact";
    let plain_rows = temperatures.iter().map(|&t| {
        let mut row = vec![t.to_string()];
        for density in [Density::ExactMixture, Density::Joint] {
            row.extend(match study.entropies(t, density).first() {
                Some(r) => [signed(r), plain(r.predicted)],
                None => [dash(), dash()],
            });
        }
        row
    });
    table(out, header, "---:", plain_rows);
}

fn gradients(out: &mut String, study: &Study<'_>) {
    let Some(first) = study.gradients.first() else {
        return;
    };
    let _ = write!(
        out,
        "\n## Gradients\n\nOf E sin(1.5 z) + 0.15 z², {} estimates each. Bias: |mean - truth| / \
         |truth|, 0 where it is within 3.5 of the error behind it; noise: sqrt(total variance x \
         evaluations) / |truth|; cosine: between mean and truth, for the logits.\n\n",
        first.estimates
    );
    let header = "strategy | evaluations | logits: bias | noise | cosine | means: bias | noise | \
                  log std devs: bias | noise";
    let rows = study.by(Parameter::Logits).map(|own| {
        let mut cells = vec![format!("`{}`", label(own)), own.evaluations.to_string()];
        for parameter in Parameter::ALL {
            let same = study.by(parameter).find(|r| label(r) == label(own));
            cells.extend(same.map_or_else(
                || [dash(), dash()],
                |row| {
                    let shown = if row.looks_unbiased() {
                        0.0
                    } else {
                        row.relative_bias
                    };
                    [
                        with_half(shown, row.bias_std_err),
                        with_half(row.sd, row.sd_std_err),
                    ]
                },
            ));
            if parameter == Parameter::Logits {
                cells.push(format!("{:.3}", own.cosine));
            }
        }
        cells
    });
    table(out, header, "---:", rows);
}

/// A choice that a program may make, whether the rows agree (`None` where there are none to tell), and
/// the evidence in numbers.
type Claim = (&'static str, Option<bool>, String);

fn claims(study: &Study<'_>) -> Vec<Claim> {
    let mut all = vec![
        bound(
            study,
            "Nested density with the sample's own weights: a lower bound of the entropy",
            (Density::NestedIncludingOwn, -1.0),
        ),
        bound(
            study,
            "Nested density without the sample's own weights: an upper bound of the entropy",
            (Density::NestedExcludingOwn, 1.0),
        ),
        law(study),
        midpoint(study),
        shared(study),
        is_entropy(
            study,
            "Equation 1, the mixture's density on relaxed samples, gives their entropy",
            (Density::ExactMixture, "KL(relaxed‖mixture)"),
        ),
        is_entropy(
            study,
            "Equation 2, the joint density of sample and weights, gives the entropy of samples",
            (
                Density::Joint,
                "H(c given z), which depends on the measure of c",
            ),
        ),
        (
            "The relaxed mixture may stand for the mixture (total variation below 0.01)",
            all_hold(&study.relaxed, |r| r.total_variation < 0.01),
            joined("; ", &study.relaxed, |r| {
                format!("{:.4} at {}", r.total_variation, r.temperature)
            }),
        ),
    ];
    let least_noise = [
        "Stratified draws are unbiased, with the least noise, for the logits",
        "Stratified draws are unbiased, with the least noise, for the means",
        "Stratified draws are unbiased, with the least noise, for the log standard deviations",
    ];
    for (parameter, says) in Parameter::ALL.into_iter().zip(least_noise) {
        all.push(stratified(study, says, parameter));
    }
    all.push(biased(
        study,
        "Gumbel-softmax gives the gradients of the mixture",
        ("gumbel_softmax", "noise", |r| r.sd),
    ));
    let mut through = biased(
        study,
        "Straight-through gives the gradients of the mixture",
        ("straight_through", "cosine", |r| r.cosine),
    );
    let mut others = study
        .gradients
        .iter()
        .filter(|r| r.strategy == "straight_through" && r.parameter != Parameter::Logits);
    through
        .2
        .push_str(match others.all(GradientRow::looks_unbiased) {
            true => "; means and log standard deviations unbiased within error",
            false => "; means or log standard deviations biased too",
        });
    all.push(through);
    all
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

fn of_density<'a>(study: &'a Study<'_>, density: Density) -> Vec<&'a EntropyRow> {
    let rows = study.entropies.iter();
    rows.filter(|r| r.density == density).collect()
}

fn bound(study: &Study<'_>, says: &'static str, (density, sign): (Density, f64)) -> Claim {
    let rows = of_density(study, density);
    let size = |r: &&EntropyRow| r.bias.abs();
    let far = rows
        .iter()
        .copied()
        .max_by(|a, b| size(a).total_cmp(&size(b)));
    let near = rows
        .iter()
        .copied()
        .max_by(|a, b| size(b).total_cmp(&size(a)));
    let holds = all_hold(&rows, |r| -sign * r.bias / r.bias_std_err < CHANCE);
    let evidence = match far.zip(near) {
        None => String::new(),
        Some((far, near)) => {
            let (most, least) = (bias(far), bias(near));
            format!("off by {most} nats {}, {least} {}", at(far), at(near))
        }
    };
    (says, holds, evidence)
}

/// Over the largest M of every temperature.
fn law(study: &Study<'_>) -> Claim {
    let says = "Both bounds are off by chi2 / (2 M) where M is large (shown: the largest M)";
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
        format!(
            "{word} {} against {} at {t}, M = {m}",
            bias(row),
            plain(row.predicted)
        )
    });
    (says, holds, evidence)
}

fn midpoint(study: &Study<'_>) -> Claim {
    let says = "The midpoint of both bounds is nearer to the entropy than either, from some M on";
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
    (says, holds, joined("; ", found, |(_, text)| text))
}

fn shared(study: &Study<'_>) -> Claim {
    let says = "The weights of the whole batch serve as well as fresh ones for each sample";
    let batches = of_density(study, Density::BatchIncludingOwn).into_iter();
    let pairs = batches.filter_map(|batch| {
        let fresh = study.entropies(batch.temperature, Density::NestedIncludingOwn);
        let fresh = fresh.into_iter().find(|r| r.inner == batch.inner)?;
        let error = batch.bias_std_err.hypot(fresh.bias_std_err);
        Some(((batch.bias - fresh.bias).abs() / error, batch, fresh))
    });
    let Some((off, batch, fresh)) = pairs.max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return (says, None, String::new());
    };
    let evidence = format!(
        "bias {} against {}, {off:.1} standard errors apart, {}: the farthest",
        bias(batch),
        bias(fresh),
        at(batch)
    );
    (says, Some(off < CHANCE), evidence)
}

fn is_entropy(study: &Study<'_>, says: &'static str, (density, off): (Density, &str)) -> Claim {
    let rows = of_density(study, density);
    let holds = all_hold(&rows, |r| r.bias.abs() < CHANCE * r.bias_std_err);
    let biases = joined("; ", rows, |r| format!("{} at {}", bias(r), r.temperature));
    (says, holds, format!("off by {off}: {biases}"))
}

fn stratified(study: &Study<'_>, says: &'static str, parameter: Parameter) -> Claim {
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
    (
        says,
        holds,
        format!("unbiased within error, by noise: {noises}"),
    )
}

/// The name of a strategy, and another number that its evidence has beside the bias.
type Shown = (&'static str, &'static str, fn(&GradientRow) -> f64);

fn biased(study: &Study<'_>, says: &'static str, (strategy, word, number): Shown) -> Claim {
    let rows = study.gradients.iter().filter(|r| r.strategy == strategy);
    let holds = all_hold(rows.clone(), GradientRow::looks_unbiased);
    let logits = rows.filter(|r| r.parameter == Parameter::Logits);
    let biases = joined("; ", logits, |r| {
        let bias = with_half(r.relative_bias, r.bias_std_err);
        let number = plain((100.0 * number(r)).round() / 100.0);
        format!(
            "{bias} at {} ({word} {number})",
            r.temperature.unwrap_or_default()
        )
    });
    (says, holds, format!("bias for the logits: {biases}"))
}

/// A study of two temperatures, four sizes and eight strategies.
#[cfg(test)]
pub fn fixture() -> (StudyDir, Study<'static>) {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/fixture/study");
    let place = StudyDir(files.into());
    let study = Study::read(&place, "three", "mdn study three.toml");
    (place, study.unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    fn verdicts(study: &Study<'_>) -> Vec<Option<bool>> {
        claims(study).into_iter().map(|c| c.1).collect()
    }

    #[test]
    fn claims_follow_the_rows() {
        let good = fixture().1;
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
            let own = |r: &&mut EntropyRow| r.density == density && r.inner == Some(inner);
            study
                .entropies
                .iter_mut()
                .filter(own)
                .for_each(|r| r.bias += by);
            assert_eq!(verdicts(&study)[index], NO, "{:#?}", claims(&study)[index]);
            assert_eq!(verdicts(&study)[5..], expected[5..], "{index}");
        }
        for (index, parameter) in [(8, Parameter::Logits), (9, Parameter::Means)] {
            let mut study = good.clone();
            let own = |r: &&mut GradientRow| r.strategy == "stratified" && r.parameter == parameter;
            study
                .gradients
                .iter_mut()
                .filter(own)
                .for_each(|r| r.relative_bias = 0.5);
            let mut broken = expected;
            broken[index] = NO;
            assert_eq!(verdicts(&study), broken, "{index}");
        }
    }

    #[test]
    fn a_study_is_reported_from_its_files_with_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, rows) = fixture();
        let place = StudyDir::new(dir.path(), rows.name);
        for name in ["relaxed.csv", "entropy.csv", "gradients.csv"] {
            let bytes = std::fs::read(from.path(name)).unwrap();
            place.write(name, &bytes).unwrap();
        }
        let report = study(&place, rows.name, rows.command).unwrap();
        let bytes = || report.files.iter().map(|f| std::fs::read(f).unwrap());
        let first: Vec<_> = bytes().collect();
        study(&place, rows.name, rows.command).unwrap();
        assert!(
            bytes().eq(first),
            "another report of the same rows has other bytes"
        );
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
