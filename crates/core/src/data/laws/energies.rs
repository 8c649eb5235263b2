//! Energies, normalisers and entropies against values from another program
//! (`tests/reference/targets.json`, which names its source).

use serde_json::Value;

use super::golden::numbers;
use crate::data::quadrature::{integrate, Budget, Step};
use crate::data::{log_density, Benchmark, DataSpec, Domain, EnergySpec, Potential};

const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/reference/targets.json"
));

fn golden() -> Value {
    serde_json::from_str(TEXT).expect("JSON")
}

#[test]
fn energies_and_gradients_are_those_of_the_reference() {
    let file = golden();
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
    let file = golden();
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

/// int w_j p_j by quadrature over the halves x < 0 and x > 0, cut where domains end.
fn mode_masses(data: &dyn super::DataSet) -> Vec<f64> {
    let truth = super::truth(data);
    let modes = truth.weights().len();
    let plan = |_: &[f64; 2], half: &[f64; 2]| {
        if half[0].max(half[1]) > 0.125 {
            Step::Split
        } else {
            Step::Sum { cost: 1, with: () }
        }
    };
    let budget = Budget {
        visits: usize::MAX,
        work: usize::MAX,
    };
    let mut joint = vec![0.0; modes];
    (0..modes)
        .map(|j| {
            let sides = [(-8.0, 0.0), (0.0, 8.0)].map(|(low, high)| {
                let found = integrate([low, -8.0], [high, 8.0], budget, plan, |(), x| {
                    truth.log_joint(x, &mut joint);
                    joint[j].exp()
                });
                found.expect("no limit").value
            });
            sides[0] + sides[1]
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

#[test]
fn the_default_domains_have_a_finite_mass() {
    for potential in Potential::ALL {
        let with = |domain| DataSpec::Energy(EnergySpec { potential, domain });
        assert_eq!(with(None).check(), Ok(2), "{potential:?}");
        let plane = with(Some(Domain::Plane)).check();
        let ring = [Potential::U1, Potential::DualMoon].contains(&potential);
        assert_eq!(plane.is_ok(), ring, "{potential:?}");
    }
}
