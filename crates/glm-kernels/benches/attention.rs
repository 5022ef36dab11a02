//! Time of attention at the widths of the family: `cargo bench -p glm-kernels --bench attention`.

use glm_kernels::cpu::attention::{Sequence, Shape, backward, forward};
use std::time::Instant;

/// Milliseconds of the best of some runs.
fn best(mut work: impl FnMut()) -> f64 {
    (0..12)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| (i as f32 * 0.37).sin()).collect() };
    println!("{:<40}{:>14}{:>10}{:>14}{:>10}", "case", "forward, ms", "GFLOP/s", "backward, ms", "GFLOP/s");
    for (model, groups) in [("ChatGLM2", 2), ("ChatGLM-6B", 32)] {
        let shape = Shape { heads: 32, groups, head_dim: 128 };
        for (len, prefix_rows, cached) in [(120, 128, 0), (1024, 128, 0), (1, 128, 1000)] {
            let qkv = wave(len * shape.fused());
            let prefix = wave(prefix_rows * shape.key_value());
            let cache = wave(cached * shape.key_value());
            let sequences = [Sequence { start: 0, len, context: 0, prefix: 0..prefix_rows, cache: &cache }];
            let mut out = vec![0.0; len * shape.out()];
            let took = best(|| forward(shape, &qkv, &prefix, &sequences, &mut out));
            // Two products forward, five backward, over every key.
            let product = 2.0 * (shape.heads * len * (prefix_rows + cached + len) * shape.head_dim) as f64 / 1e6;
            let case = format!("{model}, {len} + {} rows", prefix_rows + cached);
            print!("{case:<40}{took:>14.3}{:>10.0}", 2.0 * product / took);
            if cached == 0 {
                let dout = wave(out.len());
                let (mut dqkv, mut dprefix) = (vec![0.0; qkv.len()], vec![0.0; prefix.len()]);
                let took = best(|| backward(shape, &qkv, &prefix, &sequences, &dout, &mut dqkv, &mut dprefix));
                print!("{took:>14.3}{:>10.0}", 5.0 * product / took);
            }
            println!();
        }
    }
}
