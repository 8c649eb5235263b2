//! A number for all coordinates, or one for each.

use std::borrow::Cow;
use std::fmt;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::BadValue;

/// `4.0` for all coordinates alike, or `[4.0, 2.0]`, one a coordinate.
#[derive(Debug, Clone, PartialEq)]
pub enum PerCoordinate {
    /// The same in every coordinate.
    All(f64),
    /// One for each of the D coordinates.
    Each(Vec<f64>),
}

impl PerCoordinate {
    /// One number a coordinate.
    pub fn to_vec(&self, dim: usize) -> Vec<f64> {
        match self {
            Self::All(v) => vec![*v; dim],
            Self::Each(list) => list.clone(),
        }
    }

    /// As many as there are coordinates, none beyond what single precision has room for.
    pub(super) fn check(&self, key: &str, dim: usize) -> Result<(), BadValue> {
        let list = self.to_vec(dim);
        if list.len() != dim {
            return Err(BadValue::new(
                key,
                format!("one number, or a list of {dim} (one a coordinate)"),
                format!("a list of {}", list.len()),
            ));
        }
        match list.iter().find(|v| !(v.abs() <= 1e30)) {
            Some(v) => Err(BadValue::new(key, "numbers between -1e30 and 1e30", v)),
            None => Ok(()),
        }
    }
}

impl Serialize for PerCoordinate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(v) => to.serialize_f64(*v),
            Self::Each(list) => list.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for PerCoordinate {
    fn deserialize<T: Deserializer<'de>>(from: T) -> Result<Self, T::Error> {
        struct NumberOrList;

        impl<'de> Visitor<'de> for NumberOrList {
            type Value = PerCoordinate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a list of numbers with one per coordinate")
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<PerCoordinate, E> {
                Ok(PerCoordinate::All(v))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<PerCoordinate, E> {
                Ok(PerCoordinate::All(v as f64))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<PerCoordinate, E> {
                Ok(PerCoordinate::All(v as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PerCoordinate, A::Error> {
                let mut each = Vec::new();
                while let Some(v) = list.next_element()? {
                    each.push(v);
                }
                Ok(PerCoordinate::Each(each))
            }
        }

        from.deserialize_any(NumberOrList)
    }
}

impl JsonSchema for PerCoordinate {
    fn schema_name() -> Cow<'static, str> {
        "PerCoordinate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or a list of numbers with one per coordinate",
            "anyOf": [{ "type": "number" }, { "type": "array", "items": { "type": "number" } }],
        })
    }
}
