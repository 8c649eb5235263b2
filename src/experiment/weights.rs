//! The file `model.safetensors`: every parameter by name, with metadata.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sha2::{Digest, Sha256};

use mdn_core::nn::params::Snapshot;
use mdn_core::nn::stored;
use mdn_core::{Error, Result};

/// Version of the file's layout: tensors by name, metadata, and the sum of both.
const FORMAT: &str = "2";
/// The same without a sum. What was made then is still read; damage of its numbers goes unseen.
const WITHOUT_SUM: &str = "1";
// One key: the library writes several in the order of a hash, and equal runs must give equal bytes.
const KEY: &str = "mdn";
const SUM: &str = "sha256";

/// The file's bytes: the same for the same values.
pub fn to_bytes(snapshot: &Snapshot, best_step: usize) -> Result<Vec<u8>> {
    let raw: Vec<(&String, Vec<usize>, Dtype, Vec<u8>)> = snapshot
        .iter()
        .map(|(name, tensor)| {
            let dtype = match tensor.dtype() {
                DType::F64 => Dtype::F64,
                DType::U32 => Dtype::U32,
                _ => Dtype::F32,
            };
            let bytes = stored::bytes(tensor)?;
            Ok((name, tensor.dims().to_vec(), dtype, bytes))
        })
        .collect::<Result<_>>()?;
    let damaged =
        |e: safetensors::SafeTensorError| Error::failed(format!("model.safetensors: {e}"));
    let views = raw
        .iter()
        .map(|(name, shape, dtype, bytes)| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<std::result::Result<BTreeMap<_, _>, _>>()
        .map_err(damaged)?;
    let mut about = serde_json::json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "best_step": best_step,
    });
    about[SUM] = sum(&about, &views).into();
    let metadata = HashMap::from([(KEY.to_owned(), about.to_string())]);
    safetensors::serialize(views, Some(metadata)).map_err(damaged)
}

/// SHA-256, in hexadecimal, of what is said about the tensors, then of each in the order of the
/// names: name, format, shape and numbers. The place in the file plays no part.
fn sum(about: &Value, tensors: &BTreeMap<impl AsRef<str>, TensorView<'_>>) -> String {
    let mut hash = Sha256::new();
    // A length in front of each part keeps two parts from being taken for others.
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(about.to_string().as_bytes());
    for (name, tensor) in tensors {
        add(name.as_ref().as_bytes());
        add(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        add(tensor.data());
    }
    let digits = hash.finalize();
    digits.iter().map(|b| format!("{b:02x}")).collect()
}

/// The parameters of a file that [`to_bytes`] made.
///
/// # Errors
/// For a damaged file, and for one of another program or layout version.
pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot> {
    let damaged = |e: safetensors::SafeTensorError| {
        Error::request(format!(
            "expected a safetensors file; got a damaged one ({e})"
        ))
    };
    let mut about = about(bytes).map_err(damaged)?.unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let tensors: BTreeMap<_, _> = tensors.tensors().into_iter().collect();
    let again = "(train the run again with `--force`)";
    match about["format"].as_str() {
        Some(WITHOUT_SUM) => {}
        Some(FORMAT) => {
            let said = about.as_object_mut().and_then(|o| o.remove(SUM));
            let found = sum(&about, &tensors);
            if said.as_ref().and_then(Value::as_str) != Some(&found) {
                return Err(Error::request(format!(
                    "expected a whole file; got a damaged one, whose checksum is another {again}"
                )));
            }
        }
        other => {
            let got =
                other.map_or_else(|| "another program's file".to_owned(), |f| format!("{f:?}"));
            return Err(Error::request(format!(
                "expected weights of layout version {FORMAT}; got {got} {again}"
            )));
        }
    }
    let endless = |t: &TensorView<'_>| stored::bytes_of(t.shape(), 1).is_none();
    if let Some((name, tensor)) = tensors.iter().find(|(_, t)| endless(t)) {
        return Err(Error::request(format!(
            "`{name}`: expected a shape that can be counted; got {:?} {again}",
            tensor.shape()
        )));
    }
    Ok(candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?
        .into_iter()
        .collect())
}

/// The step that the weights of such a file are of; `None` where it does not say so.
pub fn best_step(bytes: &[u8]) -> Option<u64> {
    about(bytes).ok()??["best_step"].as_u64()
}

/// What [`to_bytes`] says about the weights.
fn about(bytes: &[u8]) -> std::result::Result<Option<Value>, safetensors::SafeTensorError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let said = header.metadata().as_ref().and_then(|m| m.get(KEY));
    Ok(said.and_then(|about| serde_json::from_str(about).ok()))
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::*;

    fn three() -> Snapshot {
        [
            (
                "a.weight",
                Tensor::new(&[[1f32, 2.5], [-3.0, 4.0]], &Device::Cpu),
            ),
            ("b", Tensor::new(&[0.1f64, 0.2], &Device::Cpu)),
            ("order", Tensor::new(&[2u32, 0, 1], &Device::Cpu)),
        ]
        .into_iter()
        .map(|(n, t)| (n.to_owned(), t.unwrap()))
        .collect()
    }

    #[test]
    fn any_bit_that_is_turned_over_is_seen() {
        let good = to_bytes(&three(), 7).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(from_bytes(&bad).is_err(), "bit {bit} of byte {at}");
            }
            assert!(from_bytes(&good[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn weights_that_were_made_without_a_sum_are_read() {
        let number = 2.5f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &number).unwrap();
        let about = |format| {
            Some(HashMap::from([(
                KEY.to_owned(),
                format!("{{\"format\":\"{format}\"}}"),
            )]))
        };
        let old = safetensors::serialize([("a", &view)], about("1")).unwrap();
        assert_eq!(
            from_bytes(&old).unwrap()["a"].to_vec1::<f32>().unwrap(),
            [2.5]
        );
        for (format, message) in [("2", "checksum"), ("3", "got \"3\"")] {
            let bytes = safetensors::serialize([("a", &view)], about(format)).unwrap();
            let said = from_bytes(&bytes).unwrap_err().to_string();
            assert!(said.contains(message), "{said}");
        }
    }

    #[test]
    fn a_shape_that_cannot_be_counted_is_refused_though_no_number_is_there() {
        let view = TensorView::new(Dtype::F32, vec![0, 1 << 62, 8], &[]).unwrap();
        let about = HashMap::from([(KEY.to_owned(), "{\"format\":\"1\"}".to_owned())]);
        let bytes = safetensors::serialize([("a", &view)], Some(about)).unwrap();
        let said = from_bytes(&bytes).unwrap_err().to_string();
        assert!(said.contains("`a`: expected a shape"), "{said}");
    }

    #[test]
    fn weights_come_back_and_damage_is_refused() {
        let tensors = three();
        let bytes = to_bytes(&tensors, 7).unwrap();
        assert_eq!(bytes, to_bytes(&tensors, 7).unwrap());
        assert_eq!(best_step(&bytes), Some(7));
        assert_eq!(best_step(b"hello world"), None);
        let back = from_bytes(&bytes).unwrap();
        assert_eq!(back.len(), 3);
        assert_eq!(back["b"].to_vec1::<f64>().unwrap(), [0.1, 0.2]);
        assert_eq!(back["order"].to_vec1::<u32>().unwrap(), [2, 0, 1]);
        for broken in [&bytes[..40], &bytes[..bytes.len() - 1], b"", b"hello world"] {
            let message = from_bytes(broken).unwrap_err().to_string();
            assert!(message.contains("damaged"), "{message}");
        }
        let foreign = safetensors::serialize(BTreeMap::<String, TensorView<'_>>::new(), None);
        let message = from_bytes(&foreign.unwrap()).unwrap_err().to_string();
        assert!(message.contains("another program"), "{message}");
    }
}
