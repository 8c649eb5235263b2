//! All data sets together.

use super::{list, names, number, spoken};
use crate::report::digits::{p_value, spread};
use crate::report::pairs::{Pair, Tally};
use crate::report::ranks::Ranks;
use crate::report::results::Results;
use crate::report::significance::LEVEL;

/// Ranks over the data sets, the tests on them, and who wins; `None` with fewer than 2 data sets.
pub fn overall(results: &Results<'_>, ranks: &Ranks, pairs: &[Pair]) -> Option<String> {
    let n = ranks.data.len();
    if n < 2 {
        return None;
    }
    let mut metrics: Vec<&str> = ranks
        .data
        .iter()
        .filter_map(|d| results.headline(d))
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    let metrics: Vec<String> = metrics.into_iter().map(|m| spoken(m).to_owned()).collect();
    let of: Vec<String> = ranks
        .models
        .iter()
        .map(|m| format!("`{}` {}", m.model, spread(Some(&m.mean))))
        .collect();
    let mut text = format!(
        "Ranked on {} by mean {} (1 is best; 95 % t interval over data sets), the models come in at {}. \
         A model with failed runs on a data set ranks there behind those with fewer.",
        number(n, "data set"),
        metrics.join(" or "),
        list(&of),
    );
    if !ranks.left_out.is_empty() {
        text.push_str(&format!(
            " Not ranked, because a model has no run that ended or nothing was measured: {}.",
            names(&ranks.left_out)
        ));
    }
    match &ranks.friedman {
        Some(f) => {
            let value = if f.f.is_finite() { format!("{:.2}", f.f) } else { "∞".to_owned() };
            text.push_str(&format!(
                " Friedman's test (Iman and Davenport's F({}, {}) = {value}, {}) ",
                f.freedom.0,
                f.freedom.1,
                p_value(f.p)
            ));
            text.push_str(&if f.p < LEVEL {
                format!("tells the mean ranks apart. {}", nemenyi(ranks))
            } else {
                "shows no difference between the mean ranks.".to_owned()
            });
        }
        None => text.push_str(
            " Friedman's test needs at least 5 data sets and 3 models: whether the ranks differ is not \
             tested.",
        ),
    }
    if results.what.seeds.len() > 1 {
        let all = ranks.models.iter().map(|m| {
            let Tally { wins, ties, losses } = Tally::of(pairs, &m.model, None, None);
            format!("`{}` {wins}/{ties}/{losses}", m.model)
        });
        text.push_str(&format!(
            " Against each other, pair by pair and data set by data set, wins/ties/losses are {}; a win \
             is a difference with p < 0.05 after Holm's correction over the data sets of the pair, and \
             never goes to the model with more failed runs.",
            list(&all.collect::<Vec<_>>())
        ));
    }
    Some(text)
}

/// Which models the critical difference tells apart from the best.
fn nemenyi(ranks: &Ranks) -> String {
    let (Some(cd), Some(best)) = (ranks.critical_difference, ranks.models.first()) else {
        return "There is no critical difference for so many models.".to_owned();
    };
    let (close, apart): (Vec<_>, Vec<_>) = ranks.models[1..]
        .iter()
        .partition(|m| m.mean.mean - best.mean.mean <= cd);
    let mut text = format!("Mean ranks more than {cd:.2} apart differ (Nemenyi, 5 %): ");
    if apart.is_empty() {
        text.push_str(&format!("`{}` from none.", best.model));
        return text;
    }
    text.push_str(&format!(
        "`{}` from {}",
        best.model,
        names(apart.iter().map(|m| &m.model))
    ));
    text.push_str(&if close.is_empty() {
        ".".to_owned()
    } else {
        format!(
            "; between it and {} no difference could be shown.",
            names(close.iter().map(|m| &m.model))
        )
    });
    text
}

/// What the smallest p-value of the sign-flip test is, which few seeds bound from below.
pub fn flips(seeds: usize) -> Option<String> {
    (2..=8).contains(&seeds).then(|| {
        format!(
            "`p_flip`, of the exact sign-flip test, can be no less than 1/{} with {seeds} seeds, whatever \
             the difference; that is why the t test decides.",
            1u32 << (seeds - 1)
        )
    })
}
