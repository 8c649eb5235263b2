//! Where tensors live.

use candle_core::Device;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The processor.
    Cpu,
}

/// What `--device` calls this device.
pub fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { .. } => "metal".to_owned(),
    }
}

impl Choice {
    /// Reads what the user typed.
    pub fn parse(typed: &str) -> Result<Self, String> {
        match typed.split(':').next().unwrap_or_default() {
            "cpu" | "auto" if !typed.contains(':') => Ok(Self::Cpu),
            "cuda" | "metal" => Err(format!(
                "this build has no device `{typed}`; expected `cpu` or `auto`"
            )),
            _ => Err("expected `cpu` or `auto`".to_owned()),
        }
    }

    /// The device.
    pub fn open(self) -> Device {
        match self {
            Self::Cpu => Device::Cpu,
        }
    }
}
