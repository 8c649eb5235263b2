//! A short name for settings.

use sha2::{Digest, Sha256};

/// The first 12 hexadecimal digits of the SHA-256 of settings as TOML, every default filled in: of
/// an experiment ([`super::config::Config::to_toml`]) or of one run (its `config.toml`). Equal
/// settings, equal hash.
pub fn config_hash(toml: &str) -> String {
    let digest = Sha256::digest(toml.as_bytes());
    digest[..6].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(config_hash("abc"), "ba7816bf8f01");
    }
}
