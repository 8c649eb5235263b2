use super::*;

fn read(text: &str) -> Result<MixtureDraws, String> {
    #[derive(Deserialize)]
    struct Base {
        draws: MixtureDraws,
    }
    toml::from_str::<Base>(text)
        .map(|b| b.draws)
        .map_err(|e| e.message().to_owned())
}

#[test]
fn settings_read_back_as_documented() {
    for spec in MixtureDraws::examples() {
        let name = spec.name();
        let short = match spec {
            MixtureDraws::GumbelSoftmax(_) | MixtureDraws::StraightThrough(_) => {
                format!("draws.{name} = {{}}")
            }
            _ => format!("draws = \"{name}\""),
        };
        assert_eq!(read(&short), Ok(spec.clone()), "{name}");
        assert_eq!(spec.check(), Ok(()), "{name}");
        let written = toml::Value::try_from(&spec).unwrap();
        assert_eq!(read(&format!("draws = {written}")), Ok(spec), "{written}");
    }
    let full = read(
        "draws.gumbel_softmax = { temperature = 0.2, density.nested_excluding_own.inner = 7, \
         anneal_from = 1.0, anneal_over = 0.5, exact_from = 0.9 }",
    );
    let expected = GumbelSoftmaxSpec {
        temperature: 0.2,
        density: RelaxedDensity::NestedExcludingOwn(NestedSpec { inner: 7 }),
        anneal_from: Some(1.0),
        anneal_over: 0.5,
        exact_from: Some(0.9),
    };
    assert_eq!(full, Ok(MixtureDraws::GumbelSoftmax(expected)));
    for wrong in [
        "draws = \"stratifed\"",
        "draws.score = { temperature = 1.0 }",
        "draws.gumbel_softmax = { tau = 1.0 }",
        "draws.gumbel_softmax.density.nested_including_own = { outer = 1 }",
        "draws.straight_through = { density = \"joint\" }",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn invalid_settings_are_named() {
    let inner = "`inner` <= 100000; got 0";
    let below = "straight_through.temperature: expected 1e-4 <=";
    for (text, said) in [
        ("gumbel_softmax.temperature = nan", "1000; got NaN"),
        ("gumbel_softmax.anneal_from = 0.05", "1000; got 0.05"),
        ("gumbel_softmax.anneal_over = 0.0", "`anneal_over` <= 1"),
        ("gumbel_softmax.exact_from = 0.0", "stratified\"`); got 0"),
        ("gumbel_softmax.exact_from = 1.0", "0 < `exact_from` < 1"),
        (
            "gumbel_softmax = { anneal_from = 1.0, exact_from = 0.5 }",
            "`anneal_over`, so that",
        ),
        (
            "gumbel_softmax.density.nested_including_own.inner = 0",
            inner,
        ),
        (
            "gumbel_softmax.density.nested_excluding_own.inner = 0",
            inner,
        ),
        ("straight_through.temperature = -1.0", below),
    ] {
        let why = read(&format!("draws.{text}")).unwrap().check().unwrap_err();
        assert!(why.to_string().contains(said), "{text}: {why}");
    }
    let fine = read("draws.gumbel_softmax.exact_from = 0.5").unwrap();
    assert_eq!(fine.check(), Ok(()));
}

#[test]
fn temperatures_fall_geometrically() {
    let spec = GumbelSoftmaxSpec {
        temperature: 0.01,
        anneal_from: Some(1.0),
        anneal_over: 0.5,
        exact_from: Some(0.75),
        ..GumbelSoftmaxSpec::default()
    };
    let expected = [(0.0, 1.0), (0.25, 0.1), (0.5, 0.01), (1.0, 0.01)];
    for (progress, temperature) in expected {
        let got = spec.temperature_at(progress);
        assert!((got / temperature - 1.0).abs() < 1e-12, "{progress}: {got}");
    }
    assert!(!spec.is_exact_at(0.74) && spec.is_exact_at(0.75));
    let fixed = StraightThroughSpec::default();
    assert_eq!(fixed.temperature_at(0.0), fixed.temperature_at(1.0));
    assert!(!GumbelSoftmaxSpec::default().is_exact_at(1.0));
}

#[test]
fn every_density_names_its_entropy_bound() {
    for (density, bound) in [
        ("{ nested_including_own = {} }", EntropyBound::Below),
        ("'batch_including_own'", EntropyBound::Below),
        (
            "{ nested_excluding_own = {} }",
            EntropyBound::Above("Jensen's inequality"),
        ),
        ("'exact_mixture'", EntropyBound::Above("Gibbs' inequality")),
        ("'joint'", EntropyBound::Joint),
    ] {
        let draws = read(&format!("draws.gumbel_softmax.density = {density}"));
        assert_eq!(draws.unwrap().entropy_bound(), bound);
    }
    assert_eq!(MixtureDraws::Score.entropy_bound(), EntropyBound::Exact);
}
