//! Where a figure comes from, as its file tells it.

/// What every file of a figure records.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// What the figure shows.
    pub description: String,
    /// What the user typed.
    pub command: String,
    /// [`crate::experiment::config_hash`] of the settings behind it, where there are any.
    pub config_hash: Option<String>,
}

impl Origin {
    /// Keys and texts, in the order in which files list them.
    pub fn entries(&self) -> Vec<(&'static str, &str)> {
        let mut all = vec![
            ("Software", concat!("mdn ", env!("CARGO_PKG_VERSION"))),
            ("Description", &self.description),
            ("Command", &self.command),
        ];
        all.extend(self.config_hash.as_deref().map(|h| ("Configuration", h)));
        all
    }
}
