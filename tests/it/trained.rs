//! What is done with a run that is trained: samples, densities, figures, a comparison.

use crate::common::{files, one_trained, RAD};

#[test]
fn samples_repeat_and_have_the_density_that_is_said() {
    let place = one_trained();
    let text = place
        .mdn(&["sample", RAD, "-n", "50", "--seed", "3"])
        .fine();
    assert_eq!(text.lines().next(), Some("x1,x2"));
    assert_eq!(text.lines().count(), 51);
    place
        .mdn(&["sample", RAD, "-n", "50", "--seed", "3", "-o", "s.csv"])
        .fine();
    assert_eq!(place.read("s.csv"), text);
    let other = place
        .mdn(&["sample", RAD, "-n", "50", "--seed", "4"])
        .fine();
    assert_ne!(other, text);

    let density = place.mdn(&["density", RAD, "s.csv"]).fine();
    assert_eq!(density.lines().next(), Some("x1,x2,log_density"));
    assert_eq!(density.lines().count(), 51);
    for (point, line) in text.lines().zip(density.lines()).skip(1) {
        let log_q = line
            .strip_prefix(point)
            .and_then(|rest| rest.strip_prefix(','))
            .and_then(|rest| rest.parse::<f64>().ok());
        assert!(log_q.is_some_and(f64::is_finite), "{line}");
    }
    let from_stdin = place.mdn_with_stdin(&["density", RAD, "-", "-o", "d.csv"], &text);
    from_stdin.fine();
    assert_eq!(place.read("d.csv"), density);

    let parts = place.mdn(&["density", RAD, "s.csv", "--parts"]).fine();
    assert_eq!(parts.lines().next(), Some("x1,x2,log_density,part"));
    for (plain, line) in density.lines().zip(parts.lines()).skip(1) {
        let part = line
            .strip_prefix(plain)
            .and_then(|rest| rest.strip_prefix(','));
        assert!(part.is_some_and(|p| p.parse::<u64>().is_ok()), "{line}");
    }

    place.write("three.csv", "x1,x2,x3\n1,2,3\n");
    place
        .mdn(&["density", RAD, "three.csv"])
        .refused("three.csv:2: expected 2 values, one per coordinate of the model; got 3");
    let lost = place.mdn(&["sample", RAD, "-n", "5", "-o", "ring.toml/x.csv"]);
    lost.failed(1, "ring.toml");
}

#[test]
fn a_damaged_run_is_refused() {
    let place = one_trained();
    let config = format!("{RAD}/config.toml");
    let whole = place.read(&config);
    // Settings of a smaller model, or of another precision, must not read these weights.
    let cases = [
        (whole.replace("layers = 2", "layers = 1"), "got one more"),
        (
            whole.replace("\"f32\"", "\"f64\""),
            "expected numbers in F64",
        ),
    ];
    for (edited, why) in cases {
        assert_ne!(edited, whole);
        place.write(&config, &edited);
        place.mdn(&["sample", RAD, "-n", "5"]).refused(why);
    }
    place.write(&config, &whole);
    place.write(&format!("{RAD}/model.safetensors"), "no weights");
    place
        .mdn(&["sample", RAD, "-n", "5"])
        .refused("model.safetensors");
}

#[test]
fn figures_are_drawn_again_without_the_model() {
    let place = one_trained();
    let figure = format!("{RAD}/density.png");
    std::fs::remove_file(place.path(&figure)).expect("it was drawn");
    std::fs::remove_file(place.path(RAD).join("model.safetensors")).expect("it was there");
    // Not by way of a link.
    #[cfg(unix)]
    {
        let (own, other) = (place.path("results/ring"), place.path("elsewhere"));
        std::fs::create_dir_all(&other).expect("writable");
        for name in ["status", "config.toml"] {
            std::fs::copy(place.path(RAD).join(name), other.join(name)).expect("a copy");
        }
        std::os::unix::fs::symlink(&other, own.join("link")).expect("a link");
    }
    for folder in [RAD, "results/ring", "results"] {
        let said = place.mdn(&["plot", folder]).fine();
        assert!(said.contains("density.png"), "{said}");
        assert!(said.lines().all(|l| l.starts_with(RAD)), "{said}");
        assert_eq!(&place.bytes(&figure)[1..4], b"PNG");
    }
    let said = place.mdn(&["plot", RAD, "--format", "svg"]).fine();
    assert!(
        said.contains("density.svg") && !said.contains("png"),
        "{said}"
    );
    assert!(place
        .read(&format!("{RAD}/density.svg"))
        .starts_with("<svg "));
}

#[test]
fn compare_trains_what_is_missing_and_reports() {
    let place = one_trained();
    let said = place.mdn(&["compare", "ring.toml"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.err.contains("1 of 4 runs ended before"), "{said:#?}");
    assert!(said.err.contains("warning: "), "2 seeds are few: {said:#?}");
    assert!(said.out.contains("plain"), "{said:#?}");
    assert!(said.out.contains("rad"), "{said:#?}");
    for name in [
        "runs.csv",
        "summary.csv",
        "pairs.csv",
        "ranks.csv",
        "summary.md",
        "report.html",
    ] {
        assert!(place.path("results/ring").join(name).is_file(), "{name}");
    }
    assert!(!files(&place.path("results/ring/figures")).is_empty());

    let again = place.mdn(&["compare", "ring.toml", "--no-train", "-q"]);
    assert_eq!(again.clone().fine(), said.out);
    assert!(again.err.lines().all(|l| l.starts_with("warning: ")));
    let json = place.mdn(&["compare", "ring.toml", "--no-train", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.fine()).expect("JSON");
    assert!(json.is_array() || json.is_object());

    let overview = ["compare", "ring.toml", "--no-train", "--figures=overview"];
    assert_eq!(place.mdn(&overview).fine(), said.out);
    let left = files(&place.path("results/ring/figures"));
    let names: Vec<_> = left.iter().filter_map(|f| f.file_stem()).collect();
    assert!(names.iter().any(|n| *n == "cost"), "{names:?}");
    assert!(!names.iter().any(|n| n.to_string_lossy().ends_with("-ring")));
    let page = place.read("results/ring/summary.md");
    assert!(page.contains("](figures/cost.png)") && !page.contains("-ring.png"));

    let one = ["compare", "ring.toml", "--no-train", "--model", "rad"];
    let one = place.mdn(&one);
    assert!(one.err.contains("the reference `plain` is not"), "{one:#?}");
    assert!(!one.fine().contains("plain "));
}
