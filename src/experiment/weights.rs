//! The file `model.safetensors`: every parameter by name, with metadata.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::nn::params::Snapshot;
use crate::nn::stored;
use crate::{Error, Result};

/// Version of the file's layout. A file of another one is refused.
const FORMAT: &str = "1";
// One key: the library writes several in the order of a hash, and equal runs must give equal bytes.
const KEY: &str = "mdn";

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
    let about = serde_json::json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "best_step": best_step,
    });
    let metadata = HashMap::from([(KEY.to_owned(), about.to_string())]);
    safetensors::serialize(views, Some(metadata)).map_err(damaged)
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
    let about = about(bytes).map_err(damaged)?;
    let format = about.and_then(|about| about["format"].as_str().map(str::to_owned));
    if format.as_deref() != Some(FORMAT) {
        return Err(Error::request(format!(
            "expected weights of layout version {FORMAT}; got {} (train the run again with \
             `--force`)",
            format.map_or_else(|| "another program's file".to_owned(), |f| format!("{f:?}"))
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
fn about(
    bytes: &[u8],
) -> std::result::Result<Option<serde_json::Value>, safetensors::SafeTensorError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let said = header.metadata().as_ref().and_then(|m| m.get(KEY));
    Ok(said.and_then(|about| serde_json::from_str(about).ok()))
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::*;

    #[test]
    fn weights_come_back_and_damage_is_refused() {
        let tensors: Snapshot = [
            (
                "a.weight",
                Tensor::new(&[[1f32, 2.5], [-3.0, 4.0]], &Device::Cpu),
            ),
            ("b", Tensor::new(&[0.1f64, 0.2], &Device::Cpu)),
            ("order", Tensor::new(&[2u32, 0, 1], &Device::Cpu)),
        ]
        .into_iter()
        .map(|(n, t)| (n.to_owned(), t.unwrap()))
        .collect();
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
