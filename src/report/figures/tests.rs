//! Every figure from a results folder made without a model.

#[path = "../../../docs/members/gradient_norm.rs"]
mod gradient_norm;

use std::fs;

use super::*;
use crate::report::compare;
use crate::report::fixture::Fixture;

#[test]
fn every_figure_is_drawn_alike_twice_with_characters_that_the_font_has() {
    let fixture = Fixture::new();
    let what = fixture.comparison();
    let results = Results::read(&what).unwrap();
    let ring = DataPage::read(&results, "ring").unwrap();
    let place = |data, model| fixture.place(data, model, 0);
    let run = RunPage::read(&place("ring", "rad"), what.command).unwrap();
    let constrained = RunPage::read(&place("cloud", "mixture_base"), what.command).unwrap();
    let check = |name: &str, draw: &dyn Fn() -> Option<Canvas>| {
        let canvas = draw().unwrap_or_else(|| panic!("{name} is not drawn"));
        assert!(canvas.missing.is_empty(), "{name}: {:?}", canvas.missing);
        assert!(canvas.marks == draw().unwrap().marks, "{name}: other marks");
    };
    for figure in FIGURES {
        check(figure.name, &|| match figure.draw {
            Draw::Run(draw) if figure.name == "rounds" => draw(&constrained).unwrap(),
            Draw::Run(draw) => draw(&run).unwrap(),
            Draw::Data(draw) => draw(&ring).unwrap(),
            Draw::Comparison(draw) => draw(&results).unwrap().pop(),
            Draw::Study(draw) => draw(&crate::report::study::fixture()).unwrap(),
        });
    }
    // The figure that docs/extending.md adds.
    check("gradient-norm", &|| gradient_norm::draw(&run).unwrap());
}

#[test]
fn a_report_shows_every_figure_and_another_one_writes_the_same_bytes() {
    let fixture = Fixture::new();
    let dir = &fixture.experiment;
    let what = fixture.comparison();
    let files = |what| -> Vec<(String, Vec<u8>)> {
        let files = compare(what).unwrap().files.into_iter();
        let name = |f: &Path| f.strip_prefix(dir).unwrap().display().to_string();
        files.map(|f| (name(&f), fs::read(f).unwrap())).collect()
    };
    let first = files(&what);
    let names: Vec<&str> = first.iter().map(|f| f.0.as_str()).collect();
    let (tables, figures) = names.split_at(6);
    let expected = "runs.csv summary.csv pairs.csv ranks.csv summary.md report.html";
    assert_eq!(tables.join(" "), expected);
    let stem = |name: &&str| name.strip_suffix(".png").map(str::to_owned);
    let stems: Vec<String> = figures.iter().filter_map(stem).collect();
    let both = stems
        .iter()
        .flat_map(|s| [".png", ".svg"].map(|suffix| format!("{s}{suffix}")));
    assert!(
        figures.iter().map(|f| f.to_string()).eq(both),
        "{figures:?}"
    );
    for figure in FIGURES {
        let name = figure.name.replace("<data>", "ring");
        if matches!(figure.draw, Draw::Data(_) | Draw::Comparison(_)) {
            assert!(stems.contains(&format!("figures/{name}")), "{name}");
        }
    }
    assert!(
        stems.iter().any(|s| s == "figures/nll-table"),
        "the headline of a table"
    );
    for (name, bytes) in &first {
        let most = if name == "report.html" {
            20_000_000
        } else {
            1_500_000
        };
        assert!(
            (500..most).contains(&bytes.len()),
            "{name}: {}",
            bytes.len()
        );
    }
    // The page and the report show every figure; the report needs no other file.
    let read = |name| fs::read_to_string(dir.join(name)).unwrap();
    let (page, html) = (read("summary.md"), read("report.html"));
    for stem in &stems {
        assert!(page.contains(&format!("]({stem}.png)")), "{stem}");
    }
    let pictures = html.matches("src=\"data:image/png;base64,").count();
    assert_eq!(pictures, stems.len());
    for outside in [
        "http://",
        "https://",
        "src=\"figures",
        "@import",
        "url(",
        "{{",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    for data in &fixture.data {
        assert!(html.contains(&format!(">{data}</a>")), "{data}");
    }
    let cloud = crate::report::Comparison {
        data: &fixture.data[1..2],
        ..what
    };
    let mut again = files(&cloud);
    again.retain(|f| f.0.contains("-cloud."));
    assert_eq!(again.len(), 6);
    assert!(again.iter().all(|f| first.contains(f)), "other bytes");
    // Figures of an earlier comparison are removed, other files stay.
    let folder = dir.join("figures");
    fs::write(folder.join("notes.png"), "mine").unwrap();
    remove_old(dir).unwrap();
    let left = fs::read_dir(&folder).unwrap().flatten();
    assert!(left.map(|e| e.file_name()).eq(["notes.png"]));
}

#[test]
fn a_figure_says_where_it_comes_from() {
    let fixture = Fixture::new();
    let place = fixture.place("ring", "rad", 0);
    let command = "mdn train énorme.toml → x";
    place.write("config.toml", b"abc").unwrap();
    let drawn = draw_run(&place, command, Format::Both).unwrap();
    let svg = fs::read_to_string(&drawn[1]).unwrap();
    for part in [
        concat!("Software: mdn ", env!("CARGO_PKG_VERSION"), "\n"),
        "<title>ring: rad, seed 0: target density",
        "Command: mdn train énorme.toml → x\n",
        "Configuration: ba7816bf8f01\n",
        "aria-label=\"Parts of the model\"",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(drawn.contains(&place.path("density.png")));
    for pair in drawn.chunks(2) {
        let [file, svg] = pair else {
            panic!("{pair:?}")
        };
        assert_eq!(file.with_extension("svg"), *svg);
        let bytes = std::io::Cursor::new(fs::read(file).unwrap());
        let reader = ::png::Decoder::new(bytes).read_info().unwrap();
        let info = reader.info();
        assert!((900..=2100).contains(&info.width), "{}", info.width);
        assert!(info.pixel_dims.is_some());
        let texts = info.uncompressed_latin1_text.iter();
        let texts = texts
            .map(|t| format!("{}: {}\n", t.keyword, t.text))
            .collect::<String>();
        let software = concat!("Software: mdn ", env!("CARGO_PKG_VERSION"));
        let start = format!("{software}\nDescription: ring: rad, seed 0: ");
        assert!(texts.starts_with(&start), "{texts}");
        assert!(texts.ends_with("Configuration: ba7816bf8f01\n"), "{texts}");
        assert_eq!(info.utf8_text[0].get_text().unwrap(), command);
    }
    let cloud = draw_run(&fixture.place("cloud", "rad", 0), "mdn", Format::Png).unwrap();
    assert_eq!(cloud, [] as [PathBuf; 0]);
}

#[test]
fn every_target_of_the_gallery_reaches_the_top_of_its_own_colours() {
    let canvas = gallery::gallery(40, "mdn plot --targets").unwrap();
    assert!(canvas.missing.is_empty(), "{:?}", canvas.missing);
    let image = pixels::draw(&canvas).unwrap();
    // The brightest of viridis.
    let bright = |p: &[u8; 3]| p[0] > 245 && p[1] > 220 && p[2] < 60;
    let rows = image.rgb.chunks_exact(image.rgb.len() / 5);
    for (i, row) in rows.enumerate() {
        assert!(row.iter().any(bright), "row {i}");
    }
}

#[test]
fn the_critical_difference_is_drawn_where_there_is_one() {
    let fixture = Fixture::many(6);
    let mut what = fixture.comparison();
    let ranks = |what: &crate::report::Comparison<'_>| {
        ranks::draw(&Results::read(what).unwrap()).unwrap().pop()
    };
    let canvas = ranks(&what).unwrap();
    assert_eq!(canvas.title, "rings: ranks of 4 models on 6 data sets");
    assert!(canvas.missing.is_empty());
    let texts = canvas.marks.iter().filter_map(|mark| match mark {
        canvas::Mark::Text(text) => Some(text.words.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    assert!(
        texts.contains(&"critical difference 1.91 (Nemenyi, 5 %)"),
        "{texts:?}"
    );
    what.data = &fixture.data[..1];
    assert!(ranks(&what).is_none());
}
