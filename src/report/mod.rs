//! Tables and figures, computed from the results folder alone.
