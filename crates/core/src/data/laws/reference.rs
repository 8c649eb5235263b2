//! Densities, modes, energies, normalisers and entropies against values from other programs
//! (`tests/reference/`, whose files name their sources) and against quadrature.

use serde_json::Value;

use crate::data::quadrature::integrate;
use crate::data::{
    log_density, Benchmark, DataSpec, Domain, EnergySpec, Potential, Problem, Support, BENCHMARKS,
};

macro_rules! reference {
    ($file:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/reference/",
            $file
        )))
        .expect("JSON")
    };
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    // null stands for zero density.
    list.iter()
        .map(|v| v.as_f64().unwrap_or(f64::NEG_INFINITY))
        .collect()
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
    let (mut faults, mut found) = (Vec::new(), 0);
    for benchmark in BENCHMARKS {
        let name = benchmark.name;
        let want = &file["targets"][name];
        if want.is_null() {
            continue;
        }
        found += 1;
        let data = (benchmark.spec)().build().expect("fine");
        let truth = data.truth().expect("synthetic");
        let points = want["x"].as_array().expect("points");
        let log_p = numbers(&want["log_density"]);
        assert_eq!(points.len(), log_p.len());
        let quadrature = ["pinwheel", "two_spirals"].contains(&name);
        let tolerance = if quadrature { 1e-6 } else { 1e-9 };
        for (x, want) in points.iter().map(numbers).zip(&log_p) {
            let got = log_density(truth, &x);
            let near = (got - want).abs() <= tolerance * want.abs().max(1.0);
            if got != *want && !near {
                faults.push(format!("{name} at {x:?}: {got}, not {want}"));
            }
        }
        // The modes are those the points were drawn from: where modes overlap, some differ.
        let modes = want["mode"].as_array().expect("modes");
        let differ = points.iter().map(numbers).zip(modes).filter(|(x, mode)| {
            mode.as_u64().map(|m| renumbered(name, m)) != super::one(truth, x).1
        });
        let differ = differ.count();
        let overlap = ["moons", "many_moons8", "aniso6", "four_circles"].contains(&name);
        if differ > usize::from(overlap) {
            faults.push(format!("{name}: {differ} modes differ"));
        }
        let entropy = truth.entropy();
        let want = want["entropy"].as_f64().expect("a number");
        if (entropy.value - want).abs() > 3.0 * entropy.error + 1e-6 {
            faults.push(format!("{name}: H = {entropy:?}, not {want}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert_eq!(found, file["targets"].as_object().expect("a table").len());
}

#[test]
fn energies_and_gradients_are_those_of_the_reference() {
    let file = reference!("targets.json");
    let mut checked = 0;
    for potential in Potential::ALL {
        // The dual moon is among the other benchmarks.
        for point in file["energies"][potential.name()]
            .as_array()
            .into_iter()
            .flatten()
        {
            let z: [f64; 2] = numbers(&point["z"]).try_into().expect("two coordinates");
            let want = point["energy"].as_f64().expect("a number");
            let got = potential.energy(&z);
            let bound = 1e-12 * want.abs().max(1.0);
            assert!(
                (got - want).abs() < bound,
                "{potential:?} at {z:?}: {got}, not {want}"
            );
            for (got, want) in potential.gradient(&z).iter().zip(numbers(&point["grad"])) {
                let bound = 1e-12 * want.abs().max(1.0);
                assert!(
                    (got - want).abs() < bound,
                    "{potential:?} at {z:?}: {got}, not {want}"
                );
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 36);
}

#[test]
fn normalisers_entropies_and_masses_are_those_of_the_reference() {
    let file = reference!("targets.json");
    let (mut faults, mut checked) = (Vec::new(), 0);
    let domains = [
        (Domain::Box, "box4"),
        (Domain::Strip, "strip4"),
        (Domain::Plane, "plane"),
        (Domain::SoftWall, "softwall"),
    ];
    for potential in Potential::ALL {
        for (domain, key) in domains {
            let want = &file["normalisers"][potential.name()][key];
            let Some(log_z) = want["log_z"].as_f64() else {
                continue;
            };
            let spec = DataSpec::Energy(EnergySpec {
                potential,
                domain: Some(domain),
            });
            let data = spec.build().expect("a finite mass");
            let truth = super::truth(&*data);
            let entropy = want["entropy"].as_f64().expect("a number");
            let mut check = |what: &str, got: f64, want: f64, bound: f64| {
                checked += 1;
                if !((got - want).abs() < bound) {
                    faults.push(format!("{potential:?} {key} {what}: {got}, not {want}"));
                }
            };
            check("log Z", truth.log_z().expect("unnormalised"), log_z, 1e-8);
            check("entropy", truth.entropy().value, entropy, 1e-8);
            check("entropy's error", truth.entropy().error, 0.0, 1e-7);
            let z: Vec<f64> = numbers(&file["energies"][potential.name()][1]["z"]);
            let z = [z[0], z[1]];
            if domain != Domain::SoftWall || z[0].abs() < 4.0 {
                let got = log_density(truth, &z);
                check("log p", got, -potential.energy(&z) - log_z, 1e-8);
            }
            let masses = mode_masses(&*data);
            for (got, want) in truth.weights().iter().zip(masses) {
                check("a mode's weight", *got, want, 1e-8);
            }
        }
    }
    assert!(checked > 50, "{checked}");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// int w_j p_j by quadrature with panels that end where domains do.
fn mode_masses(data: &dyn super::DataSet) -> Vec<f64> {
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

#[test]
fn rings_have_the_normalisers_that_were_found_elsewhere() {
    // Stimper et al. 2022's targets, by midpoint quadrature on a fine grid.
    for (name, want) in [
        ("stimper_moons", 2.2349401487677),
        ("stimper_rings", 5.9061037296459),
    ] {
        let data = Benchmark::by_name(name).expect("a name").spec;
        let data = data().build().expect("fine");
        let got = super::truth(&*data).log_z().expect("unnormalised").exp();
        assert!((got - want).abs() < 1e-12, "{name}: {got}");
    }
}

fn solution(name: &str) -> Value {
    reference!("maxent.json")["problems"][name].clone()
}

#[test]
fn problems_are_those_of_the_reference() {
    for name in Problem::names() {
        let (problem, want) = (Problem::by_name(name).expect("a name"), solution(name));
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

/// On the plane; the Dirichlet's moments are digamma functions.
#[test]
fn moments_masses_and_entropies_are_those_of_the_density() {
    let mut faults = Vec::new();
    for name in Problem::names() {
        let problem = Problem::by_name(name).expect("a name");
        let statistics = &problem.statistics;
        let refused = statistics.infeasible(&problem.moments).is_some();
        assert!(!refused && statistics.supports_bound(), "{name}");
        if problem.support == Support::Simplex {
            continue;
        }
        let mut check = |what: String, f: &dyn Fn(&[f64; 2], f64) -> f64, want: f64| {
            let [x, y] = problem.extent.hold;
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
            if !((got - want).abs() < 1e-8 * want.abs().max(1.0)) {
                faults.push(format!("{name} {what}: {got}, not {want}"));
            }
        };
        check("mass".into(), &|_, _| 1.0, 1.0);
        check("entropy".into(), &|_, log_p| -log_p, problem.entropy);
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
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
