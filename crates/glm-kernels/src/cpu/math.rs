//! Functions without branches or calls, so that loops over them turn into vector code where [`super::isa::widest`] compiles
//! them. They give the same bits on every instruction set; where there is no fused multiply-add, [`f32::mul_add`] is a
//! call and slow.

/// 1.5 · 2²³: added to a number of small magnitude, it leaves the nearest integer in the lowest bits.
const SHIFT: f32 = 12_582_912.0;
/// `ln 2` as the sum of an `f32` and a rest.
const LN_2: f32 = std::f32::consts::LN_2;
const LN_2_REST: f32 = -1.904_654_2e-9;
/// Greatest argument whose exponential is finite, and least one whose exponential is a normal number.
const GREATEST: f32 = 88.722_83;
const LEAST: f32 = -87.336_54;
/// `(exp(r) - 1 - r) / r²` for `|r| ≤ ln 2 / 2`: minimax of `exp`'s relative error, 2⁻²⁸.
const COEFFICIENTS: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_745, 0.001_381_454];

/// `e^x` within one unit in the last place. Results below the smallest normal number, 2⁻¹²⁶, are 0.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // x = n ln 2 + r, so e^x = 2^n e^r.
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN_2_REST, n.mul_add(-LN_2, x));
    let [c0, c1, c2, c3, c4] = COEFFICIENTS;
    let q = c4.mul_add(r, c3).mul_add(r, c2).mul_add(r, c1).mul_add(r, c0);
    let e = 1.0 + (r * r).mul_add(q, r);
    // The lowest bits of `shifted` are n; added to the exponent they multiply by 2^n.
    let y = f32::from_bits(e.to_bits().wrapping_add(shifted.to_bits() << 23));
    let y = if x > GREATEST { f32::INFINITY } else { y };
    let y = if x < LEAST { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `1 / (1 + e^-x)` and `1 / (1 + e^x)`, the rest up to 1, which a subtraction would round to a multiple of 2⁻²⁴.
#[inline(always)]
pub(crate) fn sigmoid_and_rest(x: f32) -> (f32, f32) {
    let e = exp(-x);
    let s = 1.0 / (1.0 + e);
    (s, if e == f32::INFINITY { 1.0 } else { e * s })
}

#[cfg(test)]
mod tests {
    use super::exp;
    use crate::cpu::isa::{Isa, sets, vectors};

    /// Distance from the true value, in units of the last place of its `f32`.
    fn error(x: f32) -> f64 {
        let (found, exact) = (f64::from(exp(x)), f64::from(x).exp());
        let unit = 2.0f64.powi(exact.log2().floor() as i32 - 23);
        (found - exact).abs() / unit
    }

    #[test]
    fn exp_is_within_one_unit_in_the_last_place() {
        let (mut worst, mut at) = (0.0, 0.0);
        for bits in (0..=u32::MAX).step_by(1009) {
            let x = f32::from_bits(bits);
            if x.is_nan() {
                assert!(exp(x).is_nan(), "{bits:x}");
            } else if x > super::GREATEST {
                assert_eq!(exp(x), f32::INFINITY, "{x}");
            } else if x < super::LEAST {
                assert_eq!(exp(x).to_bits(), 0, "{x}");
            } else if error(x) > worst {
                (worst, at) = (error(x), x);
            }
        }
        // Around every boundary between two powers of two, where the range reduction changes.
        for n in -126..=127 {
            let x = ((f64::from(n) + 0.5) * std::f64::consts::LN_2) as f32;
            for bits in x.to_bits() - 20..x.to_bits() + 20 {
                let x = f32::from_bits(bits);
                if error(x) > worst {
                    (worst, at) = (error(x), x);
                }
            }
        }
        assert!(worst <= 1.0, "{worst} units at {at}");
    }

    #[test]
    fn exp_of_special_values() {
        for (x, y) in [
            (0.0, 1.0),
            (-0.0, 1.0),
            (f32::INFINITY, f32::INFINITY),
            (f32::NEG_INFINITY, 0.0),
            (f32::MAX, f32::INFINITY),
            (f32::MIN, 0.0),
            (f32::MIN_POSITIVE, 1.0),
            (f32::from_bits(1), 1.0),
            (88.722_84, f32::INFINITY),
            (-87.336_55, 0.0),
        ] {
            assert_eq!(exp(x), y, "{x}");
        }
        assert!(exp(super::GREATEST).is_finite() && exp(super::LEAST).is_normal());
        // NaNs with other payloads and signs than the usual one.
        assert!([0x7f80_0001, 0xff80_0001, 0x7fc0_01ff, u32::MAX].into_iter().all(|b| exp(f32::from_bits(b)).is_nan()));
    }

    #[test]
    fn sigmoid_and_its_rest_are_exact_to_their_own_size() {
        for i in -10_000..=10_000 {
            let x = i as f32 * 0.02;
            let (s, rest) = super::sigmoid_and_rest(x);
            assert_eq!(s, super::sigmoid(x));
            for (found, sign) in [(s, -1.0), (rest, 1.0)] {
                let exact = 1.0 / (1.0 + (sign * f64::from(x)).exp());
                // The absolute part is for what is flushed to 0.
                assert!((f64::from(found) - exact).abs() <= 3e-7 * exact + 2e-38, "{x}: {found} {exact}");
            }
        }
        let (s, rest) = super::sigmoid_and_rest(f32::NAN);
        assert!(s.is_nan() && rest.is_nan());
        assert_eq!(super::sigmoid_and_rest(f32::NEG_INFINITY), (0.0, 1.0));
        assert_eq!(super::sigmoid_and_rest(f32::INFINITY), (1.0, 0.0));
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x: Vec<f32> = (0..20_011).map(|i| (i as f32 - 10_000.0) * 0.01).collect();
        let run = |isa: Isa| {
            let mut y = x.clone();
            vectors(isa).dispatch(
                #[inline(always)]
                || y.iter_mut().for_each(|v| *v = super::sigmoid(exp(*v) - 1.0) + exp(*v)),
            );
            y.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        let scalar = run(Isa::Scalar);
        for isa in sets() {
            assert!(scalar == run(*isa), "{isa:?}");
        }
    }
}
