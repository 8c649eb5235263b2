//! The fuzz targets as functions of bytes: those that `tests/it/corpus.rs` replays.

#[path = "../../tests/it/targets/mod.rs"]
mod targets;

pub use targets::*;
