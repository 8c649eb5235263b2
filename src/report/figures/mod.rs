//! Figures, one file each, listed in [`FIGURES`]. Only this folder uses plotters and fonts.

use std::path::{Path, PathBuf};

use super::headline::{Headline, HEADLINES};
use super::results::Results;
use crate::experiment::config_hash;
use crate::experiment::store::{remove_if_there, write_atomic, RunDir};
use crate::report::study::Study;
use mdn_core::{Error, Result};

mod all_scores;
mod axes;
mod base;
mod bridges;
mod canvas;
mod cost;
mod curves;
mod densities;
mod font;
mod gallery;
mod grid;
mod legend;
mod pages;
mod panels;
mod parts;
mod pixels;
mod png;
mod ranks;
mod rounds;
mod scores;
mod study;
mod style;
mod svg;
mod targets_by_models;
#[cfg(test)]
mod tests;
mod training;

use canvas::Canvas;
pub use gallery::draw_gallery;
pub use pages::{DataPage, RunPage};
pub use png::smaller;
pub use svg::escaped;

/// How a figure is drawn; none are drawn where it does not apply.
pub enum Draw {
    /// From one run, into its folder.
    Run(fn(&RunPage<'_>) -> Result<Option<Canvas>>),
    /// From all runs on one data set, into `figures/`.
    Data(fn(&DataPage<'_>) -> Result<Option<Canvas>>),
    /// From all runs of a comparison, into `figures/`.
    Comparison(fn(&Results<'_>) -> Result<Vec<Canvas>>),
    /// From a study, into its `figures/`.
    Study(fn(&Study<'_>) -> Result<Option<Canvas>>),
}

/// A member of [`FIGURES`].
pub struct Figure {
    /// Stem of its file; where another metric than `kl` is the headline, its key replaces `kl`.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// Draws it.
    pub draw: Draw,
}

/// What a figure's file says of its making.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// What the figure shows.
    pub description: String,
    /// What the user typed.
    pub command: String,
    /// [`config_hash`] of the settings behind it, where there are any.
    pub config_hash: Option<String>,
}

impl Metadata {
    /// Keys and texts, in the order in which files list them.
    pub fn entries(&self) -> Vec<(&'static str, &str)> {
        let mut all = vec![
            ("Software", concat!("mdn ", env!("CARGO_PKG_VERSION"))),
            ("Description", &self.description),
            ("Command", &self.command),
        ];
        all.extend(self.config_hash.as_deref().map(|h| ("Configuration", h)));
        all
    }
}

/// Every figure.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "density",
        what: "target density, model density, samples and the model's parts, of one 2-D run",
        draw: Draw::Run(densities::draw_run),
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
        name: "base",
        what: "held-out points in data space and where they land at the base, of one 2-D run",
        draw: Draw::Run(base::draw_run),
    },
    Figure {
        name: "targets-by-models",
        what: "log densities of all 2-D targets and models",
        draw: Draw::Comparison(targets_by_models::draw),
    },
    Figure {
        name: "scores",
        what: "KL (reverse KL or constraint error on problems) of every model on all data sets",
        draw: Draw::Comparison(all_scores::draw),
    },
    Figure {
        name: "cost",
        what: "training time against KL or NLL of every model, a panel for each data set",
        draw: Draw::Comparison(cost::draw),
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
        name: "errors-<data>",
        what: "where the log density of every model is too high and where too low, of 2-D data",
        draw: Draw::Data(densities::draw_errors),
    },
    Figure {
        name: "base-<data>",
        what: "where held-out points land at the base of every model, with its components",
        draw: Draw::Data(base::draw),
    },
    Figure {
        name: "bridges-<data>",
        what: "mass of every model below density levels of the truth, against the truth's own",
        draw: Draw::Data(bridges::draw),
    },
    Figure {
        name: "kl-<data>",
        what: "KL (NLL where the truth is unknown; reverse KL or constraint error on problems) of every model",
        draw: Draw::Data(scores::draw),
    },
    Figure {
        name: "training-<data>",
        what: "validation loss of every model: mean and interval over seeds",
        draw: Draw::Data(training::draw_by_model),
    },
    Figure {
        name: "entropy-bounds",
        what: "entropies of a relaxed mixture by each density, against the number of nested terms",
        draw: Draw::Study(study::entropies),
    },
    Figure {
        name: "gradients",
        what: "bias and noise of each way to draw from a mixture, by weights, means and deviations",
        draw: Draw::Study(study::gradients),
    },
];

/// The names of the files of all figures of a run.
pub fn files_of_runs() -> Vec<String> {
    let figures = FIGURES.iter().filter(|f| matches!(f.draw, Draw::Run(_)));
    let files = |f: &Figure| ["png", "svg"].map(|suffix| format!("{}.{suffix}", f.name));
    figures.flat_map(files).collect()
}

/// Files that a figure is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pixels.
    Png,
    /// Shapes, text as outlines.
    Svg,
    /// One of each.
    Both,
}

/// Figures of a comparison to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// Those over all data sets, and those of each.
    #[default]
    All,
    /// Those over all data sets.
    Overview,
    /// None.
    Nothing,
}

/// Whether a comparison writes figures with this stem.
fn is_of_comparison(stem: &str) -> bool {
    let is_named = |figure: &Figure| match figure.draw {
        Draw::Run(_) | Draw::Study(_) => false,
        Draw::Data(_) => stem.starts_with(figure.name.trim_end_matches("<data>")),
        Draw::Comparison(_) => {
            let rest = stem.strip_prefix(figure.name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        }
    };
    let has_metric = |h: &Headline| stem.starts_with(&format!("{}-", h.key));
    FIGURES.iter().any(is_named) || HEADLINES.iter().any(has_metric)
}

/// Removes the figures of an earlier comparison, some of which may not be drawn again.
pub fn remove_old(dir: &Path) -> Result<()> {
    let folder = dir.join("figures");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(());
    };
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".png").or(name.strip_suffix(".svg"));
        if stem.is_some_and(is_of_comparison) {
            remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// Writes a figure as `<stem>.png`, `<stem>.svg` or both. It says what made it: a command and the hash of
/// the settings, where there are any.
fn write(
    canvas: &Canvas,
    figure: &Figure,
    stem: &Path,
    format: Format,
    (command, config_hash): (&str, Option<String>),
) -> Result<Vec<PathBuf>> {
    let about = Metadata {
        description: format!("{}: {}", canvas.title, figure.what),
        command: command.to_owned(),
        config_hash,
    };
    let mut files = Vec::new();
    let mut save = |suffix: &str, bytes: &[u8]| {
        let mut name = stem.as_os_str().to_owned();
        name.push(suffix);
        files.push(PathBuf::from(name));
        write_atomic(&files[files.len() - 1], bytes)
    };
    if format != Format::Svg {
        save(".png", &png::png_bytes(&pixels::draw(canvas)?, &about)?)?;
    }
    if format != Format::Png {
        save(".svg", &svg::svg_bytes(canvas, &about)?)?;
    }
    Ok(files)
}

/// The hash of the settings of a run or of a study.
fn hash_in(folder: &Path) -> Option<String> {
    let settings = std::fs::read_to_string(folder.join("config.toml"));
    settings.ok().map(|text| config_hash(&text))
}

/// Draws the figures of a run into its folder and returns the files it wrote.
pub fn draw_run(place: &RunDir, command: &str, format: Format) -> Result<Vec<PathBuf>> {
    let page = RunPage::read(place, command)?;
    let made = (command, hash_in(&place.0));
    let mut files = Vec::new();
    for figure in FIGURES {
        if let Draw::Run(draw) = figure.draw {
            if let Some(canvas) = draw(&page)? {
                let stem = place.path(figure.name);
                files.extend(write(&canvas, figure, &stem, format, made.clone())?);
            }
        }
    }
    Ok(files)
}

/// Draws the figures of a study into `figures/` below its folder.
pub fn draw_study(study: &Study<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    let made = (study.command, hash_in(folder));
    let mut files = Vec::new();
    for figure in FIGURES {
        if let Draw::Study(draw) = figure.draw {
            let stem = folder.join("figures").join(figure.name);
            remove_if_there(&stem.with_extension("png"))?;
            remove_if_there(&stem.with_extension("svg"))?;
            if let Some(canvas) = draw(study)? {
                files.extend(write(&canvas, figure, &stem, Format::Both, made.clone())?);
            }
        }
    }
    Ok(files)
}

/// A figure of a comparison.
pub struct Drawn {
    /// The PNG, then the SVG.
    pub files: Vec<PathBuf>,
    /// What it shows.
    pub caption: String,
    /// Its data set, if it is of one.
    pub data: Option<String>,
}

/// Draws the figures of a comparison into `figures/`: those over all data sets, then those of each.
pub fn draw_comparison(results: &Results<'_>, which: Which) -> Result<Vec<Drawn>> {
    let what = results.what;
    let mut all = Vec::new();
    if which == Which::Nothing {
        return Ok(all);
    }
    let mut save = |canvas: Canvas, figure: &Figure, names: [String; 2], data: Option<&String>| {
        let [stem, caption] = names;
        let stem = what.dir.join("figures").join(stem + &canvas.suffix);
        let made = (what.command, Some(what.config_hash.to_owned()));
        all.push(Drawn {
            files: write(&canvas, figure, &stem, Format::Both, made)?,
            caption,
            data: data.cloned(),
        });
        Ok::<(), Error>(())
    };
    for figure in FIGURES {
        if let Draw::Comparison(draw) = figure.draw {
            for canvas in draw(results)? {
                let names = [figure.name, figure.what].map(str::to_owned);
                save(canvas, figure, names, None)?;
            }
        }
    }
    for data in what.data.iter().filter(|_| which == Which::All) {
        let page = DataPage::read(results, data)?;
        for figure in FIGURES {
            let Draw::Data(draw) = figure.draw else {
                continue;
            };
            let Some(canvas) = draw(&page)? else {
                continue;
            };
            let names = match page.headline.filter(|_| figure.name == "kl-<data>") {
                Some(Headline { key, long, .. }) => [
                    format!("{key}-{data}"),
                    format!("{long} of every model, seed by seed"),
                ],
                None => [figure.name.replace("<data>", data), figure.what.to_owned()],
            };
            save(canvas, figure, names, Some(data))?;
        }
    }
    Ok(all)
}
