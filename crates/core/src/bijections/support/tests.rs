//! What supports owe beside the laws of bijections.

use candle_core::{Device, Var};

use super::*;
use crate::num::{from_rows, to_vec};

fn parse(text: &str) -> std::result::Result<SupportSpec, toml::de::Error> {
    #[derive(Deserialize)]
    struct File {
        support: SupportSpec,
    }
    toml::from_str::<File>(text).map(|f| f.support)
}

#[test]
fn specifications_read_back_and_faults_are_named() {
    let spec = parse("support.box = { low = -1, high = [1.0, 2.5] }").unwrap();
    let expected = SupportSpec::Box(BoxSpec {
        low: PerCoordinate::All(-1.0),
        high: PerCoordinate::Each(vec![1.0, 2.5]),
    });
    assert_eq!(spec, expected);
    for (_, spec) in SupportSpec::examples().into_iter().chain([("", spec)]) {
        let mut file = toml::Table::new();
        file.insert("support".into(), toml::Value::try_from(&spec).unwrap());
        assert_eq!(parse(&file.to_string()).unwrap(), spec);
        spec.check(2).unwrap();
    }
    assert_eq!(parse("support = 'simplex'").unwrap(), SupportSpec::Simplex);
    for (text, key, what) in [
        ("low = [0.0, 0.0, 0.0], high = 1.0", "box.low", "list of 2"),
        ("low = 0.0, high = []", "box.high", "a list of 0"),
        ("low = 0.0, high = [1.0, inf]", "box.high", "got inf"),
        ("low = 0.0, high = nan", "box.high", "got NaN"),
        (
            "low = [0.0, 1.0], high = 1.0",
            "box.high",
            "low = 1, high = 1",
        ),
        ("low = 1e6, high = 1000001.0", "box.high", "above `low`"),
    ] {
        let spec = parse(&format!("support.box = {{ {text} }}")).unwrap();
        let bad = spec.check(2).unwrap_err();
        assert_eq!(bad.key, key, "{bad}");
        assert!(bad.to_string().contains(what), "{bad}");
        let why = spec.build(2).err().unwrap().to_string();
        assert!(why.contains("support: box."), "{why}");
    }
    for text in [
        "support.box = { low = 0.0 }",
        "support.box = { low = 0.0, high = 1.0, width = 2.0 }",
        "support.box = { low = 'a', high = 1.0 }",
        "support = 'sphere'",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

/// Values by hand: S(log 3) = 3/4; e^(log 3) = 3; softmax(log 3, log 2, 0) = (3, 2, 1) / 6.
#[test]
fn known_values() {
    let z = [3f64.ln(), 2f64.ln()];
    let uneven = "support.box = { low = [1.0, -3.0], high = [5.0, 0.0] }";
    for (text, x, log_det) in [
        (
            uneven,
            [4.0, -1.0],
            (4.0 * 3.0 / 16.0 * 3.0 * 2.0 / 9.0_f64).ln(),
        ),
        ("support = 'positive'", [3.0, 2.0], 6f64.ln()),
        (
            "support = 'simplex'",
            [0.5, 1.0 / 3.0],
            (1.0 / 36.0_f64).ln(),
        ),
    ] {
        let support = parse(text).unwrap().build(2).unwrap();
        let z = from_rows(&z, 2, DType::F64, &Device::Cpu).unwrap();
        let (got, got_log_det) = support.forward_and_log_det(&z).unwrap();
        let gap = |t: &Tensor, e: &[f64]| {
            let pairs = to_vec(t).unwrap().into_iter().zip(e.to_vec());
            pairs.fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()))
        };
        assert!(gap(&got, &x) < 1e-14, "{text}: {got}");
        assert!(gap(&got_log_det, &[log_det]) < 1e-14, "{text}");
    }
}

/// What is outside, on the edge, inside and NaN.
#[test]
fn points_on_the_edge_are_outside() {
    let inf = f64::INFINITY;
    let nan = f64::NAN;
    for (text, points, expected) in [
        (
            "support.box = { low = [-1.0, 0.0], high = 2.0 }",
            vec![0., 1., -1., 1., 0., 2., 5., 1., -inf, 1., nan, 1.],
            [0., 1., 1., 1., 1., 0.],
        ),
        (
            "support = 'positive'",
            vec![1., 1e-30, 0., 1., 1., -1., inf, 1., -inf, 1., nan, 1.],
            [0., 1., 1., 1., 1., 0.],
        ),
        (
            "support = 'simplex'",
            vec![0.2, 0.7, 0.5, 0.5, 0., 0.1, -0.1, 0.3, inf, 0.1, nan, 0.1],
            [0., 1., 1., 1., 1., 0.],
        ),
    ] {
        let support = parse(text).unwrap().build(2).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let x = from_rows(&points, 2, dtype, &Device::Cpu).unwrap();
            assert_eq!(to_vec(&support.outside(&x).unwrap()).unwrap(), expected);
            let (z, log_det) = support.inverse_and_log_det(&x).unwrap();
            assert!(to_vec(&z).unwrap()[10].is_nan(), "{text}");
            assert!(to_vec(&log_det).unwrap()[5].is_nan(), "{text}");
        }
    }
}

#[test]
fn both_tails_stay_inside_with_finite_log_dets_and_gradients() {
    let mut faults = Vec::new();
    let far = [-1e4, -700.0, -80.0, -30.0, 0.0, 30.0, 80.0, 700.0, 1e4];
    let rows: Vec<f64> = far
        .iter()
        .flat_map(|a| far.iter().flat_map(move |b| [*a, *b]))
        .collect();
    let uneven = "support.box = { low = [-4.0, 0.0], high = [0.0, 1e3] }";
    let specs = SupportSpec::examples()
        .into_iter()
        .chain([("uneven box", parse(uneven).unwrap())]);
    for (name, spec) in specs {
        let support = spec.build(2).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let z = Var::from_tensor(&from_rows(&rows, 2, dtype, &Device::Cpu).unwrap()).unwrap();
            let (x, log_det) = support.forward_and_log_det(z.as_tensor()).unwrap();
            if to_vec(&support.outside(&x).unwrap())
                .unwrap()
                .contains(&1.0)
            {
                faults.push(format!("{name}, {dtype:?}: outside"));
            }
            let (back, back_log_det) = support.inverse_and_log_det(&x).unwrap();
            let sum = (x.sum_all().unwrap() + log_det.sum_all().unwrap()).unwrap();
            // The largest positive numbers have no finite sum.
            let sum = if name == "positive" {
                log_det.sum_all().unwrap()
            } else {
                sum
            };
            let gradients = sum.backward().unwrap();
            let gradient = gradients.get(z.as_tensor()).unwrap();
            for t in [&x, &log_det, &back, &back_log_det, gradient] {
                if !to_vec(t).unwrap().iter().all(|v| v.is_finite()) {
                    faults.push(format!("{name}, {dtype:?}: {t}"));
                }
            }
        }
    }
    // log S'(z) = -|z| - 2 log(1 + e^-|z|) far out, where S(z) (1 - S(z)) itself is 0 or rounded.
    let unit = parse("support.box = { low = 0.0, high = 1.0 }").unwrap();
    let unit = unit.build(1).unwrap();
    let z = from_rows(&[-300.0, -40.0, 40.0, 300.0], 1, DType::F64, &Device::Cpu).unwrap();
    let (x, log_det) = unit.forward_and_log_det(&z).unwrap();
    let log_det = to_vec(&log_det).unwrap();
    assert_eq!(log_det, [-300.0, -40.0, -40.0, -300.0]);
    let (back, _) = unit.inverse_and_log_det(&x).unwrap();
    assert!((to_vec(&back).unwrap()[0] + 300.0).abs() < 1e-12);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn training_points_come_back_or_are_refused() {
    let points = from_rows(&[0.2, 0.3, 0.6, 0.1], 2, DType::F64, &Device::Cpu).unwrap();
    let z = SupportSpec::Simplex.pull_back(&points).unwrap();
    let support = SupportSpec::Simplex.build(2).unwrap();
    let (x, _) = support.forward_and_log_det(&z).unwrap();
    for (a, b) in to_vec(&x).unwrap().iter().zip(to_vec(&points).unwrap()) {
        assert!((a - b).abs() < 1e-14);
    }
    let points = (points * 2.0).unwrap();
    let why = SupportSpec::Simplex.pull_back(&points).unwrap_err();
    assert!(why.to_string().contains("got 2 of 2 outside"), "{why}");
}
