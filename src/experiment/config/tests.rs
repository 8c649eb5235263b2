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
    fault::parse::<Config>(text)
        .expect_err("it should be refused")
        .in_file(Path::new("e/ring.toml"), text)
}

fn over(overrides: &[&str]) -> std::result::Result<Config, String> {
    let typed: Vec<_> = overrides.iter().map(|s| (*s).to_owned()).collect();
    overrides::apply(GOOD, &typed).map_err(|e| e.to_string())
}

#[test]
fn a_file_fills_in_defaults_and_keeps_its_order() {
    let config = fault::parse::<Config>(GOOD).expect("a good file");
    assert_eq!(config.seeds, [3, 1]);
    assert_eq!(config.train.steps, 500);
    assert_eq!(config.train.batch_size, TrainSpec::default().batch_size);
    let models: Vec<_> = config.models.keys().collect();
    assert_eq!(models, ["rad", "mixture_base"]);
    let again =
        fault::parse::<Config>(&config.to_toml().expect("it is TOML")).expect("it is a file");
    assert_eq!(again, config);
}

/// (what is replaced in the good file, by what, the message)
const FAULTS: &[(&str, &str, &str)] = &[
    (
        "layers = 4",
        "layer = 4",
        "e/ring.toml:11: models.rad.rad: unknown key `layer` (did you mean `layers`?); \
         expected one of `layers`, `hidden`, ",
    ),
    (
        "layers = 4",
        "layers = 0",
        "e/ring.toml:11: models.rad.rad: expected 1 <= `layers` <= 1000; got 0",
    ),
    (
        "components = 8",
        "components = 0",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture: expected 1 <= `components` <= \
         100000; got 0",
    ),
    (
        "components = 8",
        "components = 8, draws.gumbel_softmax = { temperature = 0.0 }",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture.draws.gumbel_softmax: expected 1e-4 <= \
         `temperature` <= 1000; got 0",
    ),
    (
        "components = 8",
        "components = 8, draws.gumbel_softmax = [0.1]",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture.draws: expected `gumbel_softmax` to be \
         a table of settings by name, as in `{}`; got an array",
    ),
    (
        "components = 8",
        "components = 8, draws = \"stratifed\"",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture: unknown choice `stratifed` (did you \
         mean `stratified`?); expected one of `stratified`, `gumbel_softmax`, `straight_through`, \
         `score`, `implicit`",
    ),
    (
        "layers = 4",
        "base.mixture = { components = 2, draws = \"score\" }",
        "e/ring.toml:11: models.rad.rad.base.mixture: expected no `draws` below `rad`, which has its \
         own (other ways need a `flow`); got score",
    ),
    (
        "ring = { modes = 8, radius = 4.0, std = 0.2 }",
        "ring = [8, 4.0, 0.2]",
        "e/ring.toml:8: data.ring: expected `ring` to be a table of settings by name, as in `{}`; \
         got an array",
    ),
    (
        "{ layers = 2, hidden = [8] }",
        "[2, [8]]",
        "e/ring.toml:14: models.mixture_base.flow.bijection: expected `affine_coupling` to be a \
         table of settings by name, as in `{}`; got an array",
    ),
    (
        "steps = 500",
        "points = 7",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture: expected `components` <= \
         7, the number of points that training starts from; got 8",
    ),
    (
        "components = 8, ",
        "",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture: missing key `components`",
    ),
    (
        "init = \"data\"",
        "init = \"dat\"",
        "e/ring.toml:15: models.mixture_base.flow.base.mixture: unknown choice `dat` (did you \
         mean `data`?); expected one of `random`, `data`",
    ),
    (
        "hidden = [8]",
        "hidden = [8, 'x']",
        "e/ring.toml:14: models.mixture_base.flow.bijection.affine_coupling: expected \
         `hidden[1]` to be a whole number >= 0; got string \"x\"",
    ),
    (
        "steps = 500",
        "steps = \"many\"",
        "e/ring.toml:5: train: expected `steps` to be a whole number >= 0; got string \"many\"",
    ),
    (
        "steps = 500",
        "steps = -5",
        "e/ring.toml:5: train: expected `steps` to be a whole number >= 0; got -5",
    ),
    (
        "steps = 500",
        "steps = 0",
        "e/ring.toml:5: train: expected 1 <= `steps` <= 1000000000; got 0",
    ),
    (
        "steps = 500",
        "schedule.cosine = { warm_up = 0.1 }",
        "e/ring.toml:5: train.schedule.cosine: unknown key `warm_up` (did you mean `warmup`?); \
         expected one of `warmup`, `floor`",
    ),
    (
        "[train]",
        "[trian]",
        "e/ring.toml:4: unknown key `trian` (did you mean `train`?); expected one of `name`, ",
    ),
    (
        "[models.rad.rad]",
        "[models.rad.radd]",
        "e/ring.toml:10: models.rad: unknown choice `radd` (did you mean `rad`?); expected one of \
         `flow`, `rad`, `clusters`, `gaussian_mixture`, `kernel_density`",
    ),
    (
        "[models.rad.rad]",
        "[models.rad]\nhidden = [3]",
        "e/ring.toml:10: models.rad: expected exactly one of `flow`, `rad`, `clusters`, `gaussian_mixture`, `kernel_density`; got \
         `hidden`, `layers`",
    ),
    (
        "base.mixture = { components = 8, init = \"data\" }",
        "base = \"normal\"",
        "e/ring.toml:15: models.mixture_base.flow: expected `base` to be a table, as in \
         `base.normal = {}`; got \"normal\"",
    ),
    (
        "seeds = [3, 1]",
        "seeds = []",
        "e/ring.toml:1: expected at least one seed in `seeds`; got []",
    ),
    (
        "seeds = [3, 1]",
        "seeds = [3, 1, 3]",
        "e/ring.toml:1: expected every seed once in `seeds`; got 3 twice",
    ),
    (
        "\"rad\"",
        "\"radd\"",
        "e/ring.toml:2: expected `reference` to be one of `rad`, `mixture_base`; got \"radd\" \
         (did you mean `rad`?)",
    ),
    (
        "[models.rad.rad]",
        "[models.\"../rad\".rad]",
        "e/ring.toml:10: models: expected a name of 1 to 64 characters",
    ),
    (
        "[data.ring]",
        "[data.\"\"]",
        "e/ring.toml:7: data: expected a name of 1 to 64 characters",
    ),
    (
        "[data.ring]",
        "[data.figures]",
        "e/ring.toml:7: data: expected another name",
    ),
    (
        "steps = 500",
        "steps = 500\nsteps = 600",
        "e/ring.toml:6:1: `steps` is given twice; keep one\n  steps = 600\n  ^",
    ),
    (
        "[train]",
        "[train",
        "e/ring.toml:4:7: not valid TOML: unclosed table, expected `]`\n  [train\n        ^",
    ),
];

#[test]
fn every_fault_says_where_and_what() {
    let mut wrong = Vec::new();
    for (good, bad, message) in FAULTS {
        assert!(GOOD.contains(good), "{good}");
        let said = fault(&GOOD.replacen(good, bad, 1));
        if !said.starts_with(message) {
            wrong.push(format!("{bad}\n  expected {message}\n  got      {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_empty_file_has_no_data() {
    assert_eq!(
        fault(""),
        "e/ring.toml: expected at least one table `[data.NAME]`; got none"
    );
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
        "reference=mixture_base",
    ])
    .expect("good overrides");
    assert_eq!(config.seeds, [0]);
    assert_eq!(config.train.steps, 7);
    assert_eq!(config.evaluation.grid, 32);
    assert_eq!(config.reference.as_deref(), Some("mixture_base"));
    let text = config.to_toml().expect("it is TOML");
    assert!(text.contains("warmup = 0.1"), "{text}");
    assert!(text.contains("layers = 9"), "{text}");
    assert!(!text.contains("components"), "{text}");
    let models: Vec<_> = config.models.keys().collect();
    assert_eq!(models, ["rad", "mixture_base"]);
}

#[test]
fn a_bad_override_is_named() {
    let cases = [
        (
            "train.setps=3",
            "override `train.setps=3`: train: unknown key `setps` (did you mean `steps`?)",
        ),
        (
            "trian.steps=3",
            "override `trian.steps=3`: unknown key `trian` (did you mean `train`?)",
        ),
        (
            "train.steps=many",
            "override `train.steps=many`: train: expected `steps` to be a whole number >= 0; got \
             string \"many\"",
        ),
        (
            "train.steps=0",
            "override `train.steps=0`: train: expected 1 <= `steps` <= 1000000000; got 0",
        ),
        (
            "models.radd.rad.layers=3",
            "override `models.radd.rad.layers=3`: the file has no model `radd` (did you mean \
             `rad`?); expected one of `rad`, `mixture_base`",
        ),
        (
            "models.rad.layers=3",
            "override `models.rad.layers=3`: models.rad: unknown choice `layers`; expected one \
             of `flow`, `rad`, `clusters`, `gaussian_mixture`, `kernel_density`",
        ),
        (
            "seeds.x=3",
            "override `seeds.x=3`: `seeds` is no table: it has no keys",
        ),
        (
            "train.=3",
            "override `train.=3`: expected a dotted key before `=`",
        ),
        (
            "seeds=[]",
            "override `seeds=[]`: expected at least one seed",
        ),
        (
            "train.steps=3\nseeds=[1]",
            "override `train.steps=3\\nseeds=[1]`: train: expected `steps` to be",
        ),
    ];
    let mut wrong = Vec::new();
    for (typed, message) in cases {
        let said = over(&[typed]).expect_err("it should be refused");
        if !said.starts_with(message) {
            wrong.push(format!("{typed}\n  expected {message}\n  got      {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_shipped_experiment_is_sound_and_asks_a_question() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let comment = text.lines().take_while(|l| l.starts_with('#'));
        let question = comment.take(2).any(|l| l.contains('?'));
        assert!(question, "{}", path.display());
        Config::load(&path, &[]).unwrap();
        count += 1;
    }
    assert!(count >= 8, "{count}");
}
