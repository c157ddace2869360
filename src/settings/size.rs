//! Sizes of memory on the command line.

use serde::{Deserialize, Serialize};

/// A number of bytes, written with or without a unit: `1GiB`, `800 MB`, `1073741824`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySize(pub u64);

impl std::str::FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let unit: f64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => 1024.0,
            "m" | "mib" => 1024.0 * 1024.0,
            "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
            "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            other => {
                return Err(format!(
                    "the unit \"{other}\" is none of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"
                ));
            }
        };
        let number: f64 = text[..digits]
            .parse()
            .map_err(|_| "expected a size such as 800MiB or 2GiB".to_string())?;
        let bytes = number * unit;
        if !(bytes >= 1.0 && bytes < u64::MAX as f64) {
            return Err("expected a size such as 800MiB or 2GiB".to_string());
        }
        Ok(Self(bytes as u64))
    }
}

impl std::fmt::Display for MemorySize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut value = self.0 as f64;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024.0 {
                return write!(f, "{} {unit}", (value * 10.0).round() / 10.0);
            }
            value /= 1024.0;
        }
        write!(f, "{} TiB", (value * 10.0).round() / 10.0)
    }
}
