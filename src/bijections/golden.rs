//! tests/reference/planar_radial.json: closed forms in double precision, checked there against
//! pyro-ppl 1.9.2 and the automatic Jacobian of torch 2.15.0; gradients by torch. Tolerances as
//! stated in the file.

use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;

use super::{planar::Planar, radial::Radial, Bijection};
use crate::nn::Params;
use crate::num::{from_rows, to_vec};
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
