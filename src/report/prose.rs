//! What the numbers say, in sentences: what the tests show, and no more.

use std::fmt::Write as _;

use indexmap::IndexSet;

use super::digits::{self, count, difference, number, p_value, spread};
use super::headline::Headline;
use super::pairs::Pair;
use super::provenance::{Counts, Provenance};
use super::ranks::{Ranked, Ranks, FEWEST};
use super::results::{Results, Run};
use super::significance::{Contrast, LEVEL};
use super::summary::Row;

/// `a`, `a and b`, `a, b and c`; `none` without items.
fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn names<'a>(all: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = all.into_iter().map(|n| format!("`{n}`")).collect();
    list(&quoted)
}

/// What was compared: models, data, seeds, points, steps.
pub fn opening(results: &Results<'_>, rows: &[Row], made: &Provenance) -> String {
    let what = results.what;
    let model = |model: &String| {
        let own = rows.iter().filter(|r| r.model == *model);
        let mut of: Vec<f64> = own.filter_map(|r| Some(r.parameters?.mean)).collect();
        of.sort_by(f64::total_cmp);
        let of = match (of.first(), of.last()) {
            (Some(a), Some(b)) if a < b => format!(" ({} to {} parameters)", count(*a), count(*b)),
            (Some(a), _) => format!(" ({} parameters)", count(*a)),
            _ => String::new(),
        };
        format!("`{model}`{of}")
    };
    let models: Vec<String> = what.models.iter().map(model).collect();
    let of = |f: fn(&Run) -> bool| results.runs.iter().filter(|r| f(r)).count();
    let (done, failed) = (of(Run::is_done), of(Run::has_failed));
    let missing = results.runs.len() - done - failed;
    let mut text = format!(
        "This report compares {}: {}, on {} with {} each. Of {}, {done} are done, {failed} failed or \
         diverged and {missing} are missing.",
        number(models.len(), "model"),
        list(&models),
        number(what.data.len(), "data set"),
        number(what.seeds.len(), "seed"),
        number(results.runs.len(), "run"),
    );
    let common = made.common(|s| (s.task.has_data(), s.train.clone()));
    if let Some((has_data, train)) = common {
        let counts = made.counts();
        let of = |count: fn(&Counts) -> usize| {
            let all: IndexSet<usize> = counts.values().map(count).collect();
            let all: Vec<String> = all.into_iter().map(|n| digits::count(n as f64)).collect();
            all.join(" or ")
        };
        let points = match (has_data, of(|c| c.train).as_str()) {
            (false, _) => "samples of its own".to_owned(),
            (true, "0") => "the same fresh points as the others of its seed".to_owned(),
            (true, n) => format!("the same {n} points as the others of its seed"),
        };
        let validation = match has_data {
            true => format!(" on {} points", of(|c| c.validation)),
            false => String::new(),
        };
        let held_out = of(|c| c.test);
        let until = match train.patience {
            0 => String::new(),
            n => format!(
                ", or until {}{validation} brought no improvement",
                number(n, "validation")
            ),
        };
        let _ = write!(
            text,
            " Each model was trained on {points} for at most {} of {}{until}. Metrics are over {held_out} \
             held-out points and as many samples of the model.",
            number(train.steps, "step"),
            number(train.batch_size, "point"),
        );
        let varied: IndexSet<Counts> = counts.values().copied().collect();
        if varied.len() > 1 {
            let one = |(data, c): (&&str, &Counts)| {
                format!("`{data}` {}, {}, {}", c.train, c.validation, c.test)
            };
            let list = counts.iter().map(one).collect::<Vec<_>>().join("; ");
            let _ = write!(
                text,
                " Points for training, validation and held out: {list}."
            );
        }
    }
    for key in ["budget", "search"] {
        if let Some(Some(value)) = made.common(|s| s.setting(key)) {
            let _ = write!(text, " The file sets `{key} = {value}`.");
        }
    }
    text
}

/// One data set: the best model, and which models differ from the reference and from the best.
pub fn data_set(results: &Results<'_>, rows: &[&Row], pairs: &[Pair], data: &str) -> String {
    let Some(metric) = results.headline(data) else {
        return format!("On `{data}` no model was measured.");
    };
    let of = rows.iter().filter(|r| r.metric == metric);
    let measured = of.filter_map(|r| Some((*r, r.value?.mean)));
    let measured: Vec<(&Row, f64)> = measured.filter(|(_, mean)| !mean.is_nan()).collect();
    // The least mean among the models with the fewest failed runs.
    let order = |(a, v): &&(&Row, f64), (b, w): &&(&Row, f64)| {
        a.failed.cmp(&b.failed).then_with(|| v.total_cmp(w))
    };
    let Some(&(best, least)) = measured.iter().min_by(order) else {
        return String::new();
    };
    let leads = |(r, mean): &&(&Row, f64)| r.failed == best.failed && *mean == least;
    let leaders = names(measured.iter().filter(leads).map(|(r, _)| &r.model));
    let over = match best.value.map_or(0, |v| v.n) {
        1 => "one seed: no interval and no test".to_owned(),
        n => format!("mean of {n} seeds, 95 % t interval"),
    };
    let despite = match best.failed {
        0 => "",
        _ => ", in spite of failed runs",
    };
    let mut text = format!(
        "On `{data}`, the lowest mean {} is {} {}, that of {leaders}{despite} ({over}).",
        Headline::of(metric).long,
        spread(best.value.as_ref()),
        best.unit,
    );
    let fragile = measured.iter().filter(|(r, _)| r.fragile > 0);
    let fragile: Vec<&String> = fragile.map(|(r, _)| &r.model).collect();
    if !fragile.is_empty() {
        let few = names(fragile);
        let _ = write!(
            text,
            " Not to be trusted, since they rest on few points: the values of {few}."
        );
    }
    let behind = measured
        .iter()
        .filter(|(r, mean)| r.failed > best.failed && *mean < least);
    let behind = behind.map(|(r, _)| {
        let mean = spread(r.value.as_ref());
        format!(
            "`{}` ({mean}, but {} of {} runs failed)",
            r.model,
            r.failed,
            r.runs()
        )
    });
    let behind: Vec<String> = behind.collect();
    if !behind.is_empty() {
        let _ = write!(text, " Lower, but ranked behind: {}.", list(&behind));
    }
    let differences = measured.iter().filter(|(r, _)| r.contrast.diff.is_some());
    let differences = differences.map(|(r, _)| {
        let Contrast { diff, ratio, test } = r.contrast;
        let ratio = ratio.map_or_else(String::new, |r| format!(", {} times", digits::ratio(&r)));
        let (lower, higher) = test.signs;
        let seeds = diff.map_or(0, |d| d.n);
        let signs = match lower >= higher {
            true => format!("lower on {lower} of {}", number(seeds, "seed")),
            false => format!("higher on {higher} of {}", number(seeds, "seed")),
        };
        let difference = difference(diff.as_ref());
        let verdict = verdict(&r.contrast);
        format!("`{}` {difference}{ratio}, {signs} ({verdict})", r.model)
    });
    let differences: Vec<String> = differences.collect();
    if let Some(reference) = results.what.reference.filter(|_| !differences.is_empty()) {
        let _ = write!(
            text,
            " Against the reference `{reference}` (difference and ratio of geometric means, p after Holm's \
             correction): {}.",
            list(&differences)
        );
    }
    let tested = pairs
        .iter()
        .filter(|p| p.data == data && p.contrast.test.p_holm.is_some());
    let others = tested.filter_map(|p| match &best.model {
        model if p.model == *model => Some((&p.other, &p.contrast)),
        model if p.other == *model => Some((&p.model, &p.contrast)),
        _ => None,
    });
    let others: Vec<(&String, &Contrast)> = others.collect();
    if others.len() > 1 {
        let close = others.iter().filter(|(_, c)| !c.test.is_significant());
        let close = close.map(|(other, c)| format!("`{other}` ({})", verdict(c)));
        let _ = write!(
            text,
            " By paired t tests, each pair corrected over its data sets, not significantly different \
             from `{}`: {}.",
            best.model,
            list(&close.collect::<Vec<_>>()),
        );
    }
    text
}

/// A factor beyond which a difference is clear in size.
const CLEAR: f64 = 2.0;

/// The p-value; what stands against a claim where a difference is clear in size and not shown.
fn verdict(contrast: &Contrast) -> String {
    let Contrast { ratio, test, .. } = contrast;
    let clear = ratio.is_some_and(|r| r.mean.abs() > CLEAR.ln());
    match test.p_holm {
        None if clear => "clear in size, but no test is possible".to_owned(),
        None => "no test possible".to_owned(),
        Some(p) if clear && !test.is_significant() => {
            format!(
                "{}: clear in size, but not shown by so few seeds",
                p_value(p)
            )
        }
        Some(p) => p_value(p),
    }
}

/// How ranks over the data sets are made, and the tests on them; `None` with fewer than 2 data sets.
pub fn overall(results: &Results<'_>, ranks: &Ranks) -> Option<String> {
    let n = ranks.data.len();
    if n < 2 {
        return None;
    }
    let metrics = ranks.data.iter().filter_map(|d| results.headline(d));
    let mut metrics: Vec<&str> = metrics.map(|m| Headline::of(m).long).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let mut text = format!(
        "Ranks on {} by mean {} (1 is best{}). A model with failed runs on a data set ranks there behind those \
         with fewer.",
        number(n, "data set"),
        metrics.join(" or "),
        match n < FEWEST {
            true => "",
            false => "; ± half the 95 % t interval over data sets",
        },
    );
    if !ranks.left_out.is_empty() {
        let _ = write!(
            text,
            " Not ranked, because nothing was measured or a model has no run that ended: {}.",
            names(&ranks.left_out)
        );
    }
    text.push_str(&match &ranks.friedman {
        None => {
            " Whether the ranks differ is not tested: Friedman's test needs at least 5 data sets \
                 and 3 models."
                .to_owned()
        }
        Some(f) => {
            let value = match f.f.is_finite() {
                true => format!("{:.2}", f.f),
                false => "∞".to_owned(),
            };
            let found = match f.p < LEVEL {
                true => format!("differences between the mean ranks. {}", nemenyi(ranks)),
                false => "no significant difference between the mean ranks.".to_owned(),
            };
            format!(
                " Friedman's test (Iman and Davenport's F({}, {}) = {value}, {}) finds {found}",
                f.freedom.0,
                f.freedom.1,
                p_value(f.p),
            )
        }
    });
    if results.what.seeds.len() > 1 {
        text.push_str(
            " A win is a difference with p < 0.05 after Holm's correction over the data sets of the \
             pair; the model with more failed runs never wins.",
        );
    }
    Some(text)
}

/// Which mean ranks differ from the best by more than the critical difference.
fn nemenyi(ranks: &Ranks) -> String {
    let (Some(cd), [best, others @ ..]) = (ranks.critical_difference, ranks.models.as_slice())
    else {
        return "No critical difference is known for so many models.".to_owned();
    };
    let is_apart = |m: &&Ranked| m.mean.mean - best.mean.mean > cd;
    let apart = others.iter().filter(is_apart);
    format!(
        "Further than the critical difference of {cd:.2} (Nemenyi, 5 %) behind `{}`: {}. Nearer than that, and \
         so not shown to differ from it: {}.",
        best.model,
        names(apart.map(|m| &m.model)),
        names(others.iter().filter(|m| !is_apart(m)).map(|m| &m.model)),
    )
}
