//! Element types of the layouts: how wide they are, and what they hold.

use super::Element;

/// A type as a header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtype {
    /// How many elements make one unit that is never cut.
    pub(super) unit_elements: u64,
    /// How many bytes that unit has.
    pub(super) unit_bytes: u64,
    pub(super) element: Element,
}

const fn float(bytes: u8) -> Dtype {
    Dtype { unit_elements: 1, unit_bytes: bytes as u64, element: Element::Float { bytes } }
}

const fn integer(bytes: u8) -> Dtype {
    Dtype { unit_elements: 1, unit_bytes: bytes as u64, element: Element::Integer { bytes } }
}

const fn quantised(unit_elements: u64, unit_bytes: u64) -> Dtype {
    Dtype { unit_elements, unit_bytes, element: Element::Quantised }
}

impl Dtype {
    /// Bytes of a tensor with these dimensions; `None` on overflow or a count that is not whole units.
    pub(super) fn total_bytes(&self, shape: &[u64]) -> Option<u64> {
        let elements = element_count(shape)?;
        if elements % self.unit_elements != 0 {
            return None;
        }
        (elements / self.unit_elements).checked_mul(self.unit_bytes)
    }
}

/// Product of the dimensions; 1 without any. `None` on overflow, wherever a zero stands.
pub(super) fn element_count(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d))
}

/// A safetensors type by name.
pub(super) fn safetensors(name: &str) -> Option<Dtype> {
    Some(match name {
        "BOOL" | "U8" | "I8" => integer(1),
        "I16" | "U16" => integer(2),
        "I32" | "U32" => integer(4),
        "I64" | "U64" => integer(8),
        "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => float(1),
        "F16" | "BF16" => float(2),
        "F32" => float(4),
        "F64" => float(8),
        "C64" => Dtype { unit_elements: 1, unit_bytes: 8, element: Element::Float { bytes: 4 } },
        "F4" => quantised(2, 1),
        "F6_E2M3" | "F6_E3M2" => quantised(4, 3),
        _ => return None,
    })
}

/// A GGUF type by number, with the name people know it by.
pub(super) fn gguf(number: u32) -> Option<(&'static str, Dtype)> {
    Some(match number {
        0 => ("F32", float(4)),
        1 => ("F16", float(2)),
        2 => ("Q4_0", quantised(32, 18)),
        3 => ("Q4_1", quantised(32, 20)),
        6 => ("Q5_0", quantised(32, 22)),
        7 => ("Q5_1", quantised(32, 24)),
        8 => ("Q8_0", quantised(32, 34)),
        9 => ("Q8_1", quantised(32, 36)),
        10 => ("Q2_K", quantised(256, 84)),
        11 => ("Q3_K", quantised(256, 110)),
        12 => ("Q4_K", quantised(256, 144)),
        13 => ("Q5_K", quantised(256, 176)),
        14 => ("Q6_K", quantised(256, 210)),
        15 => ("Q8_K", quantised(256, 292)),
        16 => ("IQ2_XXS", quantised(256, 66)),
        17 => ("IQ2_XS", quantised(256, 74)),
        18 => ("IQ3_XXS", quantised(256, 98)),
        19 => ("IQ1_S", quantised(256, 50)),
        20 => ("IQ4_NL", quantised(32, 18)),
        21 => ("IQ3_S", quantised(256, 110)),
        22 => ("IQ2_S", quantised(256, 82)),
        23 => ("IQ4_XS", quantised(256, 136)),
        24 => ("I8", integer(1)),
        25 => ("I16", integer(2)),
        26 => ("I32", integer(4)),
        27 => ("I64", integer(8)),
        28 => ("F64", float(8)),
        29 => ("IQ1_M", quantised(256, 56)),
        30 => ("BF16", float(2)),
        34 => ("TQ1_0", quantised(256, 54)),
        35 => ("TQ2_0", quantised(256, 66)),
        39 => ("MXFP4", quantised(32, 17)),
        _ => return None,
    })
}

/// A simple npy type such as `<f4`. Objects, structured types and empty elements are not known.
pub(super) fn npy(descr: &str) -> Option<Dtype> {
    let mut chars = descr.chars();
    let first = chars.next()?;
    let (kind, digits) =
        if matches!(first, '<' | '>' | '|' | '=') { (chars.next()?, chars.as_str()) } else { (first, chars.as_str()) };
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    let width = u8::try_from(count).ok();
    let is = |allowed: &[u8]| width.filter(|w| allowed.contains(w));
    Some(match kind {
        'f' => match width? {
            w @ (2 | 4 | 8) => float(w),
            w @ (12 | 16) => Dtype { unit_elements: 1, unit_bytes: u64::from(w), element: Element::Unknown },
            _ => return None,
        },
        'c' => {
            let bytes = is(&[8, 16])?;
            Dtype { unit_elements: 1, unit_bytes: u64::from(bytes), element: Element::Float { bytes: bytes / 2 } }
        }
        'b' => integer(is(&[1])?),
        'i' | 'u' => integer(is(&[1, 2, 4, 8])?),
        'm' | 'M' => integer(is(&[8])?),
        'S' | 'V' | 'U' if count > 0 => Dtype {
            unit_elements: 1,
            unit_bytes: count.checked_mul(if kind == 'U' { 4 } else { 1 })?,
            element: Element::Unknown,
        },
        _ => return None,
    })
}
