//! Mixtures are fitted as well as they can be.
