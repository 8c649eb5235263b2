//! Estimates that rest on a few points say so.
