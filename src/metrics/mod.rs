//! What is measured on a trained model.

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Better {
    /// The lower the better.
    Lower,
    /// The higher the better.
    Higher,
    /// The nearer to this value the better.
    Near(f64),
    /// Neither: a description, such as the number of parameters.
    Neither,
}
