//! Tensors as numbers in a file, bit for bit; on the CPU after reading.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, WithDType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::params::Snapshot;
use crate::{Error, Result};

/// Formats that parameters have; a file holds the index.
const FORMATS: [DType; 3] = [DType::F32, DType::F64, DType::U32];

/// A tensor: its numbers one after the other, the last index fastest, little-endian.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The numbers of a tensor as bytes, little-endian.
///
/// # Errors
/// For formats that no parameter has.
pub fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    fn all<T: WithDType, const N: usize>(
        flat: &Tensor,
        bytes: fn(T) -> [u8; N],
    ) -> Result<Vec<u8>> {
        Ok(flat.to_vec1()?.into_iter().flat_map(bytes).collect())
    }
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    match tensor.dtype() {
        DType::F32 => all(&flat, f32::to_le_bytes),
        DType::F64 => all(&flat, f64::to_le_bytes),
        DType::U32 => all(&flat, u32::to_le_bytes),
        other => Err(Error::failed(format!(
            "a stored tensor: expected f32, f64 or u32; got {other:?}"
        ))),
    }
}

/// Bytes of a tensor of this shape with numbers of `size` bytes; `None` where that number, or the
/// product of the axes that are not empty (the strides of a tensor without numbers), overflows.
pub fn bytes_of(shape: &[usize], size: usize) -> Option<usize> {
    let mut axes = shape.iter().map(|n| *n.max(&1));
    let most = axes.try_fold(size, usize::checked_mul);
    most.map(|most| if shape.contains(&0) { 0 } else { most })
}

/// `#[serde(with = "...")]` for one tensor.
pub mod one {
    use serde::{de, ser};

    use super::*;

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(tensor: &Tensor, to: S) -> Result<S::Ok, S::Error> {
        let bytes = bytes(tensor).map_err(ser::Error::custom)?;
        let format = FORMATS.iter().position(|format| *format == tensor.dtype());
        let stored = Stored {
            format: format.ok_or_else(|| ser::Error::custom("unknown format"))? as u32,
            shape: tensor.dims().to_vec(),
            bytes,
        };
        stored.serialize(to)
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tensor, D::Error> {
        let Stored {
            format,
            shape,
            bytes,
        } = Stored::deserialize(from)?;
        let fits = |dtype: &&DType| bytes_of(&shape, dtype.size_in_bytes()) == Some(bytes.len());
        let Some(&dtype) = FORMATS.get(format as usize).filter(fits) else {
            return Err(de::Error::custom(format!(
                "expected the numbers of a tensor of shape {shape:?}; got {} bytes",
                bytes.len()
            )));
        };
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &shape, &Device::Cpu);
        tensor.map_err(de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct One(#[serde(with = "one")] Tensor);

/// The same for tensors by name.
pub mod map {
    use super::*;

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(all: &Snapshot, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(all.iter().map(|(name, t)| (name, One(t.clone()))))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Snapshot, D::Error> {
        let all = BTreeMap::<String, One>::deserialize(from)?;
        Ok(all.into_iter().map(|(name, one)| (name, one.0)).collect())
    }
}

/// The same for lists of those.
pub mod maps {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Named(#[serde(with = "map")] Snapshot);

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(all: &[Snapshot], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|one| Named(one.clone())))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Snapshot>, D::Error> {
        let all = Vec::<Named>::deserialize(from)?;
        Ok(all.into_iter().map(|one| one.0).collect())
    }
}
