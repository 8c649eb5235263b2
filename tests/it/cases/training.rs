//! Training that learned nothing says so.
