use super::Statistics;
use crate::num::testing::{slope, Faults};
use crate::rng::Rng;
use crate::rows::RowFunction;

/// The statistics of a list such as "x, y^2".
fn read(names: &str, dim: usize) -> Statistics {
    let list: Vec<&str> = names.split(", ").collect();
    Statistics::parse(&list, dim).unwrap_or_else(|e| panic!("{names}: {e}"))
}

fn values(statistics: &Statistics, x: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NAN; statistics.len()];
    statistics.evaluate(x, &mut out);
    out
}

const PLANE: &str = "x, y, x^2, x*y, x^2+y^2, x^4 + y^4, x2*x1^2*y^3, r, r^3, r^4, cos(theta), \
                     sin(2*theta), cos(5 * theta), log(x1), log(y), log(rest), x^3-3*x*y^2, (r-2)^2";

/// Every form, by the number of coordinates.
const FORMS: &[(usize, &str)] = &[
    (1, "x, x^2, x1^3, x^6, r, r^3, log(x)"),
    (2, PLANE),
    (3, "x*y*z, z^2, r^2, r^5, log(x3), log(rest)"),
    (12, "x12, x1*x11^2, x10^2+x4, r^2, r, log(rest)"),
];

#[test]
fn values_are_those_of_the_formulas() {
    let (a, b) = (0.3_f64, 0.45_f64);
    let theta = b.atan2(a);
    let got = values(&read(PLANE, 2), &[a, b]);
    let r = (a * a + b * b).sqrt();
    let want = [
        a,
        b,
        a * a,
        a * b,
        a * a + b * b,
        a.powi(4) + b.powi(4),
        a * a * b.powi(4),
        r,
        r.powi(3),
        r.powi(4),
        theta.cos(),
        (2.0 * theta).sin(),
        (5.0 * theta).cos(),
        a.ln(),
        b.ln(),
        (1.0 - a - b).ln(),
        a.powi(3) - 3.0 * a * b * b,
        (r - 2.0).powi(2),
    ];
    for ((name, got), want) in PLANE.split(", ").zip(&got).zip(want) {
        assert!((got - want).abs() < 1e-14, "{name}: {got}, not {want}");
    }
    let got = values(&read(FORMS[3].1, 12), &[0.05; 12]);
    assert!((got[2] - 0.0525).abs() < 1e-15 && (got[3] - 0.03).abs() < 1e-15);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let mut rng = Rng::new(4);
    let mut faults = Faults::default();
    for (dim, names) in FORMS {
        let statistics = read(names, *dim);
        let count = statistics.len();
        for _ in 0..20 {
            // Inside the simplex, and off it as well where there is no logarithm.
            let x: Vec<f64> = (0..*dim).map(|_| rng.uniform() / *dim as f64).collect();
            for (i, name) in names.split(", ").enumerate() {
                let mut x = x.clone();
                if !name.starts_with("log") {
                    x.iter_mut().for_each(|v| *v = 4.0 * rng.normal());
                }
                let mut cotangent = vec![0.0; count];
                cotangent[i] = 0.7;
                let mut got = vec![f64::NAN; *dim];
                statistics.vjp(&x, &cotangent, &mut got);
                for d in 0..*dim {
                    let step = 1e-4 * x[d].abs().max(1e-2);
                    let at = |by: f64| {
                        let mut x = x.clone();
                        x[d] += by;
                        values(&statistics, &x)[i]
                    };
                    let want = 0.7 * slope(at, step);
                    let size = at(0.0).abs() / step + want.abs();
                    let near = (got[d] - want).abs() < 1e-7 * want.abs() + 1e-13 * size;
                    let said = || format!("{name} at {x:?}: {}, not {want}", got[d]);
                    faults.unless(near, said);
                }
            }
        }
    }
    faults.none();
}

/// Statistics of these forms are told from other expressions, however they are written.
#[test]
fn forms_are_recognised() {
    use super::Kind;
    let expression = |names: &str, dim| {
        let all = read(names, dim).kinds;
        all.into_iter()
            .find(|kind| matches!(kind, Kind::Expression(_)))
    };
    for (dim, names) in FORMS {
        let forms = names.split(", x^3-3*x*y^2").next().unwrap();
        assert_eq!(expression(forms, *dim), None, "{names}");
    }
    for other in [
        "2*x",
        "x-y",
        "x^7",
        "x^2.5",
        "r^2+x",
        "r^7",
        "cos(2.5*theta)",
        "log(2*x)",
        "x+1",
        "cos(x)",
    ] {
        assert!(expression(other, 2).is_some(), "{other}");
    }
    let same = [
        ("(x*y)^2", "y^2*x1^2"),
        ("sum(i, 1, 2, x[i]^2)", "r^2"),
        ("cos(theta*2)", "cos(2*theta)"),
        ("x*x", "x^2"),
    ];
    for (a, b) in same {
        assert!(Statistics::parse(&[a, b], 2).is_err(), "{a} is {b}");
    }
}

#[test]
fn the_origin_has_a_finite_gradient() {
    let statistics = read("r, r^3, cos(theta), sin(2*theta), x*y", 2);
    let mut got = [f64::NAN; 2];
    statistics.vjp(&[0.0, 0.0], &[1.0; 5], &mut got);
    assert_eq!(got, [0.0, 0.0]);
}

#[test]
fn invalid_names_are_pointed_at() {
    let said = Statistics::parse(&["x", "sine(y)"], 2)
        .unwrap_err()
        .to_string();
    let place = "got `sine` at column 1 of `sine(y)` (did you mean `sin`?) in statistics[1]";
    assert!(said.contains(place), "{said}");
    let twice: [(&[&str], &str); 3] = [
        (
            &["x", "x1"],
            "`x1` in statistics[1], the same as statistics[0]",
        ),
        (&["y*x", "r^2", "y^2 + x^2"], "`y^2 + x^2` in statistics[2]"),
        (&[], "got 0"),
    ];
    for (names, words) in twice {
        let said = Statistics::parse(names, 2).unwrap_err().to_string();
        assert!(said.contains(words), "{names:?}: {said}");
    }
}

#[test]
fn moments_that_no_density_has_are_refused_with_the_reason() {
    let impossible: &[(&str, &[f64], &str)] = &[
        (
            "x, x^2",
            &[2.0, 3.0],
            "E[x] = 2, but with E[x^2] = 3 its size is below 1.7320508075688772 (Cauchy-Schwarz)",
        ),
        ("x, x^2", &[2.0, 4.0], "Cauchy-Schwarz"),
        ("x, r^2", &[-2.0, 4.0], "E[r^2] = 4"),
        ("x, x^2", &[f64::NAN, 4.0], "E[x] = NaN is not finite"),
        ("x^2", &[-1.0], "E[x^2] = -1, but `x^2` is never negative"),
        ("x^2+y^4", &[0.0], "never negative"),
        ("r^3", &[-1.0], "never negative"),
        ("x^2, x^4", &[2.0, 3.9], "Cauchy-Schwarz"),
        ("x^2, x^6", &[2.0, 7.9], "Lyapunov"),
        (
            "x*y, x^2, y^2",
            &[1.5, 1.0, 2.0],
            "E[x^2] = 1 and E[y^2] = 2",
        ),
        (
            "x*y, x^2+y^2",
            &[1.5, 3.0],
            "E[x*y] = 1.5, but with E[x^2+y^2] = 3 its size is below 1.5",
        ),
        ("x*y^2, x^2, y^4", &[2.0, 1.0, 4.0], "Cauchy-Schwarz"),
        ("x^2, x^2+y^2", &[3.0, 2.0], "E[x^2+y^2] = 2"),
        ("x^2+y^2, x^4+y^4", &[4.0, 7.9], "Lyapunov"),
        ("r^2, r^3", &[4.0, 7.9], "Lyapunov"),
        ("r, r^2", &[2.0, 3.9], "Lyapunov"),
        ("cos(theta)", &[1.0], "within (-1, 1)"),
        ("sin(2*theta)", &[-1.5], "within (-1, 1)"),
        ("cos(3*theta), sin(3*theta)", &[0.8, -0.7], "less than 1"),
        ("log(x1)", &[0.1], "below 1"),
        (
            "log(x1), log(x2), log(rest)",
            &[-1.0, -1.0, -1.0],
            "sums to 1.10",
        ),
        (
            "x, log(x)",
            &[0.5, -0.5],
            "E[x] = 0.5 it is below log 0.5 (Jensen)",
        ),
        (
            "x",
            &[1.0, 2.0],
            "expected 1 moments, one per statistic; got 2",
        ),
    ];
    for (names, moments, words) in impossible {
        let said = read(names, 2).infeasible(moments).unwrap_or_default();
        assert!(said.contains(words), "{names} {moments:?}: {said}");
    }
    let possible: &[(&str, &[f64])] = &[
        ("x, x^2", &[2.0, 4.1]),
        ("x*y, x^2, y^2", &[-1.41, 1.0, 2.0]),
        ("x*y, x^2+y^2", &[-1.45, 3.0]),
        ("x^2+y^2, x^4+y^4", &[4.0, 8.1]),
        ("x, x^3", &[1.0, -5.0]),
        ("r^2, r^3, x^4", &[4.0, 8.1, 0.1]),
        ("cos(theta), sin(theta), sin(2*theta)", &[0.7, 0.7, -0.9]),
        ("log(x1), log(x2), log(rest)", &[-2.28, -1.28, -0.78]),
    ];
    for (names, moments) in possible {
        assert_eq!(read(names, 2).infeasible(moments), None, "{names}");
    }
}

#[test]
fn moments_of_samples_are_never_refused() {
    // The moments of any 50 points on no curve are feasible.
    let statistics = read(
        "x, y, x^2, x*y, y^2, x^4, x^2*y^2, r^3, r^4, r^6, x^4+y^4, x^6+y^6, cos(theta), sin(theta), \
         x*y^2, x^3, x*y^3",
        2,
    );
    let logs = read("x, y, log(x), log(y), log(rest), x*y, x^2, y^2", 2);
    let mean = |of: &Statistics, points: &[[f64; 2]]| {
        let mut sum = vec![0.0; of.len()];
        for x in points {
            for (s, v) in sum.iter_mut().zip(values(of, x)) {
                *s += v / points.len() as f64;
            }
        }
        sum
    };
    let mut rng = Rng::new(1);
    for _ in 0..200 {
        let (a, b) = (rng.normal(), rng.normal());
        let mut cloud = |spread: f64| -> Vec<[f64; 2]> {
            let mut at = |c: f64| c + spread * rng.normal();
            (0..50).map(|_| [at(a), at(b)]).collect()
        };
        for points in [cloud(0.05), cloud(1.0)] {
            assert_eq!(statistics.infeasible(&mean(&statistics, &points)), None);
            let inside: Vec<[f64; 2]> = points
                .iter()
                .map(|[a, b]| {
                    let whole = 1.0 + a.exp() + b.exp();
                    [a.exp() / whole, b.exp() / whole]
                })
                .collect();
            assert_eq!(logs.infeasible(&mean(&logs, &inside)), None);
        }
    }
}

#[test]
fn what_bounds_the_support() {
    let cases: &[(usize, &str, Option<&str>)] = &[
        (2, "x, y, x^2, x*y, y^2", None),
        (2, "x, x^2, x^4, y^2", None),
        (2, "x^2+y^2, x^4+y^4, x*y", None),
        (2, "r, cos(2*theta)", None),
        (3, "r^4, x*y*z, x^4", None),
        (2, "log(x), log(y)", None),
        (2, "x, x^2", Some("nothing bounds `y`")),
        (2, "x^3, y^2", Some("nothing bounds `x`")),
        (5, "x1^2, x2^2, x4^2, x5^2", Some("nothing bounds `x3`")),
        (2, "x^2*y^2", Some("nothing bounds `x`")),
        (2, "x^2+y^3", Some("nothing bounds `x`")),
        (
            1,
            "x, x^2, x^3",
            Some("`x^3` outgrows every even power of the statistics; add one such as `r^4`"),
        ),
        (2, "r, x", None),
        (2, "r, x*y", Some("`x*y` outgrows")),
        (2, "x^2, y^4, x^2*y", Some("`x^2*y` outgrows")),
        (2, "x^4, y^2, x^2*y", None),
    ];
    for (dim, names, want) in cases {
        let statistics = read(names, *dim);
        let got = statistics.unbounded_direction();
        let fits = match (&got, want) {
            (Some(got), Some(want)) => got.contains(want),
            (None, None) => true,
            _ => false,
        };
        assert!(fits, "{names}: {got:?}");
    }
}
