use super::*;
use crate::models::testing::{bytes, rows, seeded, spec as read};
use crate::num::testing::Faults;
use crate::rng::Rng;

fn points(dim: usize) -> Tensor {
    let mut rng = Rng::new(2);
    let side = |i: usize| match (i / dim).is_multiple_of(2) {
        true => -4.0,
        false => 4.0,
    };
    let place = |i| side(i) + 0.3 * rng.normal();
    rows(&(0..200 * dim).map(place).collect::<Vec<_>>(), dim)
}

fn spec(text: &str) -> ModelSpec {
    read(text)
}

/// The number that a built model has.
fn built(model: &ModelSpec, dim: usize) -> usize {
    let params = seeded(1);
    model.build(&params, dim, Some(points(dim))).unwrap();
    params.count()
}

const CHAIN: &str = "[flow]\nbijection.chain = [{ linear = {} }, { permutation = { order = \"shuffle\" \
                     } }, { affine_coupling = { layers = 3, hidden = [12, 9], mixing = \"linear\" } }, \
                     { elementwise = { init = \"data\" } }, { spline_coupling = { hidden = [7] } }, \
                     { planar = {} }]\nbase.mixture = { components = 5, frozen = [\"means\"] }";

#[test]
fn the_count_without_points_is_that_of_the_built_model() {
    let mut all = ModelSpec::examples();
    all.push(("chain", spec(CHAIN)));
    for (name, model) in all {
        for dim in [2, 3] {
            if let Some(count) = model.parameters(dim).unwrap() {
                assert_eq!(count, built(&model, dim), "{name} in {dim} dimensions");
            }
        }
    }
}

/// Entries outside the triangles of L U and masked weights are no parameters.
#[test]
fn masked_entries_are_not_counted() {
    let linear = spec("[flow]\nbijection.linear = {}\nbase.normal = {}");
    for dim in 1..5 {
        assert_eq!(linear.parameters(dim).unwrap(), Some(dim * dim));
    }
}

#[test]
fn widths_are_found_wherever_they_stand_and_nothing_else_changes() {
    let chain = spec(CHAIN);
    assert_eq!(chain.widths().unwrap(), [vec![12, 9], vec![7]]);
    let wider = chain.with_widths(&[vec![3, 4], vec![5]]).unwrap();
    assert_eq!(wider.widths().unwrap(), [vec![3, 4], vec![5]]);
    let back = wider.with_widths(&chain.widths().unwrap()).unwrap();
    assert_eq!(back, chain);
    assert!(chain.with_widths(&[vec![3]]).is_err());
    for (name, model) in ModelSpec::examples() {
        let widths = model.widths().unwrap();
        assert_eq!(model.with_widths(&widths).unwrap(), model, "{name}");
    }
}

/// Models of very different make, at several budgets and dimensions.
#[test]
fn sized_models_come_within_three_per_cent() {
    let models = [
        "[flow]",
        "[flow]\nbijection.affine_coupling = { hidden = [32] }\nbase.mixture = { components = 8 }",
        "[flow]\nbijection.spline_coupling = { hidden = [100, 50, 25], mixing = \"linear\" }",
        CHAIN,
        "[rad]\nlayers = 4\ngates = \"net\"\ninterleave = [\"affine_coupling\"]",
        "[rad]\nhidden = [3, 200]",
        "[clusters]\nclusters = 8\nfine_tune = 0.2",
        "[clusters]\nclusters = 13",
        "[clusters]\nclusters = 20",
    ];
    let mut faults = Faults::default();
    for text in models {
        for budget in [17_000, 100_000] {
            for dim in [2, 8] {
                let found = spec(text).sized(dim, budget).unwrap();
                let fine = match &found {
                    Ok(Some(sized)) => {
                        let off = (sized.parameters as f64 / budget as f64 - 1.0).abs();
                        off <= 0.03 && built(&sized.model, dim) == sized.parameters
                    }
                    _ => false,
                };
                faults.unless(fine, || format!("{text} {dim} {budget}: {found:?}"));
            }
        }
    }
    faults.none();
}

#[test]
fn a_common_factor_keeps_the_shape_of_a_network() {
    let model = spec("[flow]\nbijection.affine_coupling = { layers = 4, hidden = [20, 40] }");
    let sized = model.sized(2, 50_000).unwrap().unwrap().unwrap();
    let widths = sized.model.widths().unwrap().concat();
    assert!(widths[0] > 60, "{widths:?}");
    assert!(widths[1].abs_diff(2 * widths[0]) <= 2, "{widths:?}");
    let again = model.sized(2, 50_000).unwrap().unwrap().unwrap();
    assert_eq!(again, sized);
}

#[test]
fn a_budget_that_no_width_meets_is_refused_with_the_nearest_counts() {
    let model = spec("[flow]\nbijection.affine_coupling = { layers = 8, hidden = [64] }");
    // One hidden layer of w: 8 (w + w + 2 w + 2) = 32 w + 16.
    let bad = model.sized(2, 128).unwrap().unwrap_err();
    assert_eq!(
        bad.expected,
        "widths that give 125 to 131 parameters in 2 dimensions, within 3 % of \
         `budget.parameters` = 128"
    );
    assert_eq!(
        bad.got,
        "112 with hidden = [3] and 144 with hidden = [4] (try another number of layers, or a \
         budget near one of these)"
    );
    let bad = model.sized(2, 20).unwrap().unwrap_err();
    assert!(bad.got.starts_with("48 with hidden = [1] (try "), "{bad}");
    assert_eq!(
        model.sized(2, 112).unwrap().unwrap().unwrap().parameters,
        112
    );
}

#[test]
fn models_without_widths_are_not_sized_and_settling_fixes_the_number_of_clusters() {
    for text in [
        "[flow]\nbijection.planar = {}",
        "[flow]\nbijection.affine_coupling = { hidden = [] }",
        "[clusters]",
    ] {
        assert_eq!(spec(text).sized(2, 17_000).unwrap(), Ok(None), "{text}");
    }
    let model = spec("[clusters]");
    let settled = model.settled(&seeded(1), Some(&points(2))).unwrap();
    assert_eq!(settled, spec("[clusters]\nclusters = 2"));
    // The same model, number by number.
    let numbers = |model: &ModelSpec| {
        let params = seeded(1);
        model.build(&params, 2, Some(points(2))).unwrap();
        bytes(&params.snapshot().unwrap())
    };
    assert_eq!(numbers(&settled), numbers(&model));
}
