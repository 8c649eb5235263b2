//! Layers against other programs' numbers, and one by hand.
//!
//! tests/reference/planar_radial.json: closed forms in double precision, checked there against
//! pyro-ppl 1.9.2 and the automatic Jacobian of torch 2.15.0; gradients by torch. Tolerances as
//! stated in the file.

use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;

use super::{
    planar::Planar, radial::Radial, Bijection, BijectionSpec, MaskedAutoregressiveSpec, Order,
};
use crate::nn::mlp::Activation;
use crate::nn::Params;
use crate::num::{from_rows, to_vec};
use crate::rng::Rng;
use crate::Result;

fn numbers(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(list) => list.iter().map(|v| v.as_f64().unwrap()).collect(),
        None => vec![value.as_f64().unwrap()],
    }
}

/// A list of numbers as one row.
fn row(v: &Value) -> Tensor {
    let v = numbers(v);
    from_rows(&v, v.len(), DType::F64, &Device::Cpu).unwrap()
}

fn compare(what: &str, got: &Tensor, expected: &Value, tolerance: f64, faults: &mut Vec<String>) {
    let (got, expected) = (to_vec(got).unwrap(), numbers(expected));
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        if !((g - e).abs() <= tolerance * e.abs().max(1.0)) {
            faults.push(format!("{what}[{i}]: {g} against {e}"));
        }
    }
}

/// One layer at the file's parameters: `names` pairs ours with the file's.
fn faults(
    kind: &str,
    names: [(&str, &str); 3],
    build: fn(&Params, usize) -> Result<Box<dyn Bijection>>,
) -> Vec<String> {
    let file = include_str!("../../tests/reference/planar_radial.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let mut faults = Vec::new();
    let cases = file[kind].as_array().unwrap();
    assert!(cases.len() >= 9, "{}", cases.len());
    for case in cases {
        let tag = case["tag"].as_str().unwrap_or(kind);
        let limit = tag.contains("limit") || tag.contains("close to -alpha");
        let tensors = names.map(|(ours, theirs)| (ours.to_owned(), row(&case[theirs])));
        let params = Params::from_tensors(tensors.into(), DType::F64, &Device::Cpu);
        let z = Var::from_tensor(&row(&case["z"])).unwrap();
        let layer = build(&params, z.dim(1).unwrap()).unwrap();
        let mut check = |key: &str, got: &Tensor, tolerance: f64| {
            let what = format!("{kind}, {tag}: {key}");
            compare(&what, got, &case[key], tolerance, &mut faults);
        };

        let (y, log_det) = layer.forward_and_log_det(z.as_tensor()).unwrap();
        check("y", &y, 1e-13);
        check("log_det", &log_det, if limit { 1e-9 } else { 1e-12 });
        let (back, back_log_det) = layer.inverse_and_log_det(&row(&case["y"])).unwrap();
        let loose = if tag.contains("limit") { 1e-7 } else { 1e-9 };
        check("inverse_of_y", &back, loose);
        check("log_det", &back_log_det.neg().unwrap(), loose);

        let along = (y * row(&case["cotangent_y"])).unwrap().sum_all().unwrap();
        let sum = (along + log_det.sum_all().unwrap()).unwrap();
        let gradients = sum.backward().unwrap();
        check("grad_z", gradients.get(z.as_tensor()).unwrap(), 1e-10);
        for (name, var) in params.trainable() {
            let (_, theirs) = names.iter().find(|(ours, _)| *ours == name).unwrap();
            let gradient = gradients.get(var.as_tensor()).unwrap();
            check(&format!("grad_{theirs}"), gradient, 1e-10);
        }
    }
    faults
}

#[test]
fn planar_layers_agree_with_the_reference() {
    let names = [("w", "w"), ("u", "u"), ("b", "b")];
    let faults = faults("planar", names, |p, dim| {
        Ok(Box::new(Planar::new(p, dim, 1)?))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn radial_layers_agree_with_the_reference() {
    let names = [
        ("centre", "center"),
        ("alpha", "alpha_raw"),
        ("beta", "beta_raw"),
    ];
    let faults = faults("radial", names, |p, dim| {
        Ok(Box::new(Radial::new(p, dim, 1)?))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// tests/reference/masked_autoregressive.json: by explicit masks over all inputs and outputs, point
/// by point.
#[test]
fn masked_autoregressive_layers_agree_with_the_reference() {
    let file = include_str!("../../tests/reference/masked_autoregressive.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let spec = BijectionSpec::MaskedAutoregressive(MaskedAutoregressiveSpec {
        layers: 2,
        hidden: vec![4, 3],
        activation: Activation::Tanh,
        log_scale_bound: file["log_scale_bound"].as_f64().unwrap(),
        order: Order::Reverse,
    });
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    let (bijection, _) = spec.build(&params, 3, None).unwrap();
    let given = file["parameters"].as_object().unwrap();
    let ours: Vec<String> = params.trainable().into_iter().map(|p| p.0).collect();
    assert_eq!(ours, given.keys().cloned().collect::<Vec<_>>());
    for (name, var) in params.trainable() {
        let values = row(&given[&name]).reshape(var.shape().clone()).unwrap();
        var.set(&values).unwrap();
    }
    let points = |key: &str| {
        let rows = file[key].as_array().unwrap().iter();
        Tensor::cat(&rows.map(row).collect::<Vec<_>>(), 0).unwrap()
    };
    let (x, expected_z) = (points("x"), points("z"));
    let (z, log_det) = bijection.inverse_and_log_det(&x).unwrap();
    let (back, back_log_det) = bijection.forward_and_log_det(&expected_z).unwrap();
    let expected_log_det = row(&file["log_det"]).squeeze(0).unwrap();
    let expected_back = expected_log_det.neg().unwrap();
    for (what, got, expected, tolerance) in [
        ("z", z, expected_z, 1e-12),
        ("log_det", log_det, expected_log_det, 1e-12),
        ("x", back, x, 1e-11),
        ("back_log_det", back_log_det, expected_back, 1e-11),
    ] {
        let gaps = to_vec(&(got - expected).unwrap()).unwrap();
        assert!(gaps.iter().all(|g| g.abs() < tolerance), "{what}: {gaps:?}");
    }
}

/// Two coordinates and no hidden layer: s_1 = 3 tanh(0.3 / 3), t_1 = -0.5, and with c = 3 at x_1 = 2
/// r_2 = 0.1 x_1 + 0.4 and t_2 = 1.5 x_1 - 1.
#[test]
fn a_masked_autoregressive_layer_by_hand() {
    let spec: BijectionSpec =
        toml::from_str("masked_autoregressive = { layers = 1, hidden = [] }").unwrap();
    let values = [
        ("0.first.out.bias", vec![0.3, -0.5]),
        ("0.rest.out.weight", vec![0.1, 1.5]),
        ("0.rest.out.bias", vec![0.4, -1.0]),
    ];
    let tensors = values.map(|(name, v)| {
        let row = from_rows(&v, 2, DType::F64, &Device::Cpu).unwrap();
        (name.to_owned(), row)
    });
    let params = Params::from_tensors(tensors.into(), DType::F64, &Device::Cpu);
    let (bijection, _) = spec.build(&params, 2, None).unwrap();
    let x = Tensor::new(&[[2.0, 5.0]], &Device::Cpu).unwrap();
    let (z, log_det) = bijection.inverse_and_log_det(&x).unwrap();
    let (s_1, s_2) = (3.0 * 0.1f64.tanh(), 3.0 * 0.2f64.tanh());
    let expected = [2.5 * (-s_1).exp(), 3.0 * (-s_2).exp(), -s_1 - s_2];
    let got = [to_vec(&z).unwrap(), to_vec(&log_det).unwrap()].concat();
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-14, "{got} against {expected}");
    }
}
