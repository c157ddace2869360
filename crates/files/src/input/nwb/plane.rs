//! Where an imaging plane lies, and what a pixel of it is: `ImagingPlane` of an NWB file.

use super::node::Node;
use crate::input::error::InputError;
use crate::input::hdf5_values;

/// Unit of lengths that do not say theirs (NWB's schema has it so).
const UNIT: &str = "meters";

/// An imaging plane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane {
    /// Place of the first pixel, in micrometres.
    pub(super) origin: [f64; 3],
    /// Distance of pixels along x, y, z, in micrometres; 1 where it is not known.
    spacing: [f64; 3],
    /// Whether the origin is given.
    pub(super) has_origin: bool,
    /// Frames per second, Hz.
    pub(super) rate: Option<f64>,
    /// A unit of its lengths that is not known; they are taken as they stand.
    pub(super) unknown_unit: Option<String>,
}

impl Plane {
    /// A plane of which nothing is known: positions in pixels.
    pub(super) fn unknown() -> Self {
        Self {
            origin: [0.0; 3],
            spacing: [1.0; 3],
            has_origin: false,
            rate: None,
            unknown_unit: None,
        }
    }

    /// What a group `ImagingPlane` says.
    ///
    /// # Errors
    /// If a dataset in it cannot be read.
    pub(super) fn read(node: &Node) -> Result<Self, InputError> {
        let mut unknown_unit = None;
        let origin = lengths(node, "origin_coords", &mut unknown_unit)?;
        let spacing = lengths(node, "grid_spacing", &mut unknown_unit)?;
        let rate = node.numbers("imaging_rate")?;
        Ok(Self {
            has_origin: origin.is_some(),
            origin: of_axes(origin.unwrap_or_default(), 0.0),
            spacing: of_axes(spacing.unwrap_or_default(), 1.0),
            rate: rate.and_then(|rate| match rate.values[..] {
                [only] => Some(only),
                _ => None,
            }),
            unknown_unit,
        })
    }

    /// The place of a point that is given in pixels, in micrometres.
    pub(super) fn place(&self, point: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| self.origin[axis] + self.spacing[axis] * point[axis])
    }
}

/// x, y and z of two or three numbers.
fn of_axes(numbers: Vec<f64>, otherwise: f64) -> [f64; 3] {
    std::array::from_fn(|axis| numbers.get(axis).copied().unwrap_or(otherwise))
}

/// Lengths in micrometres; as they stand where their unit is not known, which is noted.
fn lengths(
    node: &Node,
    name: &str,
    unknown_unit: &mut Option<String>,
) -> Result<Option<Vec<f64>>, InputError> {
    let Some(numbers) = node.numbers(name)? else {
        return Ok(None);
    };
    let unit = node.dataset(name)?;
    let unit = unit.and_then(|dataset| hdf5_values::text_attribute(&dataset, "unit"));
    let unit = unit.as_deref().unwrap_or(UNIT);
    let factor = micrometres(unit).unwrap_or_else(|| {
        *unknown_unit = Some(unit.to_owned());
        1.0
    });
    let values = numbers.values.into_iter();
    Ok(Some(values.map(|value| factor * value).collect()))
}

/// Micrometres that a unit of length is, 1 for pixels; nothing for a unit that is not known.
fn micrometres(unit: &str) -> Option<f64> {
    let unit = unit.trim().to_lowercase();
    Some(match unit.trim_end_matches('s') {
        "m" | "meter" | "metre" => 1e6,
        "dm" | "decimeter" | "decimetre" => 1e5,
        "cm" | "centimeter" | "centimetre" => 1e4,
        "mm" | "millimeter" | "millimetre" => 1e3,
        "nm" | "nanometer" | "nanometre" => 1e-3,
        // With either Greek letter.
        "um" | "µm" | "μm" | "micron" | "micrometer" | "micrometre" => 1.0,
        "pixel" | "px" | "voxel" => 1.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_2_6_lengths_are_brought_to_micrometres() {
        for (unit, factor) in [
            ("meters", 1e6),
            ("metres", 1e6),
            ("m", 1e6),
            ("centimeters", 1e4),
            ("Millimeters", 1e3),
            ("mm", 1e3),
            ("micrometers", 1.0),
            ("micrometer", 1.0),
            ("microns", 1.0),
            ("um", 1.0),
            ("µm", 1.0),
            ("μm", 1.0),
            ("nm", 1e-3),
            ("pixels", 1.0),
        ] {
            assert_eq!(micrometres(unit), Some(factor), "{unit}");
        }
        assert_eq!(micrometres("inches"), None);
    }
}
