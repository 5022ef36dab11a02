//! Speed of products with frozen matrices beside the peak of the machine's `vdpbf16ps`: `cargo bench -p glm-kernels`.

use glm_kernels::cpu::frozen::{Compute, Matrix, Values, input_gradient, matmul};
use std::time::Instant;

fn best(mut work: impl FnMut()) -> f64 {
    (0..4)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| (i as f32 * 0.37).sin()).collect() };
    println!("{:<24}{:>8}{:>6}{:>22}{:>22}", "[rows, cols]", "form", "T", "y = x Wᵀ, GFLOP/s", "dx = dy W, GFLOP/s");
    for (rows, cols) in [(4096usize, 4096usize), (27392, 4096), (4096, 13696)] {
        let bytes: Vec<u8> =
            (0..rows as u32 * cols as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x7f).collect();
        let halves: Vec<[u8; 2]> = wave(rows * cols).iter().map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let brains: Vec<[u8; 2]> = wave(rows * cols).iter().map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
        let scales = wave(rows);
        let group_scales: Vec<[u8; 2]> = halves[..rows * cols / 32].to_vec();
        let packed = &bytes[..rows * cols / 2];
        for (name, values, row_scales) in [
            ("int4", Values::Int4(packed), Some(scales.as_slice())),
            ("int4/32", Values::Int4Group { packed, scales: &group_scales, group: 32 }, None),
            ("int8", Values::Int8(&bytes), Some(scales.as_slice())),
            ("bf16", Values::Bf16(&brains), None),
            ("f16", Values::F16(&halves), None),
        ] {
            let matrix = Matrix { rows, cols, values, row_scales };
            for tokens in [64, 128] {
                let (x, dy) = (wave(tokens * cols), wave(tokens * rows));
                let (mut y, mut dx) = (vec![0.0; tokens * rows], vec![0.0; tokens * cols]);
                let forward = best(|| matmul(&matrix, Compute::Bf16, &x, None, &mut y));
                let backward = best(|| input_gradient(&matrix, Compute::Bf16, &dy, &mut dx));
                let flops = 2.0 * (tokens * rows * cols) as f64 / 1e9;
                let sizes = format!("[{rows}, {cols}]");
                println!("{sizes:<24}{name:>8}{tokens:>6}{:>22.0}{:>22.0}", flops / forward, flops / backward);
            }
        }
    }
}
