use super::*;

#[test]
fn a_parameter_that_is_too_large_is_refused_before_it_is_allocated() {
    let params = Params::seeded(Rng::new(0), DType::F32, &Device::Cpu);
    params.normal("small", (3, 4), 1.0).unwrap();
    let why = params.normal("large", (65_536, 65_536), 1.0).unwrap_err();
    assert!(why.to_string().contains("`large`"), "{why}");
    assert_eq!(params.count(), 12);
}

#[test]
fn a_file_of_another_model_is_refused() {
    let params = Params::seeded(Rng::new(0), DType::F32, &Device::Cpu);
    params.normal("a", 2, 1.0).unwrap();
    params.normal("b", 2, 1.0).unwrap();
    let saved = params.snapshot().unwrap();
    let loaded = Params::from_tensors(saved.clone(), DType::F32, &Device::Cpu);
    loaded.normal("a", 2, 1.0).unwrap();
    let why = loaded.check_all_used().unwrap_err().to_string();
    assert!(why.contains("`b`"), "{why}");
    assert!(loaded.normal("b", 3, 1.0).is_err(), "another shape");
    assert!(loaded.normal("c", 2, 1.0).is_err(), "not in the file");
    let double = Params::from_tensors(saved, DType::F64, &Device::Cpu);
    assert!(double.normal("a", 2, 1.0).is_err(), "another precision");
}
