//! Columns are matched by name; data that no density fits are named.

use super::case;
use crate::common::{assert_contains, cases, Place};

/// The log density that `density` prints for the first point, by its last column.
fn first_log_density(said: &str) -> f64 {
    let cell = said.lines().nth(1).and_then(|l| l.split(',').next_back());
    cell.and_then(|c| c.parse().ok()).expect(said)
}

#[test]
fn columns_are_matched_by_name_in_any_order() {
    let place = case("columns-swapped");
    place.ok("compare case.toml --figures none");
    let run = "results/columns-swapped/d/k/seed-0";
    for (text, note) in [
        ("b,a\n102,3\n", ""),
        ("3;102\n", ""),
        ("a,b\n3,102\n", ""),
        (
            "\"b\",kind,\"a\"\n102,cat,3\n",
            "points.csv: ignored, not trained on: `kind`",
        ),
    ] {
        place.write("points.csv", text);
        let said = place.mdn(&format!("density {run} points.csv"));
        let value = first_log_density(&said.fine_with_note(note));
        assert!((value + 3.7744).abs() < 1e-4, "{text:?}: {value}");
    }
    // The training file itself, and what `mdn` wrote.
    let own = place.ok(&format!("density {run} data.csv -o own.csv"));
    place.ok(&format!("sample {run} -n 3 -o s.csv"));
    assert!(place.read("s.csv").starts_with("a,b\n"), "{own}");
    place.ok(&format!("density {run} own.csv -o again.csv"));
    assert_eq!(place.read("own.csv"), place.read("again.csv"));
    let table = r"
        b,c\n1,2 => columns `a`, `b` (a file without a header has them in this order); got `b`, `c` without `a`
        a,a,b\n1,2,3 => a name that one column has, or its number
        1,2,3 => expected 2 values, one for each of `a`, `b`; got 3
        a,b\n1,NaN\n2,3 => got 1 bad row (line 2: `NaN` in `b` is not a number)
    ";
    for (text, message) in cases(table) {
        place.write("bad.csv", text.replace("\\n", "\n"));
        place.refused(&format!("density {run} bad.csv"), message);
    }
    // A record without names: the training file has them.
    let config = place.read(&format!("{run}/config.toml"));
    let without = config.lines().filter(|l| !l.starts_with("columns = "));
    let without = without.collect::<Vec<_>>().join("\n");
    assert_ne!(without, config.trim_end());
    place.write(&format!("{run}/config.toml"), without);
    assert_eq!(place.ok(&format!("sample {run} -n 3")), place.read("s.csv"));
}

/// A file with quotes, a label and a row that training leaves out; and one without names.
#[test]
fn training_files_are_accepted_as_points() {
    let mut pets = "kind,\"size, in cm\",age\ndog,NA,3\n".to_owned();
    let mut plain = String::new();
    for i in 0..40 {
        let (size, age) = (
            40.0 + f64::from(i * i % 17) / 3.1,
            f64::from(i * 7 % 40) / 2.7,
        );
        pets += &format!("{},\"{size}\",{age}\n", ["cat", "dog"][i as usize % 2]);
        plain += &format!("{age},{},{size}\n", i % 2);
    }
    let file = "seeds = [0]
        [data.pets.file]
        path = \"pets.csv\"
        label = \"kind\"
        on_bad_rows = \"skip\"
        [data.plain.file]
        path = \"plain.csv\"
        columns = [2, 0]
        [models.k.kernel_density]
        [models.g.gaussian_mixture]
        components = 1";
    let place = Place::with("e.toml", file);
    place.write("pets.csv", &pets);
    place.write("plain.csv", &plain);
    place.ok("train e.toml");
    let run = "results/e/pets/k/seed-0";
    let said = place.mdn(&format!("density {run} pets.csv -o d.csv"));
    let left_out = "pets.csv: left out, as in training: 1 bad row (line 2: `NA` in `size, in cm`)";
    assert_contains(&said.err, &["not trained on: `kind`", left_out]);
    said.fine();
    let rows = place.csv("d.csv");
    assert_eq!((rows.len(), rows[0]["size, in cm"].as_str()), (40, "40"));
    place.ok(&format!("sample {run} -n 2 -o s.csv"));
    let said = place.ok(&format!("density {run} s.csv"));
    assert!(
        said.starts_with("\"size, in cm\",age,log_density\n"),
        "{said}"
    );

    // By number in the training file, by place in a file of as many columns.
    let run = "results/e/plain/g/seed-0";
    let whole = place.ok(&format!("density {run} plain.csv"));
    assert!(whole.starts_with("x1,x2,log_density\n40,0,"), "{whole}");
    place.write("two.csv", "40,0\n");
    let two = place.ok(&format!("density {run} two.csv"));
    assert_eq!(whole.lines().nth(1), two.lines().nth(1));

    // Both columns in another order: the file itself is known by its checksum, another one is not.
    let two: String = (0..40).map(|i| format!("{},{}\n", i % 23, i * i)).collect();
    place.write("plain.csv", &two);
    place.ok("train e.toml --data plain --model g --out turned data.plain.file.columns=[1,0]");
    let run = "turned/e/plain/g/seed-0";
    let whole = place.ok(&format!("density {run} plain.csv"));
    assert!(whole.contains("\n81,9,"), "{whole}");
    place.write("two.csv", two + "1,2\n");
    let message = "expected a header of `x1`, `x2`; got none";
    place.refused(&format!("density {run} two.csv"), message);
}

#[test]
fn values_that_repeat_are_named_with_their_column_and_count() {
    let place = case("atoms-in-column");
    let warning = "data.csv: 1 column of values that repeat (`y` is 0 in 59 of 60 points)";
    let said = place.mdn("compare case.toml --figures none");
    said.fine_with_note(warning);
    for model in ["gm", "g1"] {
        let record = place.read(&format!(
            "results/atoms-in-column/d/{model}/seed-0/data.toml"
        ));
        assert_contains(&record, &["warnings = [", warning]);
    }
}

#[test]
fn single_precision_is_refused_where_it_blurs_a_narrow_direction() {
    let place = case("f32-narrow-direction");
    let said = place.mdn("compare case.toml --figures none");
    let reason =
        "got coordinates so close to a linear dependence that rounding changes a Gaussian's \
                  log density by 0.07 nats a point (try train.precision=f64)";
    assert_ne!(said.code, 0);
    assert_contains(&said.err, &["3 failed", reason]);
    place.ok("compare case.toml --figures none train.precision=f64 --model gm --out double");
    let run = "double/49-f32-narrow-direction/d/gm/seed-0";
    let nll = place.metric(run, "nll").expect("a number");
    let error = place.metric_row(run, "nll")["std_err"]
        .parse::<f64>()
        .expect("a number");
    // ln(2 pi e) + ln 1e-3
    assert!((nll + 4.0699).abs() < 4.0 * error, "{nll} +- {error}");
}

#[test]
fn fewer_points_than_coordinates_are_said() {
    let place = case("fewer-points-than-dimensions");
    let warning = "data.d: 10 training points of 20 coordinates";
    place
        .mdn("train case.toml --model nvp")
        .fine_with_note(warning);
    let record = place.read("results/09-n6-d3/d/nvp/seed-0/data.toml");
    assert_contains(&record, &["10 training points of 20 coordinates"]);
}

#[test]
fn radial_layers_have_a_log_density_far_out() {
    let place = case("radial-far-out");
    place.ok("train case.toml");
    let said = place.ok("density results/radial-nan/d/r/seed-0 points.csv");
    assert!(!said.contains("NaN"), "{said}");
    assert_eq!(said.matches(",-inf").count(), 2, "{said}");
}

/// Columns made from a normal-like one, and what is said about them.
#[test]
fn data_that_no_density_fits_are_named() {
    let experiment = "seeds = [0]\n[data.d.file]\npath = \"d.csv\"\non_bad_rows = \"skip\"\n\
                      [models.s.flow]\nbijection.spline_coupling = {}\n[models.g.gaussian_mixture]\n";
    let place = Place::with("e.toml", experiment);
    // The golden ratio's multiples are spread evenly; their quantile makes them nearly normal.
    let normal = |i: usize, by: f64| {
        let u = (i as f64 * by).fract() * 0.998 + 0.001;
        (u / (1.0 - u)).ln() / 1.7
    };
    let check = |of: &dyn Fn(usize, f64, f64) -> String| {
        let row = |i: usize| of(i, normal(i, 0.618_033_988_75), normal(i, 0.414_213_562_37));
        let rows: String = (1..=500).map(row).collect();
        place.write("d.csv", "a,b,c\n".to_owned() + &rows);
        place.mdn("check e.toml")
    };
    let fine = check(&|i, a, b| format!("{a},{b},{}\n", a + b + normal(i, 0.732_050_807_57)));
    assert!(!fine.err.contains("warning"), "{fine:#?}");
    fine.fine();
    let said = |of: &dyn Fn(usize, f64, f64) -> String, words: &[&str]| {
        let said = check(of);
        assert_eq!(said.err.matches("warning").count(), 1, "{said:#?}");
        assert_contains(&said.err, words);
        said.fine();
    };
    said(
        &|_, a, b| format!("{a},{b},{}\n", 3.0 - 2.0 * a),
        &[
            "1 of the columns `a`; `c` depend linearly on the others",
            "(`columns = [\"a\", \"b\"]` leaves out `c`)",
        ],
    );
    said(
        &|_, a, b| {
            let (a, b) = ((a * 100.0).round() / 100.0, (b * 100.0).round() / 100.0);
            format!("{a:.2},{b:.2},{:.2}\n", 100.0 - a - b)
        },
        &["`a`; `b`; `c` depend linearly on the others"],
    );
    said(
        &|i, a, b| format!("{a},{b},{}\n", (10.0 * normal(i, 0.732_050_807_57)).round()),
        &["`c` has ", " different integers in 500 points"],
    );
    said(
        &|i, a, b| match i % 50 {
            0 => format!("{a},{b},-999\n"),
            _ => format!("{a},{b},{}\n", 150.0 + 200.0 * normal(i, 0.732_050_807_57)),
        },
        &[
            "`c` is -999 in 10 of 500 points, far from all others",
            "on_bad_rows",
        ],
    );
    said(
        &|i, a, b| {
            let far = if i % 40 == 0 { 12.0 + a } else { 0.0 };
            format!("{a},{b},{}\n", far + normal(i, 0.732_050_807_57))
        },
        &["of 350 training points, some are more than `tail_bound` = 5 standard deviations out"],
    );
    let constant = check(&|_, a, _| format!("7,{a},3\n"));
    constant.refused(
        "(a density on a constant is infinite; `columns = [\"b\"]` leaves them out); got `a`, which is 7 \
         in every training point; `c`, which is 3 in every training point",
    );
}
