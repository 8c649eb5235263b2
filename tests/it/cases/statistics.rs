//! Tables, tests and summaries state what was compared.
