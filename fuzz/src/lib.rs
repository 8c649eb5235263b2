//! The fuzz targets as functions of bytes: those that `tests/corpus.rs` replays.

#[path = "../../tests/targets/mod.rs"]
mod targets;

pub use targets::*;
