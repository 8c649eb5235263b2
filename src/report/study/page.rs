//! `summary.md` of a study.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::super::digits::{dash, plain, with_half};
use super::claims::claims;
use super::{label, Study};
use mdn_core::study::{Density, GradientRow, Parameter};

fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn header(out: &mut String, names: &[&str]) {
    line(out, names.iter().map(|n| (*n).to_owned()));
    line(
        out,
        names.iter().enumerate().map(|(i, _)| {
            let rule = if i == 0 { "---" } else { "---:" };
            rule.to_owned()
        }),
    );
}

/// The page.
pub fn page(study: &Study<'_>, figures: &[PathBuf]) -> String {
    let mut out = format!(
        "# {}\n\n`{}` · mdn {}\n\n± one standard error. Entropies in nats; biases and noise of \
         gradients relative to the length of the true gradient.\n\n## What holds\n\n",
        study.name,
        study.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
    );
    line(&mut out, ["choice", "holds", "found"].map(str::to_owned));
    line(&mut out, ["---", "---", "---"].map(str::to_owned));
    for claim in claims(study) {
        let verdict = match claim.holds {
            Some(true) => "**yes**",
            Some(false) => "**no**",
            None => "not studied",
        };
        line(
            &mut out,
            [claim.says.to_owned(), verdict.to_owned(), claim.evidence],
        );
    }
    relaxed(&mut out, study);
    entropies(&mut out, study);
    gradients(&mut out, study);
    for figure in figures
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "png"))
    {
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
    let names = [
        "temperature",
        "H",
        "equation 1",
        "KL(relaxed to mixture)",
        "KL(mixture to relaxed)",
        "TV",
        "mean",
        "variance",
        "H(z, c)",
        "H(c given z)",
        "chi2",
    ];
    header(out, &names);
    for r in &study.relaxed {
        let cells = [
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
        ];
        line(out, std::iter::once(r.temperature.to_string()).chain(cells));
    }
}

fn entropies(out: &mut String, study: &Study<'_>) {
    out.push_str(
        "\n## Entropies\n\nDistance from the true entropy, with log p(z) by quadrature at every \
         sample as its own control.\n\n",
    );
    let names = [
        "temperature, M",
        "samples",
        "own included",
        "own excluded",
        "midpoint",
        "whole batch",
        "chi2 / (2 M)",
    ];
    header(out, &names);
    for t in study.temperatures() {
        let densities = [
            Density::NestedIncludingOwn,
            Density::NestedExcludingOwn,
            Density::Midpoint,
            Density::BatchIncludingOwn,
        ];
        let columns = densities.map(|d| study.nested(t, d));
        for (m, row) in &columns[0] {
            let cells = columns.iter().map(|rows| {
                let own = rows.iter().find(|(other, _)| other == m);
                own.map_or_else(dash, |(_, r)| signed(r.bias, r.bias_std_err))
            });
            let head = [format!("{t}, {m}"), row.samples.to_string()];
            let gap = plain(row.predicted.abs());
            line(out, head.into_iter().chain(cells).chain([gap]));
        }
    }
    out.push('\n');
    header(
        out,
        &["temperature", "equation 1", "exact", "equation 2", "exact"],
    );
    for t in study.temperatures() {
        let pair = |d: Density| match study.plain(t, d) {
            Some(r) => [signed(r.bias, r.bias_std_err), plain(r.predicted)],
            None => [dash(), dash()],
        };
        let cells = [Density::ExactMixture, Density::Joint].map(pair);
        line(
            out,
            std::iter::once(t.to_string()).chain(cells.into_iter().flatten()),
        );
    }
}

fn signed(value: f64, error: f64) -> String {
    let text = with_half(value, error);
    let plus = value > 0.0 && !text.starts_with('(');
    format!("{}{text}", if plus { "+" } else { "" })
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
    let names = [
        "strategy",
        "evaluations",
        "logits: bias",
        "noise",
        "cosine",
        "means: bias",
        "noise",
        "log std devs: bias",
        "noise",
    ];
    header(out, &names);
    for own in study.by(Parameter::Logits) {
        let mut cells = vec![format!("`{}`", label(own)), own.evaluations.to_string()];
        for parameter in Parameter::ALL {
            let same = |r: &&GradientRow| label(r) == label(own);
            let Some(row) = study.by(parameter).find(same) else {
                cells.extend([dash(), dash()]);
                continue;
            };
            cells.extend([bias(row), with_half(row.sd, row.sd_std_err)]);
            if parameter == Parameter::Logits {
                cells.push(format!("{:.3}", row.cosine));
            }
        }
        line(out, cells);
    }
}

fn bias(row: &GradientRow) -> String {
    if row.looks_unbiased() {
        return with_half(0.0, row.bias_std_err);
    }
    with_half(row.relative_bias, row.bias_std_err)
}
