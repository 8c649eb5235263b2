//! Black-box tests: the program as a process, its pages and its readers.

mod bench;
mod cases;
mod cli;
mod common;
mod corpus;
mod fairness;
mod files;
mod floors;
mod guards;
mod hostile;
mod pages;
mod problems;
mod programs;
mod reader;
mod readme;
mod refusals;
mod resume;
mod runs;
mod study;
mod targets;
mod train;
mod trained;
