use super::*;
use crate::simd::Isa;
use rand::{rngs::StdRng, Rng, SeedableRng};
use rand_distr::StandardNormal;

fn random(n: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.sample(StandardNormal)).collect()
}

fn check(what: &str, got: &[f32], expected: &[f64], faults: &mut Vec<String>) {
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        if !((f64::from(*g) - e).abs() < 1e-4 * e.abs().max(1.0)) {
            faults.push(format!("{what}[{i}]: {g}, not {e}"));
            return;
        }
    }
}

/// Every remainder of rows, columns and depth, against the triple sum in double precision.
#[test]
fn products_of_all_shapes() {
    let rng = &mut StdRng::seed_from_u64(1);
    let mut faults = Vec::new();
    for isa in Isa::available() {
        for (rows, cols, depth) in [
            (1, 1, 1),
            (2, 16, 3),
            (5, 17, 64),
            (7, 33, 2),
            (9, 40, 1),
            (13, 64, 0),
            (64, 64, 64),
            (37, 100, 5),
            (25, 7, 9),
        ] {
            let stride = 128;
            let (a, b) = (random(rows * depth, rng), random(depth * stride, rng));
            let start = random(rows * cols, rng);
            let fresh = rows % 4 == 1;
            let mut to = start.clone();
            isa.or_portable().run(Product {
                rows,
                cols,
                depth,
                a: &a,
                a_stride: depth,
                a_by_columns: false,
                b: &b,
                b_stride: stride,
                sink: AddDense {
                    to: &mut to,
                    cols,
                    fresh,
                },
            });
            let mut expected = Vec::new();
            for r in 0..rows {
                for c in 0..cols {
                    let terms = (0..depth)
                        .map(|k| f64::from(a[r * depth + k]) * f64::from(b[k * stride + c]));
                    let before = if fresh { 0.0 } else { start[r * cols + c] };
                    expected.push(f64::from(before) + terms.sum::<f64>());
                }
            }
            check(
                &format!("{isa} {rows} {cols} {depth}"),
                &to,
                &expected,
                &mut faults,
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn transposes_and_dot_products() {
    let rng = &mut StdRng::seed_from_u64(2);
    let mut faults = Vec::new();
    for isa in Isa::available() {
        for (a_rows, b_rows, samples) in [
            (1, 64, 64),
            (3, 2, 17),
            (20, 37, 33),
            (1, 1, 1),
            (64, 2, 64),
            (21, 2, 40),
        ] {
            let fresh = a_rows % 4 == 0;
            let pad = |rows: usize, rng: &mut StdRng| {
                let mut v = random(rows.next_multiple_of(16) * TILE, rng);
                for row in v.chunks_exact_mut(TILE) {
                    row[samples..].fill(0.0);
                }
                v
            };
            let (a, b) = (pad(a_rows, rng), pad(b_rows, rng));
            let mut to = vec![1.0; a_rows * b_rows];
            isa.or_portable().run(Dots {
                a: &a,
                a_rows,
                b: &b,
                b_rows,
                samples,
                to: &mut to,
                fresh,
            });
            let mut expected = Vec::new();
            for i in 0..a_rows {
                for j in 0..b_rows {
                    let terms = (0..samples)
                        .map(|n| f64::from(a[i * TILE + n]) * f64::from(b[j * TILE + n]));
                    expected.push(f64::from(u8::from(!fresh)) + terms.sum::<f64>());
                }
            }
            check(
                &format!("{isa} dots {a_rows} {b_rows}"),
                &to,
                &expected,
                &mut faults,
            );

            let stride = b_rows.next_multiple_of(16);
            let mut turned = vec![0.0; TILE * stride];
            isa.or_portable().run(Transpose {
                from: &b,
                rows: b_rows,
                samples,
                to: &mut turned,
                stride,
            });
            for n in 0..samples {
                let row: Vec<f64> = (0..b_rows).map(|j| f64::from(b[j * TILE + n])).collect();
                check(
                    &format!("{isa} transpose {b_rows}"),
                    &turned[n * stride..],
                    &row,
                    &mut faults,
                );
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
