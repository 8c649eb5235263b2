//! Quantities on a grid are printed only where the grid resolves the density.
