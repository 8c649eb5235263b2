//! Settings as text: every bad value is refused by name, and examples survive a file.

use crate::data::{DataSpec, BENCHMARKS};
use crate::num::testing::Faults;

/// One line of an experiment file, the key that must be named (none where the line cannot be read), and
/// words of the message.
const BAD: &[(&str, &str, &str)] = &[
    ("ring = { modes = 0 }", "ring.modes", "1 <= `modes` <= 100000; got 0"),
    ("ring = { modes = 100001 }", "ring.modes", "got 100001"),
    ("ring = { radius = 0 }", "ring.radius", "1e-6 <= `radius` <= 1e6; got 0"),
    ("ring = { radius = -1.0 }", "ring.radius", "got -1"),
    ("ring = { std = nan }", "ring.std", "got NaN"),
    ("ring = { std = inf }", "ring.std", "got inf"),
    ("ring = { std = 0.0 }", "ring.std", "`std`"),
    ("ring = { std = 1e-300 }", "ring.std", "`std`"),
    ("ring = { modes = 2, weights = [1.0] }", "ring.weights", "2 `weights`, one for each of the modes; got 1"),
    ("ring = { modes = 2, weights = [1.5, -0.5] }", "ring.weights", "got 1.5 in weights[0]"),
    ("ring = { modes = 2, weights = [0.5, 0.4] }", "ring.weights", "sum to 1; got a sum of 0.9"),
    ("ring = { modes = 2, weights = [nan, 0.5] }", "ring.weights", "got NaN in weights[0]"),
    ("ring = { modes = 2, weights = [1.0, 0.0] }", "ring.weights", "got 0 in weights[1]"),
    ("grid = { side = 0 }", "grid.side", "1 <= `side` <= 300; got 0"),
    ("grid = { side = 301 }", "grid.side", "got 301"),
    ("grid = { spacing = -0.5 }", "grid.spacing", "got -0.5"),
    ("grid = { std = 0 }", "grid.std", "got 0"),
    ("moons = { noise = 0 }", "moons.noise", "got 0"),
    ("moons = { noise = -inf }", "moons.noise", "got -inf"),
    ("circles = { radii = [] }", "circles.radii", "got 0"),
    ("circles = { radii = [1.0, -2.0] }", "circles.radii", "got -2 in radii[1]"),
    ("circles = { std = nan }", "circles.std", "got NaN"),
    ("circles = { weights = [0.2, 0.3, 0.5] }", "circles.weights", "one for each of the radii; got 3"),
    ("checkerboard = { squares = 0 }", "checkerboard.squares", "got 0"),
    ("checkerboard = { squares = 1000 }", "checkerboard.squares", "got 1000"),
    ("checkerboard = { half_width = 0 }", "checkerboard.half_width", "got 0"),
    ("mixture = { weights = [], means = [], std_devs = [] }", "mixture.means", "got 0"),
    ("mixture = { weights = [1], means = [[]], std_devs = [1] }", "mixture.means", "got 0 in means[0]"),
    ("mixture = { weights = [1], means = [[0, 0], [1, 1]], std_devs = [1, 1] }", "mixture.weights", "2 `weights`"),
    ("mixture = { weights = [0.5, 0.6], means = [[0], [1]], std_devs = [1, 1] }", "mixture.weights", "sum to 1"),
    ("mixture = { weights = [-0.5, 1.5], means = [[0], [1]], std_devs = [1, 1] }", "mixture.weights", "got -0.5 in weights[0]"),
    ("mixture = { weights = [0.5, 0.5], means = [[0, 0], [1]], std_devs = [1, 1] }", "mixture.means", "got 1 in means[1]"),
    ("mixture = { weights = [1], means = [[nan]], std_devs = [1] }", "mixture.means", "got NaN in means[0]"),
    ("mixture = { weights = [1], means = [[1e9]], std_devs = [1] }", "mixture.means", "got 1000000000 in means[0]"),
    ("mixture = { weights = [1], means = [[0, 0]], std_devs = [1, 1] }", "mixture.std_devs", "1 `std_devs`, one for each of the means; got 2"),
    ("mixture = { weights = [1], means = [[0, 0]], std_devs = [[1, 1, 1]] }", "mixture.std_devs", "one number or 2 for each component; got 3 in std_devs[0]"),
    ("mixture = { weights = [1], means = [[0, 0]], std_devs = [[1, -1]] }", "mixture.std_devs", "got -1 in std_devs[0]"),
    ("mixture = { weights = [1], means = [[0, 0]], std_devs = [0] }", "mixture.std_devs", "got 0 in std_devs[0]"),
    ("mixture = { weights = [1], means = [[0, 0]] }", "mixture.std_devs", "`std_devs` or `covariances`; got neither"),
    ("mixture = { weights = [1], means = [[0]], std_devs = [1], covariances = [[[1]]] }", "mixture.covariances", "got both"),
    ("mixture = { weights = [1], means = [[0]], covariances = [] }", "mixture.covariances", "got 0"),
    ("mixture = { weights = [1], means = [[0, 0]], covariances = [[[1, 0]]] }", "mixture.covariances", "2 rows of 2 numbers in covariances[0]; got 1 rows"),
    ("mixture = { weights = [1], means = [[0, 0]], covariances = [[[1, 0], [0]]] }", "mixture.covariances", "got 1 numbers in row 1"),
    ("mixture = { weights = [1], means = [[0, 0]], covariances = [[[1, 0.5], [0.4, 1]]] }", "mixture.covariances", "a symmetric matrix in covariances[0]; got 0.4 at [1][0] and 0.5 at [0][1]"),
    ("mixture = { weights = [1], means = [[0, 0]], covariances = [[[1, nan], [nan, 1]]] }", "mixture.covariances", "symmetric"),
    ("mixture = { weights = [1], means = [[0]], covariances = [[[-1]]] }", "mixture.covariances", "got -1 in row 0"),
    ("mixture = { weights = [0.5, 0.5], means = [[0, 0], [0, 0]], covariances = [[[1, 0], [0, 1]], [[1, 2], [2, 1]]] }", "mixture.covariances", "a positive definite matrix in covariances[1]; got one whose smallest eigenvalue is -1e0"),
    ("mixture = { weights = [1], means = [[0, 0]], covariances = [[[1, 1], [1, 1]]] }", "mixture.covariances", "positive definite"),
    ("energy = { potential = \"u3\", domain = \"plane\" }", "energy.domain", "`soft_wall`, `box` or `strip` for `u3`, whose exp(-U) does not fall off along z1 and has infinite mass on the plane; got `plane`"),
    ("benchmark = \"pinweel\"", "benchmark", "expected one of `ring8`, `imbalanced8`, "),
    ("benchmark = \"pinweel\"", "benchmark", "got `pinweel` (did you mean `pinwheel`?)"),
    ("many_moons = { moons = 0 }", "many_moons.moons", "1 <= `moons` <= 1000; got 0"),
    ("many_moons = { noise = -1 }", "many_moons.noise", "got -1"),
    ("circles = { centres = [[0, 0]] }", "circles.centres", "2 `centres`, one for each of the radii; got 1"),
    ("circles = { centres = [[0, 0], [1, nan]] }", "circles.centres", "got NaN in centres[1]"),
    ("rings = { radii = [] }", "rings.radii", "between 1 and 1000 `radii`; got 0"),
    ("rings = { radii = [1, 0] }", "rings.radii", "got 0 in radii[1]"),
    ("rings = { std = inf }", "rings.std", "got inf"),
    ("pinwheel = { arms = 0 }", "pinwheel.arms", "1 <= `arms` <= 100; got 0"),
    ("pinwheel = { radial_std = nan }", "pinwheel.radial_std", "got NaN"),
    ("pinwheel = { tangential_std = 0.4 }", "pinwheel.tangential_std", "`tangential_std` <= `radial_std`; got 0.4"),
    ("pinwheel = { rate = 50 }", "pinwheel.rate", "got 50"),
    ("spirals = { noise = 1e-3 }", "spirals.noise", "0.01 <= `noise` <= 100; got 0.001"),
    ("split_gaussian = { shift = 0 }", "split_gaussian.shift", "got 0"),
    ("uniform = { shapes = [] }", "uniform.shapes", "got 0"),
    ("uniform = { shapes = [{ disc = { centre = [0, 0], radius = -1 } }] }", "uniform.shapes", "`radius` <= 1e6; got -1 in shapes[0]"),
    ("uniform = { shapes = [{ annulus = { centre = [0, 0], inner = 2, outer = 1 } }] }", "uniform.shapes", "an `outer` radius above the `inner` one; got 1 and 2 in shapes[0]"),
    ("uniform = { shapes = [{ rectangle = { low = [0, 0], high = [1, 0] } }] }", "uniform.shapes", "a `high` above `low` in both coordinates"),
    ("uniform = { shapes = [{ triangle = [[0, 0], [1, 1], [2, 2]] }] }", "uniform.shapes", "a triangle with an area"),
    ("uniform = { shapes = [{ triangle = [[0, 0], [1, 1], [inf, 2]] }] }", "uniform.shapes", "got inf in shapes[0]"),
    ("uniform = { shapes = [{ disc = { centre = [0, 0], radius = 1 } }], weights = [0.5, 0.5] }", "uniform.weights", "1 `weights`, one for each of the shapes; got 2"),
    ("energy = { potential = \"u2\", domain = \"plane\" }", "energy.domain", "infinite mass on the plane"),
    ("energy = { potential = \"u4\", domain = \"plane\" }", "energy.domain", "infinite mass on the plane"),
    ("exponential_family = { problem = \"four_wells\" }", "exponential_family.problem", "got `four_wells` (did you mean `four_wells_coupled`?)"),
    ("exponential_family = { problem = \"\" }", "exponential_family.problem", "one of `double_well_symmetric`, `double_well_tilted`, `four_wells_coupled`, `dirichlet_1_2_3`, `gaussian`"),
    ("mixture = { weights = [1], means = [[0]], std_devs = [1], degrees = 0 }", "mixture.degrees", "0.1 <= `degrees` <= 1e6; got 0"),
    ("mixture = { weights = [1], means = [[0]], covariances = [[[1]]], degrees = 2 }", "mixture.degrees", "`std_devs` alone beside `degrees`"),
    ("mixture = { weights = [1], means = [[0]], std_devs = [-1], degrees = 2 }", "mixture.std_devs", "got -1 in std_devs[0]"),
    ("funnel = { dim = 1 }", "funnel.dim", "2 <= `dim` <= 10000; got 1"),
    ("funnel = { std = nan }", "funnel.std", "got NaN"),
    ("banana = { noise = 0 }", "banana.noise", "got 0"),
    ("banana = { bend = inf }", "banana.bend", "got inf in bend"),
    ("many_well = { dim = 0 }", "many_well.dim", "2 <= `dim` <= 1000; got 0"),
    ("many_well = { dim = 5 }", "many_well.dim", "an even `dim`, two for each well; got 5"),
    ("ring = { mods = 8 }", "", "unknown field `mods`"),
    ("rnigs = {}", "", "unknown variant `rnigs`"),
    ("uniform = { shapes = [{ square = 1.0 }] }", "", "unknown variant `square`, expected one of `rectangle`, `disc`, `annulus`, `triangle`"),
    ("benchmark = 8", "", "invalid type: integer `8`"),
    ("ring = { modes = -1 }", "", "invalid value: integer `-1`"),
    ("moons = { noise = \"low\" }", "", "invalid type: string"),
    ("energy = { potential = \"u5\" }", "", "unknown variant `u5`, expected one of `u1`, `u2`, `u3`, `u4`, `dual_moon`"),
    ("energy = { domain = \"half\" }", "", "unknown variant `half`, expected one of `plane`, `soft_wall`, `box`, `strip`"),
    ("mixture = { means = [[0]], std_devs = [1] }", "", "missing field `weights`"),
    ("mixture = { weights = [1], means = [[0]], std_devs = [\"wide\"] }", "", "expected a number, or a list of numbers"),
];

#[test]
fn every_bad_value_is_found_and_named() {
    let mut faults = Faults::default();
    for (line, key, words) in BAD {
        let spec: DataSpec = match toml::from_str(line) {
            Ok(spec) => spec,
            Err(e) => {
                let named = key.is_empty() && e.to_string().contains(words);
                faults.unless(named, || format!("{line}: {e}"));
                continue;
            }
        };
        let checked = spec.check();
        let Err(bad) = &checked else {
            faults.0.push(format!("{line}: {checked:?}"));
            continue;
        };
        let said = bad.to_string();
        let named = bad.key == *key && said.contains(words);
        faults.unless(named, || format!("{line}: {said}"));
        let built = spec.build().err().map(|e| (e.exit_code(), e.to_string()));
        let same = built == Some((2, said));
        faults.unless(same, || format!("{line}: build says {built:?}"));
    }
    faults.none();
}

#[test]
fn weights_are_normalised_and_integers_are_numbers() {
    let line =
        "mixture = { weights = [0.3333333, 0.6666667], means = [[0], [1]], std_devs = [1, [2]] }";
    let spec: DataSpec = toml::from_str(line).expect("fine");
    let data = spec.build().expect("fine");
    let sum: f64 = data.truth().expect("synthetic").weights().iter().sum();
    assert!((sum - 1.0).abs() < 1e-15);
}

#[test]
fn every_example_survives_a_toml_file() {
    for (name, spec) in DataSpec::examples() {
        let text = toml::to_string(&spec).expect("a table");
        let again = toml::from_str::<DataSpec>(&text);
        assert_eq!(again.as_ref(), Ok(&spec), "{name}\n{text}");
        let dim = spec.build().expect("an example is fine").dim();
        assert_eq!(spec.check(), Ok(dim), "{name}");
    }
}

#[test]
fn benchmarks_have_names_of_their_own() {
    for benchmark in BENCHMARKS.iter() {
        let same = BENCHMARKS.iter().filter(|b| b.name == benchmark.name);
        assert_eq!(same.count(), 1, "{}", benchmark.name);
    }
}
