//! Densities, modes, energies, normalisers and entropies against values from other programs
//! (`tests/reference/`, whose files name their sources) and against quadrature.

use serde_json::Value;

use crate::data::law::View;
use crate::data::quadrature::GaussLegendre;
use crate::data::{
    log_density, DataSet, DataSpec, Domain, EnergySpec, Potential, Problem, Support, BENCHMARKS,
};
use crate::num::testing::{self, cases, numbers, scaled, Faults};

macro_rules! reference {
    ($file:literal) => {
        testing::reference(include_str!(concat!("../../../tests/reference/", $file)))
    };
}

/// The file's number of a mode as ours: it counts dark squares with the white ones between them, and
/// stimper_cgm clockwise from the top.
fn renumbered(name: &str, mode: u64) -> u32 {
    (match name {
        "checkerboard" => mode / 2,
        "stimper_cgm" => (10 - mode) % 8,
        _ => mode,
    }) as u32
}

#[test]
fn agrees_with_the_reference_values() {
    let file = reference!("synthetic_targets.json");
    let (mut faults, mut found) = (Faults::default(), 0);
    for benchmark in BENCHMARKS.iter() {
        let name = benchmark.name.as_str();
        let want = &file["targets"][name];
        if want.is_null() {
            continue;
        }
        found += 1;
        let data = benchmark.spec().build().expect("fine");
        let truth = data.truth().expect("synthetic");
        let points: Vec<_> = cases(want, "x").iter().map(numbers).collect();
        let quadrature = ["pinwheel", "two_spirals"].contains(&name);
        let tolerance = scaled(if quadrature { 1e-6 } else { 1e-9 });
        let log_p: Vec<_> = points.iter().map(|x| log_density(truth, x)).collect();
        faults.near(name, &log_p, &numbers(&want["log_density"]), tolerance);
        // The modes are those the points were drawn from: where modes overlap, some differ.
        let modes = points.iter().zip(cases(want, "mode"));
        let differ = modes.filter(|(x, mode)| {
            mode.as_u64().map(|m| renumbered(name, m)) != super::one(truth, x).1
        });
        let differ = differ.count();
        let overlap = ["moons", "many_moons8", "aniso6", "four_circles"].contains(&name);
        faults.unless(differ <= usize::from(overlap), || {
            format!("{name}: {differ} modes differ")
        });
        let entropy = truth.entropy();
        let bound = |_: f64| 3.0 * entropy.error + 1e-6;
        let expected = numbers(&want["entropy"]);
        faults.near(&format!("{name}: H"), &[entropy.value], &expected, bound);
    }
    faults.none();
    assert_eq!(found, file["targets"].as_object().expect("a table").len());
}

/// The energies of targets.json.
const POTENTIALS: [Potential; 4] = [Potential::U1, Potential::U2, Potential::U3, Potential::U4];

fn key(potential: Potential) -> String {
    format!("{potential:?}").to_lowercase()
}

#[test]
fn energies_and_gradients_are_those_of_the_reference() {
    let file = reference!("targets.json");
    let (mut faults, mut checked) = (Faults::default(), 0);
    for potential in POTENTIALS {
        let domain = None;
        let data = DataSpec::Energy(EnergySpec { potential, domain }).build();
        let data = data.expect("a finite mass");
        let truth = super::truth(&*data);
        let domain = match potential {
            Potential::U1 => "plane",
            _ => "softwall",
        };
        let log_z = numbers(&file["normalisers"][key(potential)][domain]["log_z"])[0];
        for point in cases(&file["energies"], &key(potential)) {
            let z = numbers(&point["z"]);
            // The soft walls of all but U1.
            let beyond = match potential {
                Potential::U1 => 0.0,
                _ => (z[0].abs() - 4.0).max(0.0) / 0.4,
            };
            let mut slope = [f64::NAN; 2];
            truth.gradient(&z, &mut slope);
            let got = [
                -(log_density(truth, &z) + log_z) - 0.5 * beyond * beyond,
                -slope[0] - z[0].signum() * beyond / 0.4,
                -slope[1],
            ];
            let want = [numbers(&point["energy"]), numbers(&point["grad"])].concat();
            let what = format!("{potential:?} at {z:?}");
            faults.near(&what, &got, &want, scaled(1e-12));
            checked += 1;
        }
    }
    faults.none();
    assert_eq!(checked, 36);
}

#[test]
fn normalisers_entropies_and_masses_are_those_of_the_reference() {
    let file = reference!("targets.json");
    let (mut faults, mut checked) = (Faults::default(), 0);
    let domains = [
        (Domain::Box, "box4"),
        (Domain::Strip, "strip4"),
        (Domain::Plane, "plane"),
        (Domain::SoftWall, "softwall"),
    ];
    for potential in POTENTIALS.into_iter().chain([Potential::DualMoon]) {
        for (domain, place) in domains {
            let spec = DataSpec::Energy(EnergySpec {
                potential,
                domain: Some(domain),
            });
            let Ok(data) = spec.build() else {
                continue;
            };
            let truth = super::truth(&*data);
            let mut check = |what: &str, got: f64, want: f64, bound: f64| {
                checked += 1;
                let what = format!("{potential:?} {place} {what}");
                faults.near(&what, &[got], &[want], |_| bound);
            };
            for (got, want) in truth.weights().iter().zip(mode_masses(&*data)) {
                check("a mode's weight", *got, want, 1e-8);
            }
            // Of the others the file has nothing.
            let want = &file["normalisers"][key(potential)][place];
            let Some(log_z) = want["log_z"].as_f64() else {
                continue;
            };
            let entropy = want["entropy"].as_f64().expect("a number");
            // Estimated from samples.
            let found = truth.entropy();
            check("entropy", found.value, entropy, 4.0 * found.error);
            check("entropy's error", found.error, 0.0, 5e-3);
            let point = &file["energies"][key(potential)][1];
            let (z, energy) = (numbers(&point["z"]), numbers(&point["energy"])[0]);
            check("log p", log_density(truth, &z), -energy - log_z, 1e-8);
        }
    }
    assert!(checked > 50, "{checked}");
    faults.none();
}

/// Nodes and weights on \[low, high\]: 12 for each of the equal panels, which are at most `width` wide.
fn panels((low, high): (f64, f64), width: f64) -> Vec<(f64, f64)> {
    let rule = GaussLegendre::new(12);
    let count = ((high - low) / width).ceil();
    let step = (high - low) / count;
    let panel = |i: usize| {
        let from = low + step * i as f64;
        let nodes = rule.nodes.iter().zip(&rule.weights);
        nodes.map(move |(u, w)| (from + step * u, step * w))
    };
    (0..count as usize).flat_map(panel).collect()
}

/// int f over the box `sides`, by the [`panels`] of both sides.
fn integrate(sides: View, width: f64, mut f: impl FnMut(&[f64; 2]) -> f64) -> f64 {
    let [rows, columns] = sides.map(|side| panels(side, width));
    let mut row = |x: f64| -> f64 { columns.iter().map(|(y, w)| w * f(&[x, *y])).sum() };
    rows.iter().map(|(x, w)| w * row(*x)).sum()
}

/// int w_j p_j by quadrature with panels that end where domains do.
fn mode_masses(data: &dyn DataSet) -> Vec<f64> {
    let truth = super::truth(data);
    let mut joint = vec![0.0; truth.weights().len()];
    (0..joint.len())
        .map(|j| {
            integrate([(-8.0, 8.0); 2], 0.25, |x| {
                truth.log_joint(x, &mut joint);
                joint[j].exp()
            })
        })
        .collect()
}

fn solution(name: &str) -> Value {
    reference!("maxent.json")["problems"][name].clone()
}

#[test]
fn problems_are_those_of_the_reference() {
    let mut faults = Faults::default();
    for name in Problem::names() {
        let (problem, want) = (Problem::by_name(name).expect("a name"), solution(name));
        let mut close = |what: &str, got: &[f64], want: &[f64], bound: f64| {
            faults.near(&format!("{name} {what}"), got, want, |_| bound);
        };
        for (key, got) in [
            ("eta", &problem.eta[..]),
            ("moments", &problem.moments[..]),
            ("log_z", &[problem.log_z][..]),
            ("entropy", &[problem.entropy()][..]),
        ] {
            close(key, got, &numbers(&want[key]), 1e-11);
        }
        let names = names_of(&want["statistics"]);
        assert_eq!(problem.statistics.names(), names, "{name}");
        let masses = &want["quadrant_mass"];
        if let Some(right) = want["mass_right_of_saddle"].as_f64() {
            let masses = [1.0 - right, right];
            close("masses", &problem.mode_masses, &masses, 1e-11);
        } else if masses.is_object() {
            // Its trapezoid rule is good to 1e-14 over the plane, but not over quadrants: Gauss
            // rules of 100 and 140 nodes agree on masses that differ from these by 8e-8.
            let masses = ["++", "+-", "-+", "--"].map(|q| masses[q].as_f64().expect("a mass"));
            close("masses", &problem.mode_masses, &masses, 1e-7);
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
                    close(&format!("slope at {x:?}"), &slope, &[0.0; 2], 1e-6);
                    problem.mode_of(&x)
                })
                .collect();
            regions.sort_unstable();
            assert_eq!(regions, (0..problem.mode_masses.len()).collect::<Vec<_>>());
        }
    }
    faults.none();
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

/// On the plane; the Dirichlet's moments are digamma functions.
#[test]
fn moments_masses_and_entropies_are_those_of_the_density() {
    let mut faults = Faults::default();
    for name in Problem::names() {
        let problem = Problem::by_name(name).expect("a name");
        let statistics = &problem.statistics;
        let refused = statistics.infeasible(&problem.moments).is_some();
        assert!(
            !refused && statistics.unbounded_direction().is_none(),
            "{name}"
        );
        if problem.support() == Support::Simplex {
            continue;
        }
        let mut check = |what: String, f: &dyn Fn(&[f64; 2], f64) -> f64, want: f64| {
            let [x, y] = problem.hold;
            // Panels end where the regions of modes meet, so that every integrand is smooth.
            let cut = match name {
                "double_well_tilted" => -0.050_041_771_181_887_25,
                _ => 0.0,
            };
            let halves = |(low, high): (f64, f64), at: f64| [(low, at), (at, high)];
            let parts = halves(x, cut).into_iter();
            let boxes = parts.flat_map(|x| halves(y, 0.0).map(|y| [x, y]));
            let part = |sides| {
                integrate(sides, 0.5, |x| {
                    let log_p = problem.log_density(x);
                    log_p.exp() * f(x, log_p)
                })
            };
            let got: f64 = boxes.map(part).sum();
            let what = format!("{name} {what}");
            faults.near(&what, &[got], &[want], scaled(1e-8));
        };
        check("mass".into(), &|_, _| 1.0, 1.0);
        check("entropy".into(), &|_, log_p| -log_p, problem.entropy());
        for (i, moment) in problem.moments.iter().enumerate() {
            let statistic = |x: &[f64; 2], _| {
                let mut values = vec![0.0; statistics.len()];
                statistics.evaluate(x, &mut values);
                values[i]
            };
            check(format!("moment {i}"), &statistic, *moment);
        }
        for (k, mass) in problem.mode_masses.iter().enumerate() {
            let inside = |x: &[f64; 2], _| f64::from(u8::from(problem.mode_of(x) == k));
            check(format!("mass {k}"), &inside, *mass);
        }
    }
    faults.none();
}
