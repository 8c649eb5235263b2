//! Files that are damaged at random.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// So many cases, unless the environment asks for another number.
pub fn cases(few: u32) -> ProptestConfig {
    let all = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => all,
        None => ProptestConfig { cases: few, ..all },
    }
}

/// What becomes of a file's bytes.
#[derive(Debug, Clone)]
pub enum Damage {
    Truncated(Index),
    Flipped(Vec<(Index, u8)>),
    Inserted(Index, Vec<u8>),
    Replaced(Vec<u8>),
}

pub fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Truncated),
        vec((any::<Index>(), 0u8..8), 1..4).prop_map(Damage::Flipped),
        (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, b)| Damage::Inserted(at, b)),
        vec(any::<u8>(), 0..300).prop_map(Damage::Replaced),
    ]
}

impl Damage {
    pub fn done_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let n = bytes.len();
        match self {
            Self::Truncated(at) => bytes.truncate(at.index(n + 1)),
            Self::Flipped(bits) if n > 0 => {
                for (at, bit) in bits {
                    bytes[at.index(n)] ^= 1 << bit;
                }
            }
            Self::Flipped(_) => {}
            Self::Inserted(at, more) => {
                let at = at.index(n + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Replaced(other) => bytes.clone_from(other),
        }
        bytes
    }
}
