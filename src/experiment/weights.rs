//! The file `model.safetensors`: every parameter by name, with metadata.

use std::collections::{BTreeMap, HashMap};

use candle_core::Device;
use safetensors::tensor::View;
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::Value;
use sha2::{Digest, Sha256};

use mdn_core::nn::params::Snapshot;
use mdn_core::nn::stored;
use mdn_core::{Error, Result};

/// Version of the layout: tensors by name, metadata, and a checksum of both.
const FORMAT: &str = "2";
/// The layout without a checksum. It is still read, but damaged numbers are not detected.
const WITHOUT_CHECKSUM: &str = "1";
// One key: the library writes several keys in random order, and equal runs must give equal bytes.
const KEY: &str = "mdn";
const SUM: &str = "sha256";

/// The file's bytes: the same for the same values.
pub fn to_bytes(snapshot: &Snapshot, best_step: usize) -> Result<Vec<u8>> {
    let mut about = serde_json::json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "best_step": best_step,
    });
    about[SUM] = checksum(&about, snapshot).into();
    let metadata = HashMap::from([(KEY.to_owned(), about.to_string())]);
    safetensors::serialize(snapshot, Some(metadata))
        .map_err(|e| Error::failed(format!("model.safetensors: {e}")))
}

/// SHA-256, in hexadecimal, of the metadata and of every tensor in the order of the names: name,
/// format, shape and numbers. The order in the file does not matter.
fn checksum(about: &Value, tensors: &BTreeMap<String, impl View>) -> String {
    let mut hash = Sha256::new();
    // The length in front of each part makes the split into parts unique.
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(about.to_string().as_bytes());
    for (name, tensor) in tensors {
        add(name.as_bytes());
        add(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        add(&tensor.data());
    }
    let digits = hash.finalize();
    digits.iter().map(|b| format!("{b:02x}")).collect()
}

/// The parameters of a file that [`to_bytes`] made.
/// Fails if the file is damaged, or of another program or layout version.
pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot> {
    let damaged = |e: SafeTensorError| {
        Error::request(format!(
            "expected a safetensors file; got a damaged one ({e})"
        ))
    };
    let mut about = about(bytes).map_err(damaged)?.unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let tensors: BTreeMap<_, _> = tensors.tensors().into_iter().collect();
    let again = "(train the run again with `--force`)";
    match about["format"].as_str() {
        Some(WITHOUT_CHECKSUM) => {}
        Some(FORMAT) => {
            let said = about.as_object_mut().and_then(|o| o.remove(SUM));
            let found = checksum(&about, &tensors);
            if said.as_ref().and_then(Value::as_str) != Some(&found) {
                return Err(Error::request(format!(
                    "expected a whole file; got a damaged one, whose checksum does not match {again}"
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
    let mut shapes = tensors.iter().map(|(name, t)| (name, t.shape()));
    if let Some((name, shape)) = shapes.find(|(_, s)| stored::bytes_of(s, 1).is_none()) {
        return Err(Error::request(format!(
            "`{name}`: expected a shape that can be counted; got {shape:?} {again}"
        )));
    }
    Ok(candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?
        .into_iter()
        .collect())
}

/// The step of the weights in such a file; `None` where it is not recorded.
pub fn best_step(bytes: &[u8]) -> Option<u64> {
    about(bytes).ok()??["best_step"].as_u64()
}

/// The metadata that [`to_bytes`] writes.
fn about(bytes: &[u8]) -> Result<Option<Value>, SafeTensorError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let said = header.metadata().as_ref().and_then(|m| m.get(KEY));
    Ok(said.and_then(|about| serde_json::from_str(about).ok()))
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use safetensors::tensor::TensorView;
    use safetensors::Dtype;

    use super::*;

    #[test]
    fn weights_read_back_and_every_flipped_bit_is_detected() {
        let weight = Tensor::new(&[[1f32, 2.5], [-3.0, 4.0]], &Device::Cpu).unwrap();
        let numbers = Tensor::new(&[0.1f64, 0.2], &Device::Cpu).unwrap();
        let order = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
        let three = [("a.weight", weight), ("b", numbers), ("order", order)];
        let three = three.map(|(name, tensor)| (name.to_owned(), tensor)).into();
        let good = to_bytes(&three, 7).unwrap();
        assert_eq!(good, to_bytes(&three, 7).unwrap());
        assert_eq!(best_step(&good), Some(7));
        let back = from_bytes(&good).unwrap();
        assert_eq!(back.len(), 3);
        assert_eq!(back["b"].to_vec1::<f64>().unwrap(), [0.1, 0.2]);
        assert_eq!(back["order"].to_vec1::<u32>().unwrap(), [2, 0, 1]);
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
    fn other_layouts_and_shapes_are_read_or_refused() {
        let number = 2.5f32.to_le_bytes();
        // A file with one tensor and the metadata of this format alone.
        let read = |format: &str, shape: &[usize], data: &[u8]| {
            let tensor = TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap();
            let about = format!("{{\"format\":\"{format}\"}}");
            let metadata = HashMap::from([(KEY.to_owned(), about)]);
            from_bytes(&safetensors::serialize([("a", tensor)], Some(metadata)).unwrap())
        };
        let old = read("1", &[1], &number).unwrap();
        assert_eq!(old["a"].to_vec1::<f32>().unwrap(), [2.5]);
        for (format, shape, data, message) in [
            ("2", &[1][..], &number[..], "checksum"),
            ("3", &[1], &number, "got \"3\""),
            ("1", &[0, 1 << 62, 8], &[], "`a`: expected a shape"),
        ] {
            let said = read(format, shape, data).unwrap_err().to_string();
            assert!(said.contains(message), "{said}");
        }
        let foreign = safetensors::serialize(BTreeMap::<String, TensorView<'_>>::new(), None);
        let message = from_bytes(&foreign.unwrap()).unwrap_err().to_string();
        assert!(message.contains("another program"), "{message}");
    }
}
