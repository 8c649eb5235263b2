//! The checks are in `benches/` and `tests/`.
