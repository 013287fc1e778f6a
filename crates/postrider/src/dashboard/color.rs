//! A brand's colour, and the shades of it that can be read on light and dark.

use std::fmt;

/// WCAG 2.2, success criterion 1.4.3, level AA.
const CONTRAST_MIN: f64 = 4.5;
/// The surfaces that text of the brand's colour stands on (`assets/app.css`): the darkest light
/// one, and the lightest dark one.
const LIGHT_SURFACE: Color = Color([0xee, 0xf0, 0xf4]);
const DARK_SURFACE: Color = Color([0x22, 0x26, 0x31]);
const WHITE: Color = Color([0xff; 3]);
const BLACK: Color = Color([0; 3]);
/// Parts that a colour is mixed in; finer steps can't be told apart.
const STEPS: u16 = 64;

/// Red, green and blue of sRGB, 0 to 255 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color([u8; 3]);

impl Color {
    /// Postrider's own.
    pub const DEFAULT: Self = Self([0x4f, 0x46, 0xe5]);

    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The nearest shade that can be read on every light surface.
    pub(super) fn on_light(self) -> Self {
        self.towards(BLACK, LIGHT_SURFACE)
    }

    /// The nearest shade that can be read on every dark surface.
    pub(super) fn on_dark(self) -> Self {
        self.towards(WHITE, DARK_SURFACE)
    }

    /// White or black, whichever is read better on it.
    pub(super) fn ink(self) -> Self {
        if contrast(self, WHITE) >= contrast(self, BLACK) { WHITE } else { BLACK }
    }

    fn towards(self, end: Self, surface: Self) -> Self {
        let shades = (0..=STEPS).map(|step| self.mixed(end, step));
        shades.into_iter().find(|shade| contrast(*shade, surface) >= CONTRAST_MIN).unwrap_or(end)
    }

    fn mixed(self, other: Self, step: u16) -> Self {
        let mut mixed = [0; 3];
        for (to, (a, b)) in mixed.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let sum = u16::from(a) * (STEPS - step) + u16::from(b) * step;
            *to = u8::try_from(sum / STEPS).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// WCAG 2.2, "contrast ratio": 1 to 21.
fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (a.luminance(), b.luminance());
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_six_digits() {
        assert_eq!(Color::parse("#4f46E5"), Some(Color::DEFAULT));
        for bad in ["4f46e5", "#4f46e", "#4f46e5ff", "#+f46e5", "red", "", "#é46e5"] {
            assert_eq!(Color::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn any_brand_can_be_read_on_light_and_dark() {
        for text in ["#4f46e5", "#ffffff", "#000000", "#ffd400", "#7f7f7f", "#00ff00", "#0000ff"] {
            let brand = Color::parse(text).unwrap();
            assert!(contrast(brand.on_light(), LIGHT_SURFACE) >= CONTRAST_MIN, "{text}");
            assert!(contrast(brand.on_dark(), DARK_SURFACE) >= CONTRAST_MIN, "{text}");
            for shade in [brand.on_light(), brand.on_dark()] {
                assert!(contrast(shade, shade.ink()) >= CONTRAST_MIN, "{text}");
            }
        }
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((contrast(WHITE, BLACK) - 21.0).abs() < 0.001);
        assert!((contrast(WHITE, Color([0x77; 3])) - 4.478).abs() < 0.01);
    }
}
