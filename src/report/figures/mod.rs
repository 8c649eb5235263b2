//! Figures, one file each, listed in [`FIGURES`]. Plotters and its fonts stay in this folder.

use std::path::{Path, PathBuf};

use super::results::{Results, Run};
use crate::experiment::store::{write_atomic, HistoryRow, Picture, RunDir, State};
use crate::Result;

mod axes;
mod canvas;
mod curves;
mod densities;
mod density;
mod font;
mod grid;
mod panels;
mod parts;
mod png;
mod scores;
mod style;
mod training;
mod training_by_model;

use canvas::Canvas;

/// What a figure of one run is drawn from.
pub struct RunPage<'a> {
    run: Run,
    history: Vec<HistoryRow>,
    picture: Option<Picture>,
    command: &'a str,
}

/// What a figure of one data set of a comparison is drawn from.
pub struct DataPage<'a> {
    results: &'a Results<'a>,
    data: &'a str,
    headline: Option<&'static str>,
}

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
}

/// A member of [`FIGURES`].
pub struct Figure {
    /// Stem of its file; `nll` stands for `kl` where the truth is unknown.
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
        name: "densities-<data>",
        what:
            "target and all models on one colour scale, log densities and parts, of a 2-D data set",
        draw: Draw::Data(densities::draw),
    },
    Figure {
        name: "kl-<data>",
        what: "KL (NLL where the truth is unknown) of every model: seeds, mean, interval",
        draw: Draw::Data(scores::draw),
    },
    Figure {
        name: "training-<data>",
        what: "validation loss of every model: mean and interval over seeds",
        draw: Draw::Data(training_by_model::draw),
    },
];

impl<'a> RunPage<'a> {
    /// Reads what a run left; a run that ended early leaves less.
    pub fn read(place: &RunDir, command: &'a str) -> Result<Self> {
        let status = place.read_status()?;
        let metrics = match status.state {
            State::Done => place.read_metrics()?,
            _ => Vec::new(),
        };
        let history = if place.path("history.csv").exists() {
            place.read_history()?
        } else {
            Vec::new()
        };
        let name = |path: Option<&Path>| {
            let name = path.and_then(Path::file_name);
            name.map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        };
        let model = place.0.parent();
        let seed = name(Some(&place.0));
        Ok(Self {
            run: Run {
                data: name(model.and_then(Path::parent)),
                model: name(model),
                seed: seed.trim_start_matches("seed-").parse().unwrap_or(0),
                place: place.clone(),
                status,
                metrics,
            },
            history,
            picture: place.read_picture()?,
            command,
        })
    }

    fn title(&self) -> String {
        let Run {
            data, model, seed, ..
        } = &self.run;
        format!("{data}: {model}, seed {seed}")
    }

    /// The scores of a run that is done, the state and reason of any other.
    fn facts(&self) -> String {
        let status = &self.run.status;
        if !self.run.is_done() {
            let colon = if status.reason.is_empty() { "" } else { ": " };
            return format!("{}{colon}{}", status.state.word(), status.reason);
        }
        let scores: Vec<String> = [("kl", "KL"), ("nll", "NLL")]
            .into_iter()
            .filter_map(|(key, name)| {
                let value = super::digits::plain(self.run.value(key)?);
                Some(format!("{name} {} nats", axes::signs(&value)))
            })
            .collect();
        if scores.is_empty() {
            status.state.word().to_owned()
        } else {
            scores.join(", ")
        }
    }
}

impl DataPage<'_> {
    fn seeds(&self) -> String {
        style::count(self.results.what.seeds.len(), "seed")
    }

    fn headline_name(&self) -> &'static str {
        match self.headline {
            Some("nll") => "NLL",
            _ => "KL",
        }
    }
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

/// Draws the figures of every data set of a comparison into `figures/`.
pub fn draw_comparison(results: &Results<'_>) -> Result<Vec<PathBuf>> {
    let what = results.what;
    let mut files = Vec::new();
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
            if let Some(Drawn {
                stem,
                title,
                canvas,
            }) = draw(&page)?
            {
                let path = what.dir.join("figures").join(format!("{stem}.png"));
                let about = format!("{title}: {}", figure.what);
                write_atomic(
                    &path,
                    &png::png_bytes(&canvas.finish()?, &about, what.command)?,
                )?;
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Fixture;

    #[test]
    fn every_figure_is_drawn_and_every_sign_in_it_is_in_the_font() {
        let fixture = Fixture::new();
        let dir = fixture.experiment();
        let what = fixture.comparison(&dir);
        let results = Results::read(&what).unwrap();
        let mut faults = Vec::new();
        for figure in FIGURES {
            let canvas = match figure.draw {
                Draw::Run(draw) => {
                    let place = fixture.place("ring", "rad", 0);
                    draw(&RunPage::read(&place, what.command).unwrap()).unwrap()
                }
                Draw::Data(draw) => {
                    let (results, data, headline) = (&results, "ring", Some("kl"));
                    let page = DataPage {
                        results,
                        data,
                        headline,
                    };
                    draw(&page).unwrap().map(|d| d.canvas)
                }
            };
            match canvas {
                None => faults.push(format!("{}: not drawn", figure.name)),
                Some(c) if !c.lacking().is_empty() => {
                    faults.push(format!("{}: {:?}", figure.name, c.lacking()));
                }
                Some(_) => {}
            }
        }
        assert_eq!(faults, [] as [String; 0]);
    }
}
