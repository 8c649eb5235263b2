//! Black-box tests: the program as a process, its pages and its readers.

mod bench;
mod cli;
mod common;
mod corpus;
mod disk;
mod end_to_end;
mod fairness;
mod files;
mod guards;
mod hands;
mod hostile;
mod hostile_files;
mod json;
mod pages;
mod problems;
mod readme;
mod refusals;
mod removal;
mod resume;
mod schema;
mod scripts;
mod study;
mod targets;
mod tensorboard;
mod trained;
