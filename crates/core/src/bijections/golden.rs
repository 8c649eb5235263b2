//! Layers against other programs' numbers.
//!
//! tests/reference/planar_radial.json: closed forms in double precision, checked there against
//! pyro-ppl 1.9.2 and the automatic Jacobian of torch 2.15.0; gradients by torch. Tolerances as
//! stated in the file.

use candle_core::{DType, Device, Var};

use super::{planar::Planar, radial::Radial, Bijection, BijectionSpec};
use crate::nn::Params;
use crate::num::testing::{
    cases, gap, gradient, numbers, reference, row, scaled, tensor, values, Faults,
};
use crate::rng::Rng;
use crate::Result;

/// One layer at the file's parameters: `names` pairs ours with the file's.
fn agrees_with_the_reference(
    kind: &str,
    names: [(&str, &str); 3],
    build: fn(&Params, usize) -> Result<Box<dyn Bijection>>,
) {
    let file = reference(include_str!("../../tests/reference/planar_radial.json"));
    let mut faults = Faults::default();
    assert!(cases(&file, kind).len() >= 9);
    for case in cases(&file, kind) {
        let tag = case["tag"].as_str().unwrap_or(kind);
        let limit = tag.contains("limit") || tag.contains("close to -alpha");
        let row_of = |key: &str| row(&numbers(&case[key]));
        let params = Params::holding(names.map(|(ours, theirs)| (ours, row_of(theirs))));
        let z = Var::from_tensor(&row_of("z")).unwrap();
        let layer = build(&params, z.dim(1).unwrap()).unwrap();
        let mut check = |key: &str, got: &[f64], tolerance: f64| {
            let what = format!("{kind}, {tag}: {key}");
            faults.near(&what, got, &numbers(&case[key]), scaled(tolerance));
        };

        let (y, log_det) = layer.forward_and_log_det(z.as_tensor()).unwrap();
        check("y", &values(&y), 1e-13);
        check(
            "log_det",
            &values(&log_det),
            if limit { 1e-9 } else { 1e-12 },
        );
        let (back, back_log_det) = layer.inverse_and_log_det(&row_of("y")).unwrap();
        let loose = if tag.contains("limit") { 1e-7 } else { 1e-9 };
        check("inverse_of_y", &values(&back), loose);
        check("log_det", &values(&back_log_det.neg().unwrap()), loose);

        let along = (y * row_of("cotangent_y")).unwrap().sum_all().unwrap();
        let sum = (along + log_det.sum_all().unwrap()).unwrap();
        check("grad_z", &gradient(&sum, &z), 1e-10);
        for (name, var) in params.trainable() {
            let (_, theirs) = names.iter().find(|(ours, _)| *ours == name).unwrap();
            check(&format!("grad_{theirs}"), &gradient(&sum, &var), 1e-10);
        }
    }
    faults.none();
}

#[test]
fn planar_and_radial_layers_agree_with_the_reference() {
    let names = [("w", "w"), ("u", "u"), ("b", "b")];
    agrees_with_the_reference("planar", names, |p, dim| {
        Ok(Box::new(Planar::new(p, dim, 1)?))
    });
    let names = [
        ("centre", "center"),
        ("alpha", "alpha_raw"),
        ("beta", "beta_raw"),
    ];
    agrees_with_the_reference("radial", names, |p, dim| {
        Ok(Box::new(Radial::new(p, dim, 1)?))
    });
}

/// tests/reference/masked_autoregressive.json: by explicit masks over all inputs and outputs, point
/// by point.
#[test]
fn masked_autoregressive_layers_agree_with_the_reference() {
    let file = reference(include_str!(
        "../../tests/reference/masked_autoregressive.json"
    ));
    let spec: BijectionSpec = toml::from_str(&format!(
        "masked_autoregressive = {{ layers = 2, hidden = [4, 3], activation = 'tanh', \
         log_scale_bound = {} }}",
        file["log_scale_bound"]
    ))
    .unwrap();
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    let (bijection, _) = spec.build(&params, 3, None).unwrap();
    let given = file["parameters"].as_object().unwrap();
    let ours: Vec<String> = params.trainable().into_iter().map(|p| p.0).collect();
    assert_eq!(ours, given.keys().cloned().collect::<Vec<_>>());
    for (name, var) in params.trainable() {
        let values = row(&numbers(&given[&name]));
        var.set(&values.reshape(var.shape()).unwrap()).unwrap();
    }
    let points = |key: &str| tensor(&numbers(&file[key]), 3);
    let (x, expected_z) = (points("x"), points("z"));
    let (z, log_det) = bijection.inverse_and_log_det(&x).unwrap();
    let (back, back_log_det) = bijection.forward_and_log_det(&expected_z).unwrap();
    let expected_log_det = row(&numbers(&file["log_det"])).squeeze(0).unwrap();
    let expected_back = expected_log_det.neg().unwrap();
    for (what, got, expected, tolerance) in [
        ("z", z, expected_z, 1e-12),
        ("log_det", log_det, expected_log_det, 1e-12),
        ("x", back, x, 1e-11),
        ("back_log_det", back_log_det, expected_back, 1e-11),
    ] {
        assert!(gap(&got, &expected) < tolerance, "{what}: {got}");
    }
}
