//! Every figure from a results folder made without a model.

use std::fs;

use super::*;
use crate::report::compare;
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
                let (data, model) = match figure.name {
                    "rounds" => ("cloud", "mixture_base"),
                    _ => ("ring", "rad"),
                };
                let place = fixture.place(data, model, 0);
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
            Draw::Comparison(draw) => {
                let results = &results;
                draw(&ComparisonPage { results }).unwrap().map(|d| d.canvas)
            }
            Draw::Study(draw) => draw(&crate::report::study::fixture::study()).unwrap(),
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

#[test]
fn the_same_runs_give_the_same_bytes() {
    let fixture = Fixture::new();
    let dir = fixture.experiment();
    let what = fixture.comparison(&dir);
    let bytes = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let report = compare(&what).unwrap();
        report
            .files
            .into_iter()
            .map(|f| (f.clone(), fs::read(f).unwrap()))
            .collect()
    };
    let first = bytes();
    let names: Vec<String> = first
        .iter()
        .map(|(f, _)| f.strip_prefix(&dir).unwrap().display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "runs.csv",
            "summary.csv",
            "pairs.csv",
            "ranks.csv",
            "summary.md",
            "report.html",
            "figures/ranks.png",
            "figures/densities-ring.png",
            "figures/kl-ring.png",
            "figures/training-ring.png",
            "figures/kl-cloud.png",
            "figures/training-cloud.png",
            "figures/densities-table.png",
            "figures/nll-table.png",
            "figures/training-table.png",
        ]
    );
    assert!(first.iter().all(|(_, b)| b.len() > 500));
    assert!(
        first == bytes(),
        "another run of the report wrote other bytes"
    );
}

#[test]
fn a_figure_says_where_it_comes_from() {
    let fixture = Fixture::new();
    let place = fixture.place("ring", "rad", 0);
    let files = draw_run(&place, "mdn train énorme.toml → x").unwrap();
    assert_eq!(
        files,
        [place.path("density.png"), place.path("training.png")]
    );
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let reader = ::png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let info = reader.info();
        assert!((1300..=2100).contains(&info.width), "{}", info.width);
        assert!(info.pixel_dims.is_some());
        let texts = &info.uncompressed_latin1_text;
        let text = |key: &str| {
            texts
                .iter()
                .find(|t| t.keyword == key)
                .map(|t| t.text.as_str())
        };
        assert_eq!(
            text("Software"),
            Some(concat!("mdn ", env!("CARGO_PKG_VERSION")))
        );
        assert!(text("Description")
            .unwrap()
            .starts_with("ring: rad, seed 0: "));
        let command = info.utf8_text[0].get_text().unwrap();
        assert_eq!(command, "mdn train énorme.toml → x");
    }
    let cloud = draw_run(&fixture.place("cloud", "rad", 0), "mdn").unwrap();
    assert_eq!(cloud, [] as [std::path::PathBuf; 0]);
}

#[test]
fn the_gallery_is_drawn_with_signs_that_the_font_has() {
    let canvas = gallery::gallery(40, "mdn plot --targets").unwrap();
    assert!(canvas.lacking().is_empty(), "{:?}", canvas.lacking());
    let image = canvas.finish().unwrap();
    // The brightest of viridis: every law reaches the top of its own scale.
    let bright = |p: &[u8]| p[0] > 245 && p[1] > 220 && p[2] < 60;
    let (width, rows) = (image.width, 5);
    let height = image.height / rows;
    for row in 0..rows {
        let from = 3 * width * (row * height);
        let part = &image.rgb[from..from + 3 * width * height];
        assert!(part.chunks_exact(3).any(bright), "row {row}");
    }
}

#[test]
fn the_critical_difference_is_drawn_where_there_is_one() {
    let fixture = Fixture::many(6);
    let dir = fixture.experiment();
    let what = fixture.comparison(&dir);
    let results = Results::read(&what).unwrap();
    let drawn = ranks::draw(&ComparisonPage { results: &results }).unwrap();
    let drawn = drawn.unwrap();
    assert_eq!(drawn.title, "rings: ranks of 4 models on 6 data sets");
    assert!(drawn.canvas.lacking().is_empty());
    let image = drawn.canvas.finish().unwrap();
    // Its shade begins at the best mean rank, 1, and ends 1.91 ranks further right.
    let shade = [0xf2, 0xf4, 0xf5];
    let row = image
        .rgb
        .chunks_exact(3 * image.width)
        .nth(image.height - 120)
        .unwrap();
    let shaded = row
        .chunks_exact(3)
        .filter(|p| p.iter().zip(shade).all(|(a, b)| a.abs_diff(b) <= 2));
    assert!(shaded.count() > 300, "no shade");
    if let Some(to) = std::env::var_os("MDN_SHOW") {
        let bytes = png::png_bytes(&image, "ranks", what.command).unwrap();
        fs::write(Path::new(&to).join("ranks-of-six.png"), bytes).unwrap();
    }
    let what = crate::report::Comparison {
        data: &fixture.data[..1],
        ..what
    };
    let results = Results::read(&what).unwrap();
    assert!(ranks::draw(&ComparisonPage { results: &results })
        .unwrap()
        .is_none());
}
