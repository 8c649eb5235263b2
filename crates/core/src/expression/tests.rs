use super::Expression;
use crate::num::testing::{slope, Faults};
use crate::rng::Rng;

fn read(text: &str, dim: usize) -> Expression {
    let constants = [("a".to_owned(), 2.5), ("width".to_owned(), 0.1)];
    Expression::parse(text, dim, &constants).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Precedence, association and names are those of Python (with `**` for `^`).
#[test]
fn values_are_those_of_the_formulas() {
    let (x, y) = (0.7_f64, -1.3_f64);
    let r = x.hypot(y);
    for (text, expected) in [
        ("-x^2", -x * x),
        ("2^-x", 2f64.powf(-x)),
        ("-2^2", -4.0),
        ("2^3^2", 512.0),
        ("x-y-1", x - y - 1.0),
        ("x/y/2", x / y / 2.0),
        ("2*-y", -2.0 * y),
        ("- - x", x),
        ("1.5e-3*x + .5", 1.5e-3 * x + 0.5),
        ("2e1", 20.0),
        ("2*e^x", 2.0 * std::f64::consts::E.powf(x)),
        ("(r - 2)^2", (r - 2.0) * (r - 2.0)),
        ("cos(5*theta)", (5.0 * y.atan2(x)).cos()),
        ("log(rest + 1)", (2.0 - x - y).ln()),
        ("x1*x[2] - x[1]*x2", 0.0),
        ("sum(i, 1, D, i*x[i]^2)", x * x + 2.0 * y * y),
        ("sum(i, 1, D-1, 100*(x[i+1]-x[i]^2)^2 + (1-x[i])^2)", 100.0 * (y - x * x).powi(2) + (1.0 - x).powi(2)),
        ("sum(i, 1, 2, sum(j, i, 2, x[i]*x[j]))", x * x + x * y + y * y),
        ("sum(i, 3, 2, x[i]) + 1", 1.0),
        ("a*x + width", 2.5 * x + 0.1),
        ("erf(0.5) + tanh(x) + sinh(x) + cosh(x) + tan(x) + atan(y) + sqrt(x) + abs(y) + exp(y) + sin(pi)",
         0.520_499_877_813_046_5 + x.tanh() + x.sinh() + x.cosh() + x.tan() + y.atan() + x.sqrt() - y + y.exp()),
    ] {
        let got = read(text, 2).value(&[x, y]);
        assert!((got - expected).abs() < 1e-13 * (1.0 + expected.abs()), "{text}: {got}, not {expected}");
    }
    // Without coordinates there is one operation.
    assert_eq!(read("2*(3 + 4)^2 - sum(i, 1, 3, i)", 1).nodes().len(), 1);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let mut rng = Rng::new(4);
    let mut faults = Faults::default();
    for (dim, text) in [
        (1, "x^3 - 2*x + exp(-x^2)/(1 + x^2)"),
        (2, "x^3 - 3*x*y^2"),
        (2, "(x^2 + y - 11)^2 + (x + y^2 - 7)^2"),
        (2, "-(r - 2)^2/(2*width) + cos(5*theta) + sin(theta)*r"),
        (2, "log(exp(-(x-2)^2) + exp(-(x+2)^2)) - y^2/2"),
        (
            2,
            "erf(x)*tanh(y) + sinh(0.3*x)*cosh(0.2*y) + atan(x*y) + tan(0.1*x)",
        ),
        (2, "(x^2 + 1)^(y/3) + sqrt(1 + x^2) + a^x + abs(x - y)"),
        (3, "x*y*z + log(1 + r) + rest^2"),
        (7, "sum(i, 1, D-1, 100*(x[i+1]-x[i]^2)^2 + (1-x[i])^2)"),
        (7, "-x1^2/18 - sum(i, 2, D, x[i]^2*exp(-x1)/2 + x1/2)"),
    ] {
        let f = read(text, dim);
        for _ in 0..20 {
            let x: Vec<f64> = (0..dim).map(|_| 1.5 * rng.normal()).collect();
            let mut got = vec![f64::NAN; dim];
            let value = f.value_and_gradient(&x, &mut got);
            faults.unless(value == f.value(&x), || format!("{text}: value at {x:?}"));
            for d in 0..dim {
                let step = 1e-4 * x[d].abs().max(1e-2);
                let at = |by: f64| {
                    let mut x = x.clone();
                    x[d] += by;
                    f.value(&x)
                };
                let want = slope(at, step);
                let near =
                    (got[d] - want).abs() < 1e-7 * want.abs() + 1e-12 * (value.abs() / step + 1.0);
                faults.unless(near, || format!("{text} at {x:?}: {}, not {want}", got[d]));
            }
        }
    }
    faults.none();
}

#[test]
fn where_a_function_is_not_defined_it_is_not_finite() {
    for (text, x) in [
        ("log(x)", -1.0),
        ("sqrt(x)", -1.0),
        ("1/x", 0.0),
        ("x^0.5", -2.0),
        ("exp(x)", 1e4),
    ] {
        let value = read(text, 1).value(&[x]);
        assert!(!value.is_finite(), "{text} at {x}: {value}");
    }
    let mut slope = [f64::NAN; 2];
    assert_eq!(
        read("r + theta + x*y", 2).value_and_gradient(&[0.0, 0.0], &mut slope),
        0.0
    );
    assert_eq!(slope, [0.0, 0.0], "the origin has a finite gradient");
}

/// D, an expression, and what the message says of it.
const REFUSED: &str = "
2 |  | expected a number, a function or one of `x`, `y`, `r`, `pi` ... (points have D = 2); got the end at column 1
2 | z | got `z` at column 1
2 | x + x3 | got `x3` at column 5
2 | x0 | got `x0` at column 1
1 | y | one of `x`
5 | x9 | one of `x1` to `x5`
2 | x[3] | got `3` at column 3
2 | x[i] | got `i` at column 3
2 | x[1.5] | expected a whole number for a coordinate; got `1` at column 3
2 | x[y] | expected a whole number for a coordinate; got `y` at column 3
2 | x^^2 | got `^` at column 3
2 | x +  | got the end at column 5
2 | 2x | expected an operator such as `+`, `*` or `^`, or the end; got `x` at column 2
2 | x y | got `y` at column 3
2 | (x + y | expected `)`; got the end at column 7
2 | x) | got `)` at column 2
2 | x + ² | got `²` at column 5
3 | cos(theta) | expected D = 2 for the angle `theta`; got `theta` at column 5
2 | cos(2*thet) | got `thet` at column 7 (did you mean `theta`?)
2 | sine(x) | got `sine` at column 1 (did you mean `sin`?)
2 | log x | expected `(`; got `x` at column 5
2 | sum(x, 1, 2, x) | expected a new name for the index
2 | sum(i, 1, y, x) | expected a whole number for the last index; got `y` at column 11
2 | sum(i, 1, 3, x[i]) | got `i` at column 16
2 | sum(i, 1, 1e8, 1) | expected at most 100000 terms
2 | sum(i, 1, 90000, x*i) | expected at most 100000 operations
2 | wid*x | (did you mean `width`?)
";

#[test]
fn what_cannot_be_read_is_pointed_at() {
    let constants = [("width".to_owned(), 0.1)];
    for line in REFUSED.trim().lines() {
        let parts: Vec<&str> = line.splitn(3, " | ").collect();
        let dim = parts[0].parse().unwrap();
        let said = Expression::parse(parts[1], dim, &constants)
            .unwrap_err()
            .to_string();
        assert!(said.contains(parts[2]), "{}: {said}", parts[1]);
    }
    let deep = "(".repeat(10_000);
    let said = Expression::parse(&deep, 2, &[]).unwrap_err().to_string();
    assert!(said.contains("inside each other"), "{said}");
}
