//! The one source of random numbers: shuffling, dropout and initialisation.
//!
//! xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), its state filled by
//! SplitMix64. Written out here because a resumed run must draw the same numbers for ever, on every platform, whatever
//! happens to a library's algorithms; logarithms come from `libm` for the same reason.

use serde::{Deserialize, Serialize};

/// A seeded generator whose state can be saved with a run and restored exactly.
///
/// Serialized as 64 hexadecimal digits, since not every format holds 64-bit integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_stream(seed, 0)
    }

    /// One of many independent generators of `seed`, for example one per epoch or per sample.
    pub fn with_stream(seed: u64, stream: u64) -> Self {
        // Mixing the seed before the stream is added keeps (seed, stream + 1) apart from (seed + 1, stream).
        let mut mix = split_mix(&mut seed.clone()) ^ stream;
        Self { state: [(); 4].map(|()| split_mix(&mut mix)) }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻²⁴.
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻⁵³.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `0..n`, without bias (Lemire, "Fast random integer generation in an interval", 2019).
    ///
    /// # Panics
    /// When `n` is 0: there is nothing to choose from.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "cannot choose from nothing");
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            // Low parts under 2^64 mod n belong to results that would come up once too often.
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Standard normal, by Marsaglia's polar method. The second number of each pair is dropped, so that the state alone
    /// says what comes next.
    pub fn normal(&mut self) -> f32 {
        loop {
            let (u, v) = (2.0 * self.next_f64() - 1.0, 2.0 * self.next_f64() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return (u * (-2.0 * libm::log(s) / s).sqrt()) as f32;
            }
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl From<Rng> for String {
    fn from(rng: Rng) -> Self {
        rng.state.iter().map(|word| format!("{word:016x}")).collect()
    }
}

impl TryFrom<String> for Rng {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("a random state is 64 hexadecimal digits, not all 0; found {text:?}");
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut state = [0; 4];
        for (i, word) in state.iter_mut().enumerate() {
            *word = u64::from_str_radix(&text[16 * i..16 * (i + 1)], 16).map_err(|_| wrong())?;
        }
        // From the all-zero state only zeros would come.
        if state == [0; 4] { Err(wrong()) } else { Ok(Self { state }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_equal_the_published_algorithms() {
        // SplitMix64 from state 1234567 and xoshiro256++ from state 1, 2, 3, 4: test vectors of their reference code.
        let mut state = 1_234_567;
        let mixed = [(); 3].map(|()| split_mix(&mut state));
        assert_eq!(mixed, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let drawn = [(); 4].map(|()| rng.next_u64());
        assert_eq!(drawn, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn state_survives_saving() {
        let mut rng = Rng::with_stream(42, 7);
        rng.normal();
        let saved = serde_json::to_string(&rng).unwrap();
        let mut restored: Rng = serde_json::from_str(&saved).unwrap();
        assert_eq!([(); 9].map(|()| rng.next_u64()), [(); 9].map(|()| restored.next_u64()));
        for bad in ["\"\"", "\"00\"", &format!("\"{}\"", "0".repeat(64)), &format!("\"{}\"", "你".repeat(22)), "5"] {
            assert!(serde_json::from_str::<Rng>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_the_moments_of_their_distributions() {
        let mut rng = Rng::new(3);
        let n = 200_000;
        let (mut mean, mut square, mut uniform) = (0.0f64, 0.0f64, 0.0f64);
        let mut counts = [0u32; 7];
        for _ in 0..n {
            let x = f64::from(rng.normal());
            mean += x / f64::from(n);
            square += x * x / f64::from(n);
            let u = rng.next_f32();
            assert!((0.0..1.0).contains(&u));
            uniform += f64::from(u) / f64::from(n);
            counts[rng.below(7) as usize] += 1;
        }
        // Five standard errors each.
        assert!(mean.abs() < 0.012, "{mean}");
        assert!((square - 1.0).abs() < 0.016, "{square}");
        assert!((uniform - 0.5).abs() < 0.0033, "{uniform}");
        let expected = f64::from(n) / 7.0;
        assert!(counts.iter().all(|&c| (f64::from(c) - expected).abs() < 5.0 * expected.sqrt()), "{counts:?}");
    }

    #[test]
    fn streams_and_seeds_differ() {
        let first = |seed, stream| Rng::with_stream(seed, stream).next_u64();
        let all = [first(0, 0), first(0, 1), first(1, 0), first(1, 1), first(0, 2), first(2, 0)];
        let distinct: std::collections::HashSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
