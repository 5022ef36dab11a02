//! The places where members of the family differ inside the network; each has one code path.

/// Norm in front of attention and MLP, and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Root mean square with a weight (Zhang & Sennrich 2019).
    Rms,
    /// Mean and variance with weight and bias (Ba et al. 2016).
    Layer,
}

/// What stands between the two linear layers of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `silu(first half) * second half`: the first linear layer is twice as wide (Shazeer 2020).
    SwiGlu,
    /// GELU in its tanh form (Hendrycks & Gimpel 2016).
    GeluTanh,
}

/// What the output of attention and MLP is added to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Residual {
    /// The input of the norm.
    Input,
    /// The output of the norm times a factor (ChatGLM-6B).
    Normed {
        /// The factor.
        alpha: f32,
    },
}

/// How the output of the fused projection is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkvLayout {
    /// All queries, then the key groups, then the value groups.
    Parts,
    /// Query, key and value of the first head, then of the second, …
    Heads,
}

/// Rotary positions (Su et al. 2021).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rotary {
    /// The first half of each head, in neighbouring pairs, by the position.
    HalfOfHead {
        /// Base of the frequencies.
        base: f32,
    },
    /// The first half of each head by the position, the second by the block position, each half in pairs of its own halves;
    /// frequencies of base 10000, rounded to half precision.
    TwoPositions,
}

/// What the network of a variant is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Knobs {
    /// Norms.
    pub norm: NormKind,
    /// MLP.
    pub activation: Activation,
    /// Sums.
    pub residual: Residual,
    /// Fused projection.
    pub qkv: QkvLayout,
    /// Positions.
    pub rotary: Rotary,
    /// Whether the output layer is the embedding.
    pub tied_embeddings: bool,
}

impl Activation {
    /// Width of the first linear layer of an MLP whose inner width is `inner`.
    pub fn width_before(self, inner: usize) -> usize {
        match self {
            Self::SwiGlu => 2 * inner,
            Self::GeluTanh => inner,
        }
    }
}

impl NormKind {
    /// Parts of a norm as they are named in files.
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Rms => &["weight"],
            Self::Layer => &["weight", "bias"],
        }
    }
}
