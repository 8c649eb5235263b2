//! Tensors as numbers in a file, bit for bit; on the CPU after reading.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, WithDType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::params::Snapshot;
use crate::{Error, Result};

/// Formats that parameters have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    F32,
    F64,
    U32,
}

/// A tensor: its numbers one after the other, the last index fastest, little-endian.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: Format,
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

impl TryFrom<&Tensor> for Stored {
    type Error = Error;

    fn try_from(tensor: &Tensor) -> Result<Self> {
        let format = match tensor.dtype() {
            DType::F64 => Format::F64,
            DType::U32 => Format::U32,
            _ => Format::F32,
        };
        Ok(Self {
            format,
            shape: tensor.dims().to_vec(),
            bytes: bytes(tensor)?,
        })
    }
}

impl TryFrom<Stored> for Tensor {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let (dtype, size) = match stored.format {
            Format::F32 => (DType::F32, 4),
            Format::F64 => (DType::F64, 8),
            Format::U32 => (DType::U32, 4),
        };
        let (bytes, shape) = (&stored.bytes, stored.shape.as_slice());
        if bytes_of(shape, size) != Some(bytes.len()) {
            return Err(Error::request(format!(
                "expected the numbers of a tensor of shape {shape:?}; got {} bytes",
                bytes.len()
            )));
        }
        Ok(Self::from_raw_buffer(bytes, dtype, shape, &Device::Cpu)?)
    }
}

/// `#[serde(with = "...")]` for one tensor.
pub mod one {
    use serde::{de, ser};

    use super::*;

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(tensor: &Tensor, to: S) -> Result<S::Ok, S::Error> {
        let stored = Stored::try_from(tensor).map_err(ser::Error::custom)?;
        stored.serialize(to)
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tensor, D::Error> {
        let stored = Stored::deserialize(from)?;
        stored.try_into().map_err(de::Error::custom)
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
