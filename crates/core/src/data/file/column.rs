//! A column by its name or its number.

use std::borrow::Cow;
use std::fmt;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// `"bill_length_mm"` or, counted from 0, `2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Column {
    /// By the name in the header.
    Name(String),
    /// By its number, from 0.
    Number(usize),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(number) => write!(f, "column {number}"),
        }
    }
}

// By hand: serde's own `untagged` reports neither what came nor where.
impl<'de> Deserialize<'de> for Column {
    fn deserialize<T: Deserializer<'de>>(from: T) -> Result<Self, T::Error> {
        struct NameOrNumber;

        impl Visitor<'_> for NameOrNumber {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or its number from 0")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Column, E> {
                Ok(Column::Name(name.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Column, E> {
                let number = usize::try_from(v);
                let number =
                    number.map_err(|_| E::invalid_value(de::Unexpected::Signed(v), &self))?;
                Ok(Column::Number(number))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Column, E> {
                let number = usize::try_from(v);
                let number =
                    number.map_err(|_| E::invalid_value(de::Unexpected::Unsigned(v), &self))?;
                Ok(Column::Number(number))
            }
        }

        from.deserialize_any(NameOrNumber)
    }
}

impl JsonSchema for Column {
    fn schema_name() -> Cow<'static, str> {
        "Column".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a column, or its number from 0",
            "anyOf": [{ "type": "string" }, { "type": "integer", "minimum": 0 }],
        })
    }
}
