//! `--device`.

use candle_core::Device;

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceArg {
    /// The processor.
    Cpu,
}

impl DeviceArg {
    /// Reads what the user typed.
    pub(super) fn parse(typed: &str) -> Result<Self, String> {
        match typed.split(':').next().unwrap_or_default() {
            "cpu" | "auto" if !typed.contains(':') => Ok(Self::Cpu),
            "cuda" | "metal" => Err(format!(
                "this build has no device `{typed}`; expected `cpu` or `auto`"
            )),
            _ => Err("expected `cpu` or `auto`".to_owned()),
        }
    }

    /// The device.
    pub(super) fn open(self) -> Device {
        match self {
            Self::Cpu => Device::Cpu,
        }
    }
}
