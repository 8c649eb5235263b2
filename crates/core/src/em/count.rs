//! A number of parts, or a rule for it.

use std::borrow::Cow;
use std::fmt;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

/// K: a number, or the word `"bic"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// This many.
    Given(usize),
    /// That of the mixture of Gaussians with the least BIC.
    Bic,
}

impl Count {
    /// The number, where it is given.
    pub fn given(self) -> Option<usize> {
        match self {
            Self::Given(k) => Some(k),
            Self::Bic => None,
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(k) => to.serialize_u64(*k as u64),
            Self::Bic => to.serialize_str("bic"),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<T: Deserializer<'de>>(from: T) -> Result<Self, T::Error> {
        struct NumberOrBic;

        impl Visitor<'_> for NumberOrBic {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"bic\"")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Count, E> {
                match word {
                    "bic" => Ok(Count::Bic),
                    _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Count, E> {
                let number = usize::try_from(v).map(Count::Given);
                number.map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Count, E> {
                let number = usize::try_from(v).map(Count::Given);
                number.map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &self))
            }
        }

        from.deserialize_any(NumberOrBic)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or the number of least BIC",
            "anyOf": [
                { "type": "integer", "format": "uint", "minimum": 0 },
                { "const": "bic" },
            ],
        })
    }
}
