//! Figures, one file each, listed in [`FIGURES`]. Plotters and its fonts stay in this folder.

use std::path::{Path, PathBuf};

use super::results::Results;
use super::study::Study;
use crate::experiment::store::{write_atomic, RunDir, StudyDir};
use crate::{Error, Result};

mod axes;
mod bias_variance;
mod canvas;
mod curves;
mod densities;
mod density;
mod entropy_bounds;
mod font;
mod gallery;
mod grid;
mod labels;
mod pages;
mod panels;
mod parts;
mod png;
mod ranks;
mod rounds;
mod scores;
mod shapes;
mod stroke;
mod style;
#[cfg(test)]
mod tests;
mod training;
mod training_by_model;

use canvas::Canvas;
pub use gallery::draw_gallery;
pub use pages::{ComparisonPage, DataPage, RunPage};

/// A drawn figure, its file's stem and its title.
pub struct Drawn {
    stem: String,
    title: String,
    canvas: Canvas,
}

/// How a figure is drawn; `None` where it does not apply.
pub enum Draw {
    /// From one run, into its folder.
    Run(fn(&RunPage<'_>) -> Result<Option<Canvas>>),
    /// From all runs on one data set, into `figures/`.
    Data(fn(&DataPage<'_>) -> Result<Option<Drawn>>),
    /// From all runs of a comparison, into `figures/`.
    Comparison(fn(&ComparisonPage<'_>) -> Result<Option<Drawn>>),
    /// From a study, into its `figures/`.
    Study(fn(&Study<'_>) -> Result<Option<Canvas>>),
}

/// A member of [`FIGURES`].
pub struct Figure {
    /// Stem of its file; the headline metric stands for `kl` where that is another one.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// How it is drawn.
    pub draw: Draw,
}

/// Every figure.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "density",
        what: "target density, model density, samples and the model's parts, of one 2-D run",
        draw: Draw::Run(density::draw),
    },
    Figure {
        name: "training",
        what: "training and validation loss of one run",
        draw: Draw::Run(training::draw),
    },
    Figure {
        name: "rounds",
        what: "constraint errors and multipliers of one maximum-entropy run, round by round",
        draw: Draw::Run(rounds::draw),
    },
    Figure {
        name: "ranks",
        what: "mean rank of every model over the data sets, its rank on each, wins, ties and losses",
        draw: Draw::Comparison(ranks::draw),
    },
    Figure {
        name: "densities-<data>",
        what:
            "target and all models on one colour scale, log densities and parts, of a 2-D data set",
        draw: Draw::Data(densities::draw),
    },
    Figure {
        name: "kl-<data>",
        what: "KL (NLL where the truth is unknown; reverse KL or constraint error on problems) of every model",
        draw: Draw::Data(scores::draw),
    },
    Figure {
        name: "training-<data>",
        what: "validation loss of every model: mean and interval over seeds",
        draw: Draw::Data(training_by_model::draw),
    },
    Figure {
        name: "entropy-bounds",
        what: "entropies of a relaxed mixture by each density, against the number of nested terms",
        draw: Draw::Study(entropy_bounds::draw),
    },
    Figure {
        name: "gradients",
        what: "bias and noise of each way to draw from a mixture, by weights, means and deviations",
        draw: Draw::Study(bias_variance::draw),
    },
];

/// Removes the figures of an earlier comparison: one whose runs have since failed is not drawn
/// again, and must not stand beside a new table.
pub fn remove_old(dir: &Path) -> Result<()> {
    let folder = dir.join("figures");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(());
    };
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = [
            "densities-",
            "kl-",
            "nll-",
            "reverse_kl-",
            "constraint_error-",
            "training-",
            "ranks.",
        ];
        if name.ends_with(".png") && ours.iter().any(|start| name.starts_with(start)) {
            std::fs::remove_file(&path).map_err(Error::io(&path, "could not remove"))?;
        }
    }
    Ok(())
}

/// Draws the figures of one run into its folder and says which files it wrote.
pub fn draw_run(place: &RunDir, command: &str) -> Result<Vec<PathBuf>> {
    let page = RunPage::read(place, command)?;
    let mut files = Vec::new();
    for figure in FIGURES {
        let Draw::Run(draw) = figure.draw else {
            continue;
        };
        if let Some(canvas) = draw(&page)? {
            let path = place.path(&format!("{}.png", figure.name));
            let about = format!("{}: {}", page.title(), figure.what);
            write_atomic(&path, &png::png_bytes(&canvas.finish()?, &about, command)?)?;
            files.push(path);
        }
    }
    Ok(files)
}

/// Draws the figures of a study into its folder `figures/`.
pub fn draw_study(study: &Study<'_>, place: &StudyDir) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for figure in FIGURES {
        let Draw::Study(draw) = figure.draw else {
            continue;
        };
        let path = place.path("figures").join(format!("{}.png", figure.name));
        match draw(study)? {
            Some(canvas) => {
                let about = format!("{}: {}", study.name, figure.what);
                write_atomic(
                    &path,
                    &png::png_bytes(&canvas.finish()?, &about, study.command)?,
                )?;
                files.push(path);
            }
            None if path.exists() => {
                std::fs::remove_file(&path).map_err(Error::io(&path, "could not remove"))?;
            }
            None => {}
        }
    }
    Ok(files)
}

/// Draws the figures of a comparison and of each of its data sets into `figures/`.
pub fn draw_comparison(results: &Results<'_>) -> Result<Vec<PathBuf>> {
    let what = results.what;
    let mut files = Vec::new();
    let mut write = |drawn: Drawn, figure: &Figure| -> Result<()> {
        let Drawn {
            stem,
            title,
            canvas,
        } = drawn;
        let path = what.dir.join("figures").join(format!("{stem}.png"));
        let about = format!("{title}: {}", figure.what);
        let bytes = png::png_bytes(&canvas.finish()?, &about, what.command)?;
        write_atomic(&path, &bytes)?;
        files.push(path);
        Ok(())
    };
    for figure in FIGURES {
        if let Draw::Comparison(draw) = figure.draw {
            if let Some(drawn) = draw(&ComparisonPage { results })? {
                write(drawn, figure)?;
            }
        }
    }
    for data in what.data {
        let headline = results.headline(data);
        let page = DataPage {
            results,
            data,
            headline,
        };
        for figure in FIGURES {
            let Draw::Data(draw) = figure.draw else {
                continue;
            };
            if let Some(drawn) = draw(&page)? {
                write(drawn, figure)?;
            }
        }
    }
    Ok(files)
}
