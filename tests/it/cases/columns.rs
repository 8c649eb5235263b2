//! Columns are matched by name; data that no density fits are named.
