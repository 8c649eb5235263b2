//! Figures, one file each, listed in [`FIGURES`]. Plotters and its fonts stay in this folder.

use std::path::{Path, PathBuf};

use super::results::Results;
use crate::experiment::config_hash;
use crate::experiment::store::{write_atomic, RunDir, Study, StudyDir};
use mdn_core::{Error, Result};

mod all_scores;
mod axes;
mod bands;
mod base;
mod bridges;
mod canvas;
mod cost;
mod curves;
mod densities;
mod density;
mod errors;
mod font;
mod gallery;
mod grid;
mod labels;
mod legend;
mod marks;
mod origin;
mod outlines;
mod pages;
mod panels;
mod parts;
mod png;
mod ranks;
mod rounds;
mod scores;
mod shapes;
mod sheet;
mod shown;
mod stroke;
mod study;
mod style;
mod svg;
mod targets_by_models;
#[cfg(test)]
mod tests;
mod training;
mod training_by_model;

use canvas::Canvas;
pub use gallery::draw_gallery;
use origin::Origin;
pub use pages::{ComparisonPage, DataPage, RunPage};
pub use png::smaller;

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
    /// The same, on as many sheets as it takes; the stems begin with the figure's name.
    Pages(fn(&ComparisonPage<'_>) -> Result<Vec<Drawn>>),
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
        name: "base",
        what: "held-out points in data space and where they land at the base, of one 2-D run",
        draw: Draw::Run(base::draw_run),
    },
    Figure {
        name: "targets-by-models",
        what: "log densities of all 2-D targets and models",
        draw: Draw::Pages(targets_by_models::draw),
    },
    Figure {
        name: "scores",
        what: "KL (reverse KL or constraint error on problems) of every model on all data sets",
        draw: Draw::Pages(all_scores::draw),
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
        draw: Draw::Data(errors::draw),
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
        draw: Draw::Data(training_by_model::draw),
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

/// Removes the figures of an earlier comparison: one whose runs have since failed is not drawn
/// again, and must not stand beside a new table.
pub fn remove_old(dir: &Path) -> Result<()> {
    let folder = dir.join("figures");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(());
    };
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".png").or(name.strip_suffix(".svg"));
        if stem.is_some_and(is_of_comparison) {
            std::fs::remove_file(&path).map_err(Error::io(&path, "could not remove"))?;
        }
    }
    Ok(())
}

/// How the stems of [`scores`] begin, by the metric they show, and what they show.
const HEADLINE: [(&str, &str); 4] = [
    ("kl-", "KL(p‖q) of every model, seed by seed"),
    ("nll-", "NLL of every model, seed by seed"),
    ("reverse_kl-", "KL(q‖p) of every model, seed by seed"),
    (
        "constraint_error-",
        "constraint error of every model, seed by seed",
    ),
];

/// Whether a comparison writes a figure of this stem.
fn is_of_comparison(stem: &str) -> bool {
    of_comparison(stem).is_some()
}

/// The figure of a comparison that has this stem.
fn of_comparison(stem: &str) -> Option<&'static Figure> {
    let is_headline = HEADLINE.iter().any(|(start, _)| stem.starts_with(start));
    FIGURES.iter().find(|figure| match figure.draw {
        Draw::Run(_) | Draw::Study(_) => false,
        Draw::Data(_) if figure.name == "kl-<data>" && is_headline => true,
        Draw::Data(_) => stem.starts_with(figure.name.trim_end_matches("<data>")),
        Draw::Comparison(_) => stem == figure.name,
        Draw::Pages(_) => stem.starts_with(figure.name),
    })
}

/// Whether a comparison's figure of this file name is that of one data set.
pub fn is_of_data(name: &str, data: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let Some(start) = stem.strip_suffix(data) else {
        return false;
    };
    HEADLINE.iter().any(|(known, _)| *known == start)
        || FIGURES.iter().any(|figure| {
            matches!(figure.draw, Draw::Data(_)) && figure.name.trim_end_matches("<data>") == start
        })
}

/// What a comparison's figure of this file name shows.
pub fn caption(name: &str) -> &'static str {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let headline = HEADLINE.iter().find(|(start, _)| stem.starts_with(start));
    headline
        .map(|(_, what)| *what)
        .or_else(|| of_comparison(stem).map(|figure| figure.what))
        .unwrap_or_default()
}

/// Writes a figure as `<stem>.png`, `<stem>.svg` or both.
fn write(canvas: Canvas, stem: &Path, format: Format, origin: &Origin) -> Result<Vec<PathBuf>> {
    let path = |suffix: &str| {
        let mut name = stem.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let svg = match format {
        Format::Png => None,
        Format::Svg | Format::Both => Some(svg::svg_bytes(&canvas, origin)?),
    };
    let mut files = Vec::new();
    if format != Format::Svg {
        files.push(path(".png"));
        write_atomic(&files[0], &png::png_bytes(&canvas.finish()?, origin)?)?;
    }
    if let Some(bytes) = svg {
        files.push(path(".svg"));
        write_atomic(&path(".svg"), &bytes)?;
    }
    Ok(files)
}

/// Draws the figures of one run into its folder and says which files it wrote.
pub fn draw_run(place: &RunDir, command: &str, format: Format) -> Result<Vec<PathBuf>> {
    let page = RunPage::read(place, command)?;
    let settings = std::fs::read_to_string(place.path("config.toml"));
    let config_hash = settings.ok().map(|text| config_hash(&text));
    let mut files = Vec::new();
    for figure in FIGURES {
        let Draw::Run(draw) = figure.draw else {
            continue;
        };
        if let Some(canvas) = draw(&page)? {
            let origin = Origin {
                description: format!("{}: {}", page.title(), figure.what),
                command: command.to_owned(),
                config_hash: config_hash.clone(),
            };
            files.extend(write(canvas, &place.path(figure.name), format, &origin)?);
        }
    }
    Ok(files)
}

/// Draws the figures of a study into its folder `figures/`.
pub fn draw_study(study: &Study<'_>, place: &StudyDir) -> Result<Vec<PathBuf>> {
    let settings = std::fs::read_to_string(place.path("config.toml"));
    let config_hash = settings.ok().map(|text| config_hash(&text));
    let mut files = Vec::new();
    for figure in FIGURES {
        let Draw::Study(draw) = figure.draw else {
            continue;
        };
        let stem = place.path("figures").join(figure.name);
        if let Some(canvas) = draw(study)? {
            let origin = Origin {
                description: format!("{}: {}", study.name, figure.what),
                command: study.command.to_owned(),
                config_hash: config_hash.clone(),
            };
            files.extend(write(canvas, &stem, Format::Both, &origin)?);
            continue;
        }
        for path in ["png", "svg"].map(|suffix| stem.with_extension(suffix)) {
            if path.exists() {
                std::fs::remove_file(&path).map_err(Error::io(&path, "could not remove"))?;
            }
        }
    }
    Ok(files)
}

/// Draws the figures of a comparison into `figures/`: those over all data sets, then those of each.
pub fn draw_comparison(results: &Results<'_>, which: Which) -> Result<Vec<PathBuf>> {
    let what = results.what;
    let mut files = Vec::new();
    if which == Which::Nothing {
        return Ok(files);
    }
    let mut keep = |drawn: Drawn, figure: &Figure| {
        let stem = what.dir.join("figures").join(&drawn.stem);
        let origin = Origin {
            description: format!("{}: {}", drawn.title, figure.what),
            command: what.command.to_owned(),
            config_hash: Some(what.config_hash.to_owned()),
        };
        files.extend(write(drawn.canvas, &stem, Format::Both, &origin)?);
        Ok::<(), Error>(())
    };
    let page = ComparisonPage { results };
    for figure in FIGURES {
        match figure.draw {
            Draw::Comparison(draw) => draw(&page)?.map_or(Ok(()), |d| keep(d, figure))?,
            Draw::Pages(draw) => {
                for drawn in draw(&page)? {
                    keep(drawn, figure)?;
                }
            }
            Draw::Run(_) | Draw::Data(_) | Draw::Study(_) => {}
        }
    }
    let each = what.data.iter().filter(|_| which == Which::All);
    for data in each {
        let page = DataPage::read(results, data)?;
        for figure in FIGURES {
            if let Draw::Data(draw) = figure.draw {
                draw(&page)?.map_or(Ok(()), |d| keep(d, figure))?;
            }
        }
    }
    Ok(files)
}
