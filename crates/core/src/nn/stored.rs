//! Tensors as numbers in a file, bit for bit: on the CPU when they come back.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde::de::Error as _;
use serde::ser::Error as _;
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
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F32 => {
            let values = flat.to_vec1::<f32>()?.into_iter();
            values.flat_map(f32::to_le_bytes).collect()
        }
        DType::F64 => {
            let values = flat.to_vec1::<f64>()?.into_iter();
            values.flat_map(f64::to_le_bytes).collect()
        }
        DType::U32 => {
            let values = flat.to_vec1::<u32>()?.into_iter();
            values.flat_map(u32::to_le_bytes).collect()
        }
        other => {
            return Err(Error::failed(format!(
                "a stored tensor: expected f32, f64 or u32; got {other:?}"
            )))
        }
    })
}

/// Bytes of a tensor of this shape with numbers of `size` bytes; `None` where they cannot be counted. Nor
/// can they where an axis of length 0 makes them none: the others still decide its strides.
pub fn bytes_of(shape: &[usize], size: usize) -> Option<usize> {
    let mut axes = shape.iter().map(|n| *n.max(&1));
    let most = axes.try_fold(size, usize::checked_mul);
    most.map(|most| if shape.contains(&0) { 0 } else { most })
}

impl Stored {
    fn of(tensor: &Tensor) -> Result<Self> {
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

    fn tensor(&self) -> Result<Tensor> {
        let (dtype, size) = match self.format {
            Format::F32 => (DType::F32, 4),
            Format::F64 => (DType::F64, 8),
            Format::U32 => (DType::U32, 4),
        };
        if bytes_of(&self.shape, size) != Some(self.bytes.len()) {
            return Err(Error::request(format!(
                "expected the numbers of a tensor of shape {:?}; got {} bytes",
                self.shape,
                self.bytes.len()
            )));
        }
        let shape = self.shape.as_slice();
        Ok(Tensor::from_raw_buffer(
            &self.bytes,
            dtype,
            shape,
            &Device::Cpu,
        )?)
    }
}

/// `#[serde(with = "...")]` for one tensor.
pub mod one {
    use super::*;

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(
        tensor: &Tensor,
        to: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        Stored::of(tensor).map_err(S::Error::custom)?.serialize(to)
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> std::result::Result<Tensor, D::Error> {
        Stored::deserialize(from)?
            .tensor()
            .map_err(D::Error::custom)
    }
}

/// The same for tensors by name.
pub mod map {
    use super::*;

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(all: &Snapshot, to: S) -> std::result::Result<S::Ok, S::Error> {
        let stored = all.iter().map(|(name, t)| Ok((name, Stored::of(t)?)));
        let stored: Result<BTreeMap<_, _>> = stored.collect();
        stored.map_err(S::Error::custom)?.serialize(to)
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> std::result::Result<Snapshot, D::Error> {
        let stored = BTreeMap::<String, Stored>::deserialize(from)?;
        let tensors = stored.into_iter().map(|(name, s)| Ok((name, s.tensor()?)));
        tensors.collect::<Result<_>>().map_err(D::Error::custom)
    }
}

/// The same for lists of those.
pub mod maps {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "map")] Snapshot);

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(
        all: &[Snapshot],
        to: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|one| One(one.clone())))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> std::result::Result<Vec<Snapshot>, D::Error> {
        let all = Vec::<One>::deserialize(from)?;
        Ok(all.into_iter().map(|one| one.0).collect())
    }
}
