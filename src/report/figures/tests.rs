//! Every figure from a results folder made without a model.

#[path = "../../../docs/members/gradient_norm.rs"]
mod gradient_norm;

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
    let whole = ComparisonPage { results: &results };
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
                let page = DataPage::read(&results, "ring").unwrap();
                draw(&page).unwrap().map(|d| d.canvas)
            }
            Draw::Comparison(draw) => draw(&whole).unwrap().map(|d| d.canvas),
            Draw::Pages(draw) => draw(&whole).unwrap().pop().map(|d| d.canvas),
            Draw::Study(draw) => draw(&crate::report::study::fixture().1).unwrap(),
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

/// The figure that docs/extending_measures.md adds.
#[test]
fn the_figure_of_the_guide_is_drawn_alike_with_signs_that_the_font_has() {
    let fixture = Fixture::new();
    let dir = fixture.experiment();
    let what = fixture.comparison(&dir);
    let place = fixture.place("ring", "rad", 0);
    let page = RunPage::read(&place, what.command).unwrap();
    let drawn = || gradient_norm::draw(&page).unwrap().unwrap();
    assert!(drawn().lacking().is_empty(), "{:?}", drawn().lacking());
    let origin = Origin {
        description: "gradient norm".to_owned(),
        command: what.command.to_owned(),
        config_hash: None,
    };
    let bytes = || svg::svg_bytes(&drawn(), &origin).unwrap();
    assert_eq!(bytes(), bytes());
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
    let mut expected = vec![
        "runs.csv".to_owned(),
        "summary.csv".to_owned(),
        "pairs.csv".to_owned(),
        "ranks.csv".to_owned(),
        "summary.md".to_owned(),
        "report.html".to_owned(),
    ];
    for stem in [
        "targets-by-models",
        "scores",
        "cost",
        "ranks",
        "densities-ring",
        "errors-ring",
        "base-ring",
        "bridges-ring",
        "kl-ring",
        "training-ring",
        "bridges-cloud",
        "kl-cloud",
        "training-cloud",
        "densities-table",
        "base-table",
        "nll-table",
        "training-table",
    ] {
        expected.extend(["png", "svg"].map(|suffix| format!("figures/{stem}.{suffix}")));
    }
    assert_eq!(names, expected);
    for (file, bytes) in first.iter().filter(|f| !f.0.ends_with("report.html")) {
        assert!(
            bytes.len() < 1_500_000,
            "{}: {}",
            file.display(),
            bytes.len()
        );
    }
    // Of runs that are no more there is no figure, and what is not a figure stays.
    let folder = dir.join("figures");
    fs::write(folder.join("notes.png"), "mine").unwrap();
    remove_old(&dir).unwrap();
    let left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["notes.png"]);
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
    let command = "mdn train énorme.toml → x";
    place.write("config.toml", b"abc").unwrap();
    let drawn = draw_run(&place, command, Format::Svg).unwrap();
    assert_eq!(drawn[0], place.path("density.svg"));
    let svg = fs::read_to_string(&drawn[0]).unwrap();
    for part in [
        concat!("Software: mdn ", env!("CARGO_PKG_VERSION"), "\n"),
        "<title>ring: rad, seed 0: target density",
        "Command: mdn train énorme.toml → x\n",
        "Configuration: ba7816bf8f01\n",
        "aria-label=\"Parts of the model\"",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    let files = draw_run(&place, command, Format::Png).unwrap();
    assert_eq!(
        files,
        [
            place.path("density.png"),
            place.path("training.png"),
            place.path("base.png")
        ]
    );
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let reader = ::png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let info = reader.info();
        assert!((900..=2100).contains(&info.width), "{}", info.width);
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
        assert_eq!(text("Configuration"), Some("ba7816bf8f01"));
        assert_eq!(info.utf8_text[0].get_text().unwrap(), command);
    }
    let cloud = draw_run(&fixture.place("cloud", "rad", 0), "mdn", Format::Png).unwrap();
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
    let what = crate::report::Comparison {
        data: &fixture.data[..1],
        ..what
    };
    let results = Results::read(&what).unwrap();
    assert!(ranks::draw(&ComparisonPage { results: &results })
        .unwrap()
        .is_none());
}

#[test]
fn a_figure_belongs_to_the_data_set_that_its_name_ends_with() {
    for (name, data, of) in [
        ("kl-ring.png", "ring", true),
        ("nll-ring.svg", "ring", true),
        ("kl-big-ring.png", "ring", false),
        ("kl-big-ring.png", "big-ring", true),
        ("targets-by-models.png", "models", false),
    ] {
        assert_eq!(is_of_data(name, data), of, "{name} of {data}");
    }
    assert!(caption("base-ring.png").contains("base"));
    assert_eq!(caption("notes.png"), "");
}

#[test]
fn a_smaller_picture_has_the_means_of_its_pixels() {
    let rgb = [[0, 10, 0], [100, 20, 0], [200, 30, 0], [100, 40, 255]];
    let image = canvas::Image {
        width: 2,
        height: 2,
        rgb: rgb.concat(),
    };
    let origin = Origin {
        description: String::new(),
        command: String::new(),
        config_hash: None,
    };
    let bytes = png::png_bytes(&image, &origin).unwrap();
    let small = smaller(&bytes, 2).unwrap();
    assert_eq!(small, png::bare_png(1, &[[100, 25, 63]]).unwrap());
    assert!(smaller(&bytes[..30], 2).is_err());
}
