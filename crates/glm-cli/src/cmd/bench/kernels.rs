//! Products with the four matrices of a block, in every form that they are kept in.

use std::time::Instant;

use glm_kernels::cpu::frozen;
use glm_model::glm::layout;
use glm_model::weights::{ElementType, TensorBytes};
use glm_model::{Compute, DenseType, GlmConfig, Scheme};
use glm_train::memory;
use serde::Serialize;

use super::Rate;
use crate::cmd::base;
use crate::cmd::peaks::Peaks;
use crate::config::BenchSettings;

/// Most runs; the shortest counts.
const RUNS: usize = 8;
/// Seconds after which there is no further run.
const BUDGET: f64 = 0.3;

/// All products.
#[derive(Debug, Serialize)]
pub(super) struct Kernels {
    /// Whose sizes the matrices have.
    pub sizes_of: String,
    /// Rows of the left matrix.
    pub tokens: usize,
    /// A line for each form.
    pub forms: Vec<Form>,
}

/// The four matrices of a block in one form.
#[derive(Debug, Serialize)]
pub(super) struct Form {
    /// The form.
    pub form: String,
    /// All four, one after the other.
    pub block: Products,
    /// Each of them.
    pub matrices: Vec<OfMatrix>,
}

/// One matrix.
#[derive(Debug, Serialize)]
pub(super) struct OfMatrix {
    /// Name of the layer.
    pub layer: &'static str,
    /// `[out, in]`.
    pub sizes: [usize; 2],
    /// Its speed.
    #[serde(flatten)]
    pub products: Products,
}

/// Speeds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Products {
    /// `y = x Wᵀ`, operations.
    pub forward: Rate,
    /// `dx = dy W`, operations.
    pub input_gradient: Rate,
    /// `y = x Wᵀ` for one token, bytes of the matrix.
    pub one_token: Rate,
}

/// Seconds, and what was done in them.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    forward: f64,
    input_gradient: f64,
    one_token: f64,
    operations: f64,
    bytes: f64,
}

impl Times {
    fn add(&mut self, other: Self) {
        self.forward += other.forward;
        self.input_gradient += other.input_gradient;
        self.one_token += other.one_token;
        self.operations += other.operations;
        self.bytes += other.bytes;
    }

    fn products(self, compute: Compute, peaks: &Peaks) -> Products {
        let peak = peaks.of(compute);
        Products {
            forward: Rate::of(self.operations, self.forward, peak),
            input_gradient: Rate::of(self.operations, self.input_gradient, peak),
            one_token: Rate::of(self.bytes, self.one_token, peaks.read_bytes_per_second),
        }
    }
}

/// Measures the forms at the sizes of a base; of matrices that do not fit into memory, as many rows as do.
pub(super) fn measure(config: &GlmConfig, settings: &BenchSettings, peaks: &Peaks) -> anyhow::Result<Kernels> {
    let compute = settings.base.compute.into();
    let tokens = (settings.prompt + settings.answer) * settings.rows;
    let dense = |dtype| Scheme::Dense { dtype: Some(dtype) };
    let all =
        [Scheme::Int4, Scheme::Int4Group { group: 32 }, Scheme::Int8, dense(DenseType::Bf16), dense(DenseType::F16)];
    let asked = [base::scheme(&settings.base)];
    let schemes = if settings.one_form { &asked[..] } else { &all };
    // The matrix, the form made of it, and what passes between.
    let most = memory::available().map_or(usize::MAX, |free| usize::try_from(free / 16).unwrap_or(usize::MAX));
    let linears =
        layout::linears(config).map(|(layer, [out, inner], _)| (layer, [out.min(most / inner).max(1), inner]));
    let largest = linears.iter().map(|(_, [out, inner])| 2 * out * inner).max().unwrap_or(0);
    let halves = halves(largest);
    let mut forms = Vec::new();
    for scheme in schemes {
        let mut sum = Times::default();
        let mut matrices = Vec::new();
        for (layer, [out, inner]) in linears {
            let data = &halves[..2 * out * inner];
            let Ok(times) = time(*scheme, [out, inner], data, tokens, compute) else { continue };
            sum.add(times);
            matrices.push(OfMatrix { layer, sizes: [out, inner], products: times.products(compute, peaks) });
        }
        // Groups of 32 columns need their multiple.
        if matrices.len() == linears.len() {
            forms.push(Form { form: scheme.to_string(), block: sum.products(compute, peaks), matrices });
        }
    }
    let sizes_of = if settings.demo { "ChatGLM2-6B".into() } else { settings.base.path.display().to_string() };
    Ok(Kernels { sizes_of, tokens, forms })
}

/// Times the products with a matrix that is made of half-precision `data`; a sentence when the form does not allow the sizes.
fn time(
    scheme: Scheme,
    [out, inner]: [usize; 2],
    data: &[u8],
    tokens: usize,
    compute: Compute,
) -> Result<Times, String> {
    let tensor = TensorBytes { dtype: ElementType::F16, shape: vec![out, inner], data };
    let weight = scheme.freeze(&tensor, None)?;
    let matrix = weight.matrix();
    let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| (i as f32 * 0.37).sin()).collect() };
    let (x, dy) = (wave(tokens * inner), wave(tokens * out));
    let (mut y, mut dx) = (vec![0.0; tokens * out], vec![0.0; tokens * inner]);
    Ok(Times {
        forward: shortest(|| frozen::matmul(&matrix, compute, &x, None, &mut y)),
        input_gradient: shortest(|| frozen::input_gradient(&matrix, compute, &dy, &mut dx)),
        one_token: shortest(|| frozen::matmul(&matrix, compute, &x[..inner], None, &mut y[..out])),
        operations: 2.0 * (tokens * out * inner) as f64,
        bytes: weight.bytes() as f64,
    })
}

fn shortest(mut work: impl FnMut()) -> f64 {
    let (mut shortest, first) = (f64::INFINITY, Instant::now());
    for _ in 0..RUNS {
        let began = Instant::now();
        work();
        shortest = shortest.min(began.elapsed().as_secs_f64());
        if first.elapsed().as_secs_f64() > BUDGET {
            break;
        }
    }
    shortest
}

/// So many bytes that are finite values in half precision, none of them so small that it is slow.
fn halves(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x83 | 0x2c).collect()
}
