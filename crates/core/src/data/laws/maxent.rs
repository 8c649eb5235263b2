//! Maximum-entropy problems against values from another program (`tests/reference/maxent.json`,
//! which names its source) and against quadrature of their own densities.

use serde_json::Value;

use super::golden::numbers;
use crate::data::quadrature::{integrate, Budget, Step};
use crate::data::{Problem, Support};

const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/reference/maxent.json"
));

fn golden(name: &str) -> Value {
    let file: Value = serde_json::from_str(TEXT).expect("JSON");
    file["problems"][name].clone()
}

/// int f(x) p(x) dx over what of `sides` belongs to the support.
fn expectation(problem: &Problem, sides: [(f64, f64); 2], f: impl Fn(&[f64]) -> f64) -> f64 {
    let simplex = problem.support == Support::Simplex;
    let width = if simplex { 0.125 } else { 0.5 };
    let plan = |_: &[f64; 2], half: &[f64; 2]| {
        if half[0].max(half[1]) > width / 2.0 {
            Step::Split
        } else {
            Step::Sum { cost: 1, with: () }
        }
    };
    let budget = Budget {
        visits: usize::MAX,
        work: usize::MAX,
    };
    let at = |x: &[f64]| match problem.log_density(x).exp() {
        // 0 log 0 = 0
        0.0 => 0.0,
        p => p * f(x),
    };
    let (low, high) = (sides.map(|s| s.0), sides.map(|s| s.1));
    let found = integrate(low, high, budget, plan, |(), u| {
        if !simplex {
            return at(u);
        }
        // x1 = g(u1), x2 = (1 - x1) g(u2): the triangle becomes a square, and a g that is flat to a
        // high order at both ends takes the logarithms' edges away.
        let (a, slope_a) = flat_step(u[0]);
        let (b, slope_b) = flat_step(u[1]);
        at(&[a, (1.0 - a) * b]) * (1.0 - a) * slope_a * slope_b
    });
    found.expect("no limit").value
}

fn flat_step(u: f64) -> (f64, f64) {
    let (inner, slope) = smooth_step(u);
    let (value, outer) = smooth_step(inner);
    (value, slope * outer)
}

/// int_0^u t^3 (1 - t)^3 dt * 140 and its slope.
fn smooth_step(u: f64) -> (f64, f64) {
    let value = u.powi(4) * (35.0 - 84.0 * u + 70.0 * u * u - 20.0 * u.powi(3));
    (value, 140.0 * (u * (1.0 - u)).powi(3))
}

#[test]
fn problems_are_those_of_the_reference() {
    for name in Problem::names() {
        let (problem, want) = (Problem::by_name(name).expect("a name"), golden(name));
        let close = |what: &str, got: &[f64], want: &[f64]| {
            assert_eq!(got.len(), want.len(), "{name} {what}");
            for (got, want) in got.iter().zip(want) {
                assert!(
                    (got - want).abs() < 1e-11,
                    "{name} {what}: {got}, not {want}"
                );
            }
        };
        let number = |key: &str| [want[key].as_f64().expect("a number")];
        close("eta", &problem.eta, &numbers(&want["eta"]));
        close("moments", &problem.moments, &numbers(&want["moments"]));
        close("log_z", &[problem.log_z], &number("log_z"));
        close("entropy", &[problem.entropy], &number("entropy"));
        let names = names_of(&want["statistics"]);
        assert_eq!(problem.statistics.names(), names, "{name}");
        let masses = &want["quadrant_mass"];
        if let Some(right) = want["mass_right_of_saddle"].as_f64() {
            close("masses", &problem.mode_masses, &[1.0 - right, right]);
        } else if masses.is_object() {
            // Its trapezoid rule is good to 1e-14 over the plane, but not over quadrants: Gauss
            // rules of 100 and 140 nodes agree on masses that differ from these by 8e-8.
            for (q, got) in ["++", "+-", "-+", "--"].iter().zip(&problem.mode_masses) {
                let want = masses[q].as_f64().expect("a mass");
                assert!((got - want).abs() < 1e-7, "{name} {q}: {got}, not {want}");
            }
        } else {
            assert_eq!(problem.mode_masses, [1.0], "{name}");
        }
        if let Some(modes) = want["modes"].as_array() {
            // The density is stationary at the modes, and each has a region of its own.
            let mut regions: Vec<usize> = modes
                .iter()
                .map(|mode| {
                    let (x, mut slope) = (numbers(mode), [f64::NAN; 2]);
                    problem.gradient(&x, &mut slope);
                    assert!(
                        slope.iter().all(|s| s.abs() < 1e-6),
                        "{name} {x:?}: {slope:?}"
                    );
                    problem.mode_of(&x)
                })
                .collect();
            regions.sort_unstable();
            assert_eq!(regions, (0..problem.mode_masses.len()).collect::<Vec<_>>());
        }
    }
}

/// The file's names as ours: `log x_3` is `log(rest)` to two coordinates.
fn names_of(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("a list").iter();
    list.map(|v| match v.as_str().expect("a name") {
        "log x_3" => "log(rest)".to_owned(),
        name => name
            .strip_prefix("log x_")
            .map_or(name.to_owned(), |d| format!("log(x{d})")),
    })
    .collect()
}

#[test]
fn moments_masses_and_covariances_are_those_of_the_density() {
    let mut faults = Vec::new();
    for name in Problem::names() {
        let (problem, want) = (Problem::by_name(name).expect("a name"), golden(name));
        let sides = problem.frame().hold;
        let statistic = |i: usize, x: &[f64]| {
            let mut values = vec![0.0; problem.statistics.len()];
            problem.statistics.evaluate(x, &mut values);
            values[i]
        };
        let mut check = |what: String, got: f64, want: f64| {
            if !((got - want).abs() < 1e-8 * want.abs().max(1.0)) {
                faults.push(format!("{name} {what}: {got}, not {want}"));
            }
        };
        check("mass".into(), expectation(&problem, sides, |_| 1.0), 1.0);
        let surprise = |x: &[f64]| match problem.log_density(x) {
            log_p if log_p.is_finite() => -log_p,
            _ => 0.0,
        };
        let entropy = expectation(&problem, sides, surprise);
        check("entropy".into(), entropy, problem.entropy);
        for (i, moment) in problem.moments.iter().enumerate() {
            let got = expectation(&problem, sides, |x| statistic(i, x));
            check(format!("moment {i}"), got, *moment);
            let Some(row) = want["cov_statistics"].get(i).map(numbers) else {
                continue;
            };
            let square = expectation(&problem, sides, |x| (statistic(i, x) - moment).powi(2));
            check(format!("variance {i}"), square, row[i]);
        }
        // Cut where regions meet, so that cells see a smooth integrand.
        let cut = if name == "double_well_tilted" {
            -0.050_041_771_181_887_25
        } else {
            0.0
        };
        if problem.mode_masses.len() > 1 {
            let halves = |(low, high): (f64, f64), at: f64| [(low, at), (at, high)];
            let mut masses = vec![0.0; problem.mode_masses.len()];
            for x in halves(sides[0], cut) {
                for y in halves(sides[1], 0.0) {
                    let middle = [(x.0 + x.1) / 2.0, (y.0 + y.1) / 2.0];
                    masses[problem.mode_of(&middle)] += expectation(&problem, [x, y], |_| 1.0);
                }
            }
            for (k, (got, want)) in masses.iter().zip(&problem.mode_masses).enumerate() {
                check(format!("mass {k}"), *got, *want);
            }
        }
        if problem.statistics.infeasible(&problem.moments).is_some()
            || !problem.statistics.supports_bound()
        {
            faults.push(format!("{name}: refused by the feasibility checks"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
