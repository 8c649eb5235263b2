//! What a model is trained for: points of a data set, or a problem without data.

use mdn_core::bijections::SupportSpec;
use mdn_core::data::{DataSet, DataSpec, FileSpec, ProgramSpec, Programs};
use mdn_core::objectives::maximum_likelihood::MaximumLikelihood;
use mdn_core::objectives::{Objective, ProblemSpec};
use mdn_core::statistics::Statistics;
use mdn_core::Result;

/// What a model is trained for.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // one per run
pub enum Task {
    /// The points of a data set, by maximum likelihood.
    Data(DataSpec),
    /// A problem without data.
    Problem(ProblemSpec),
}

impl Task {
    /// The dimension D.
    pub fn dim(&self) -> Result<usize> {
        let dim = match self {
            Self::Data(data) => data.check(),
            Self::Problem(problem) => problem.check(),
        };
        dim.map_err(|bad| mdn_core::Error::request(bad.to_string()))
    }

    /// How files of points for a model of it are read, and what the `dim` coordinates are called: as in
    /// the training file, else by the names `x1`, `x2`, ...
    pub fn columns(&self, dim: usize) -> FileSpec {
        if let Self::Data(DataSpec::File(file)) = self {
            let mut file = file.clone();
            // The record of a run names its columns; without them the training file does, if it is there.
            if file.columns.is_some() || file.settle().is_ok() {
                return file;
            }
        }
        FileSpec::numbered(dim)
    }

    /// Whether there are training points.
    pub fn has_data(&self) -> bool {
        matches!(self, Self::Data(_))
    }

    /// The law that the model is measured against: the data set, or the solution of the problem
    /// where it is known.
    pub fn law(&self) -> Result<Option<Box<dyn DataSet>>> {
        match self {
            Self::Data(data) => data.build().map(Some),
            Self::Problem(problem) => problem.solution(),
        }
    }

    /// What training minimises; `programs` starts the program of its target.
    pub fn objective(&self, programs: &dyn Programs) -> Result<Box<dyn Objective>> {
        match self {
            Self::Data(_) => Ok(Box::new(MaximumLikelihood)),
            Self::Problem(problem) => problem.build(programs),
        }
    }

    /// The program that computes its target, if one does.
    pub fn program(&self) -> Option<&ProgramSpec> {
        match self {
            Self::Data(_) => None,
            Self::Problem(problem) => problem.program(),
        }
    }

    /// Takes over the paths of `other` where the contents are equal.
    pub fn take_paths(&mut self, other: &Self) {
        match (self, other) {
            (Self::Data(own), Self::Data(other)) => own.take_paths(other),
            (Self::Problem(own), Self::Problem(other)) => own.take_paths(other),
            _ => {}
        }
    }

    /// T and m of a problem with constraints E\[T\] = m.
    pub fn constraints(&self) -> Result<Option<(Statistics, Vec<f64>)>> {
        match self {
            Self::Problem(ProblemSpec::MaximumEntropy(s)) => s.constraints().map(Some),
            _ => Ok(None),
        }
    }

    /// log p of points given as rows, with p the exact solution of such a problem where it is known.
    pub fn solution_log_p(&self, rows: &[f64]) -> Result<Option<Vec<f64>>> {
        let Self::Problem(ProblemSpec::MaximumEntropy(s)) = self else {
            return Ok(None);
        };
        let Some(solution) = s.solution() else {
            return Ok(None);
        };
        let (statistics, _) = s.constraints()?;
        Ok(Some(solution.log_densities(&statistics, rows)))
    }

    /// The map from R^D onto the support, if it is not R^D.
    pub fn support(&self) -> Option<SupportSpec> {
        match self {
            Self::Data(_) => None,
            Self::Problem(problem) => problem.support(),
        }
    }
}
