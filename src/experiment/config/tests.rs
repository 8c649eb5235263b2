use super::*;

const GOOD: &str = r#"seeds = [3, 1]
reference = "rad"

[train]
steps = 500

[data.ring]
ring = { modes = 8, radius = 4.0, std = 0.2 }

[models.rad.rad]
layers = 4

[models.mixture_base.flow]
bijection.affine_coupling = { layers = 2, hidden = [8] }
base.mixture = { components = 8, init = "data" }
"#;

fn fault(text: &str) -> String {
    shape::parse::<Config>(text)
        .unwrap_err()
        .in_file(Path::new("e/ring.toml"), text)
}

fn over(overrides: &[&str]) -> Result<Config, String> {
    let typed: Vec<_> = overrides.iter().map(|s| (*s).to_owned()).collect();
    overrides::apply(GOOD, &typed).map_err(|e| e.to_string())
}

/// Pairs of lines: what is replaced in the good file by what, and the beginning of the message.
const FAULTS: &str = r#"
layers = 4 => layer = 4
    11: models.rad.rad: unknown key `layer` (did you mean `layers`?); expected one of `activation`, `base`,
layers = 4 => layers = 0
    11: models.rad.rad: expected 1 <= `layers` <= 1000; got 0
components = 8 => components = 0
    15: models.mixture_base.flow.base.mixture: expected 1 <= `components` <= 100000; got 0
components = 8 => components = 8, draws.gumbel_softmax = { temperature = 0.0 }
    15: models.mixture_base.flow.base.mixture.draws.gumbel_softmax: expected 1e-4 <= `temperature` <= 1000; got 0
components = 8 => components = 8, draws.gumbel_softmax = [0.1]
    15: models.mixture_base.flow.base.mixture.draws: expected `gumbel_softmax` to be a table of settings by name, as in `{}`; got an array
components = 8 => components = 8, draws = "stratifed"
    15: models.mixture_base.flow.base.mixture: unknown choice `stratifed` (did you mean `stratified`?); expected one of `stratified`, `gumbel_softmax`, `straight_through`, `score`, `implicit`
layers = 4 => base.mixture = { components = 2, draws = "score" }
    11: models.rad.rad.base.mixture: expected no `draws` below `rad`, which has its own (other ways need a `flow`); got score
ring = { modes = 8, radius = 4.0, std = 0.2 } => ring = [8, 4.0, 0.2]
    8: data.ring: expected `ring` to be a table of settings by name, as in `{}`; got an array
{ layers = 2, hidden = [8] } => [2, [8]]
    14: models.mixture_base.flow.bijection: expected `affine_coupling` to be a table of settings by name, as in `{}`; got an array
steps = 500 => points = 7
    15: models.mixture_base.flow.base.mixture: expected `components` <= 7, the number of points that training starts from; got 8
components = 8, init => init
    15: models.mixture_base.flow.base.mixture: missing key `components`
init = "data" => init = "dat"
    15: models.mixture_base.flow.base.mixture: unknown choice `dat` (did you mean `data`?); expected one of `random`, `data`
hidden = [8] => hidden = [8, 'x']
    14: models.mixture_base.flow.bijection.affine_coupling: expected `hidden[1]` to be a whole number >= 0; got string "x"
steps = 500 => schedule.cosine = { warm_up = 0.1 }
    5: train.schedule.cosine: unknown key `warm_up` (did you mean `warmup`?); expected one of `floor`, `warmup`
[models.rad.rad] => [models.rad.radd]
    10: models.rad: unknown choice `radd` (did you mean `rad`?); expected one of `flow`, `rad`, `clusters`, `gaussian_mixture`, `kernel_density`
[models.rad.rad] => [models.rad]\nhidden = [3]
    10: models.rad: expected exactly one of `flow`, `rad`, `clusters`, `gaussian_mixture`, `kernel_density`; got `hidden`, `layers`
base.mixture = { components = 8, init = "data" } => base = "normal"
    15: models.mixture_base.flow: expected `base` to be a table, as in `base.normal = {}`; got "normal"
[models.rad.rad] => [models."../rad".rad]
    10: models: expected a name of 1 to 64 characters
[data.ring] => [data.""]
    7: data: expected a name of 1 to 64 characters
ring = { modes = 8, radius = 4.0, std = 0.2 } => mixture = { weights = [1.0], means = [[0.0]], std_devs = [true] }
    8: data.ring.mixture: expected `std_devs[0]` to be a number, or a list of numbers with one per coordinate; got true
[data.ring] => [data.figures]
    7: data: expected another name
[train] => [train
    4:7: not valid TOML: unclosed table, expected `]`\n  [train\n        ^
"#;

/// Whether every replacement of `faults` in the file `good` leads to its message, as [`FAULTS`] has
/// them; `said` reads a file.
pub(in crate::experiment) fn assert_faults(
    good: &str,
    faults: &str,
    said: impl Fn(&str) -> String,
) {
    let mut wrong = Vec::new();
    let lines: Vec<_> = faults.trim().lines().collect();
    for pair in lines.chunks(2) {
        let replaced = pair[0].replace("\\n", "\n");
        let (from, to) = replaced.split_once(" => ").unwrap();
        assert!(good.contains(from), "{from}");
        let got = said(&good.replacen(from, to, 1));
        let expected = pair[1].trim().replace("\\n", "\n");
        if !got.starts_with(&expected) {
            wrong.push(format!("{to}\n  expected {expected}\n  got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_says_where_and_what() {
    assert_faults(GOOD, FAULTS, |text| {
        fault(text).replacen("e/ring.toml:", "", 1)
    });
}

#[test]
fn overrides_change_values_and_choices() {
    let config = over(&[
        "seeds=[0]",
        "train.steps=7",
        "train.schedule.cosine.warmup=0.1",
        "models.rad.rad.layers = 9",
        "models.mixture_base.flow.base.normal={}",
        "evaluation.grid=32",
        "reference = mixture_base ",
    ])
    .unwrap();
    assert_eq!(config.seeds, [0]);
    assert_eq!(config.train.steps, 7);
    assert_eq!(config.evaluation.grid, 32);
    assert_eq!(config.reference.as_deref(), Some("mixture_base"));
    let text = config.to_toml().unwrap();
    assert_eq!(shape::parse::<Config>(&text).unwrap(), config);
    assert!(text.contains("warmup = 0.1"), "{text}");
    assert!(text.contains("layers = 9"), "{text}");
    assert!(!text.contains("components"), "{text}");
    let models: Vec<_> = config.models.keys().collect();
    assert_eq!(models, ["rad", "mixture_base"]);
}

/// Pairs of lines: an override, and the message behind its name.
const BAD_OVERRIDES: &str = r#"
models.rad.layers=3
    models.rad: unknown choice `layers`; expected one of `flow`, `rad`, `clusters`, `gaussian_mixture`, `kernel_density`
seeds.x=3
    `seeds` is no table: it has no keys
train.=3
    expected a dotted key before `=`
train.steps=3\nseeds=[1]
    train: expected `steps` to be
"#;

#[test]
fn a_bad_override_is_named() {
    let lines: Vec<_> = BAD_OVERRIDES.trim().lines().collect();
    for pair in lines.chunks(2) {
        let said = over(&[&pair[0].replace("\\n", "\n")]).unwrap_err();
        let expected = format!("override `{}`: {}", pair[0], pair[1].trim());
        assert!(
            said.starts_with(&expected),
            "expected {expected}\ngot {said}"
        );
    }
}

#[test]
fn every_shipped_experiment_and_study_is_sound_and_asks_a_question() {
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let studies = experiments.join("studies");
    for (folder, is_study, least) in [(experiments, false, 8), (studies, true, 1)] {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
        paths.retain(|path| !path.is_dir());
        assert!(paths.len() >= least, "{paths:?}");
        for path in paths {
            let text = std::fs::read_to_string(&path).unwrap();
            let comment = text.lines().take_while(|l| l.starts_with('#'));
            let question = comment.take(2).any(|l| l.contains('?'));
            assert!(question, "{}", path.display());
            match is_study {
                true => drop(study::load(&path, &[]).unwrap()),
                false => drop(Config::load(&path, &[]).unwrap()),
            }
        }
    }
}
