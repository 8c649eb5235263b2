//! What the numbers say, in sentences: as much as the tests show, and no more.

use super::digits::count;

mod data_set;
mod opening;
mod overall;

pub use data_set::data_set;
pub use opening::opening;
pub use overall::{flips, overall};

/// `1 seed`, `2 seeds`
fn number(n: usize, what: &str) -> String {
    format!(
        "{} {what}{}",
        count(n as f64),
        if n == 1 { "" } else { "s" }
    )
}

/// `a`, `a and b`, `a, b and c`
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn names<'a>(all: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = all.into_iter().map(|n| format!("`{n}`")).collect();
    list(&quoted)
}

/// What a headline metric is called in a sentence.
fn spoken(metric: &str) -> &str {
    match metric {
        "kl" => "KL(p‖q)",
        "nll" => "negative log-likelihood",
        "reverse_kl" => "KL(q‖p)",
        "constraint_error" => "largest error of a constrained moment",
        other => other,
    }
}
