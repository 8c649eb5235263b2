//! The metrics that models are ranked by, and what they are called.

/// A metric that models are ranked by: its key among the metrics, its short and its full name, its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headline {
    pub key: &'static str,
    pub name: &'static str,
    pub long: &'static str,
    pub unit: &'static str,
}

/// All of them: two of data sets, then two of problems without data.
pub const HEADLINES: [Headline; 4] = [
    Headline::new("kl", "KL", "KL(p‖q)", "nats"),
    Headline::new("nll", "NLL", "negative log-likelihood", "nats"),
    Headline::new("reverse_kl", "reverse KL", "KL(q‖p)", "nats"),
    Headline::new(
        "constraint_error",
        "constraint error",
        "largest error of a constrained moment",
        "sd",
    ),
];

impl Headline {
    const fn new(
        key: &'static str,
        name: &'static str,
        long: &'static str,
        unit: &'static str,
    ) -> Self {
        Self {
            key,
            name,
            long,
            unit,
        }
    }

    /// The one with this key; KL for any other.
    pub fn of(key: &str) -> Self {
        let found = HEADLINES.into_iter().find(|h| h.key == key);
        found.unwrap_or(HEADLINES[0])
    }

    /// Those of data sets where `has_data`, those of problems otherwise.
    pub fn some(has_data: bool) -> &'static [Self] {
        let (of_data, of_problems) = HEADLINES.split_at(2);
        if has_data {
            of_data
        } else {
            of_problems
        }
    }

    /// The full name, in characters that the figures' font has, with the unit.
    pub fn axis(&self, log: bool) -> String {
        let long = self.long.replace('‖', "||");
        let scale = if log { ", log scale" } else { "" };
        format!("{long} ({}{scale})", self.unit)
    }
}
