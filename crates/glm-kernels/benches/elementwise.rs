//! Time of the elementwise kernels beside plain loops with the C library's functions, at the widths of ChatGLM2:
//! `cargo bench -p glm-kernels --bench elementwise`.

use glm_kernels::cpu::rope::{Heads, Pairing};
use glm_kernels::cpu::{cross_entropy, gelu, layer_norm, rms_norm, rope, swiglu};
use rayon::prelude::*;
use std::time::Instant;

/// Seconds of the best of some runs of each, in turns, so that a busy machine slows both.
fn best(mut a: impl FnMut(), mut b: impl FnMut()) -> (f64, f64) {
    let time = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    (0..15).fold((f64::INFINITY, f64::INFINITY), |(x, y), _| (x.min(time(&mut a)), y.min(time(&mut b))))
}

/// A line of the table; `streams` values are read or written for each of `elements`.
fn line(name: &str, elements: usize, streams: f64, (plain, ours): (f64, f64)) {
    let nanoseconds = |t: f64| t * 1e9 / elements as f64;
    let rate = streams * 4.0 * elements as f64 / ours / 1e9;
    println!("{name:<28}{:>12.3}{:>12.3}{rate:>10.1}{:>9.1}", nanoseconds(plain), nanoseconds(ours), plain / ours);
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.37).sin() * 4.0).collect()
}

/// The twins: a row at a time on all threads, `x` by rows of `width`.
fn rows(y: &mut [f32], y_width: usize, x: &[f32], width: usize, row: impl Fn(&mut [f32], &[f32]) + Sync) {
    y.par_chunks_mut(y_width).zip(x.par_chunks(width)).for_each(|(y, x)| row(y, x));
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn log_sum_exp(row: &[f32]) -> f32 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + row.iter().map(|v| (v - max).exp()).sum::<f32>().ln()
}

fn inverse_rms(row: &[f32]) -> f32 {
    1.0 / (row.iter().map(|v| v * v).sum::<f32>() / row.len() as f32 + 1e-5).sqrt()
}

fn moments(row: &[f32]) -> (f32, f32) {
    let width = row.len() as f64;
    let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / width;
    let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width;
    (mean as f32, (1.0 / (variance + 1e-5).sqrt()) as f32)
}

fn activations(tokens: usize) {
    let half = 13_696;
    let n = tokens * half;
    let (x, dy, mut y, mut dx) = (wave(2 * n), wave(n), vec![0.0; n], vec![0.0; 2 * n]);
    let mut plain = vec![0.0; 2 * n];
    let took = best(
        || {
            rows(&mut plain[..n], half, &x, 2 * half, |y, x| {
                let (a, b) = x.split_at(half);
                y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a * sigmoid(*a) * b);
            });
        },
        || swiglu::forward(&x, half, &mut y),
    );
    line("swiglu, forward", n, 3.0, took);
    let took = best(
        || {
            plain.par_chunks_mut(2 * half).zip(x.par_chunks(2 * half)).zip(dy.par_chunks(half)).for_each(
                |((dx, x), dy)| {
                    let ((a, b), (da, db)) = (x.split_at(half), dx.split_at_mut(half));
                    for i in 0..half {
                        let s = sigmoid(a[i]);
                        db[i] = dy[i] * a[i] * s;
                        da[i] = dy[i] * b[i] * s * (1.0 + a[i] * (1.0 - s));
                    }
                },
            );
        },
        || swiglu::input_gradient(&x, half, &dy, &mut dx),
    );
    line("swiglu, gradient", n, 5.0, took);
    let inner = |x: f32| (0.797_884_6 * x * (1.0 + 0.044_715 * x * x)).tanh();
    let took = best(
        || {
            rows(&mut plain[..n], 4096, &x[..n], 4096, |y, x| {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = 0.5 * x * (1.0 + inner(*x)));
            });
        },
        || gelu::forward(&x[..n], &mut y),
    );
    line("gelu, forward", n, 2.0, took);
    let took = best(
        || {
            plain[..n].par_chunks_mut(4096).zip(x.par_chunks(4096)).zip(dy.par_chunks(4096)).for_each(
                |((d, x), dy)| {
                    for ((d, x), g) in d.iter_mut().zip(x).zip(dy) {
                        let t = inner(*x);
                        let slope = 0.797_884_6 * (1.0 + 3.0 * 0.044_715 * x * x);
                        *d = g * 0.5 * (1.0 + t + x * (1.0 - t * t) * slope);
                    }
                },
            );
        },
        || gelu::input_gradient(&x[..n], &dy, &mut dx[..n]),
    );
    line("gelu, gradient", n, 3.0, took);
}

fn losses(tokens: usize) {
    let vocabulary = 65_024;
    let n = tokens * vocabulary;
    let (logits, labels, factors) = (wave(n), vec![7; tokens], vec![1.0; tokens]);
    let (mut losses, mut plain_losses) = (vec![0.0; tokens], vec![0.0; tokens]);
    let (mut d, mut plain) = (vec![0.0; n], vec![0.0; n]);
    let took = best(
        || rows(&mut plain_losses, 1, &logits, vocabulary, |loss, row| loss[0] = log_sum_exp(row) - row[7]),
        || cross_entropy::forward(&logits, &labels, &mut losses),
    );
    line("cross entropy, forward", n, 1.0, took);
    let took = best(
        || {
            rows(&mut plain, vocabulary, &logits, vocabulary, |d, row| {
                let total = log_sum_exp(row);
                d.iter_mut().zip(row).for_each(|(d, v)| *d = (v - total).exp());
                d[7] -= 1.0;
            });
        },
        || cross_entropy::input_gradient(&logits, &labels, &factors, &mut d),
    );
    line("cross entropy, gradient", n, 2.0, took);
}

fn norms(tokens: usize) {
    let width = 4096;
    let n = tokens * width;
    let (x, dy, w, b) = (wave(n), wave(n), wave(width), wave(width));
    let (mut y, mut plain) = (vec![0.0; n], vec![0.0; n]);
    let took = best(
        || {
            rows(&mut plain, width, &x, width, |y, x| {
                let r = inverse_rms(x);
                y.iter_mut().zip(x).zip(&w).for_each(|((y, x), w)| *y = w * (x * r));
            });
        },
        || rms_norm::forward(&x, &w, 1e-5, &mut y),
    );
    line("rms norm, forward", n, 2.0, took);
    let took = best(
        || {
            plain.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
                let r = inverse_rms(x);
                let dot: f32 = x.iter().zip(dy).zip(&w).map(|((x, g), w)| x * g * w).sum();
                let c = r * r * dot / width as f32;
                dx.iter_mut().zip(x).zip(dy).zip(&w).for_each(|(((d, x), g), w)| *d = r * (w * g - x * c));
            });
        },
        || rms_norm::input_gradient(&x, &w, 1e-5, &dy, &mut y),
    );
    line("rms norm, gradient", n, 3.0, took);
    let took = best(
        || {
            rows(&mut plain, width, &x, width, |y, x| {
                let (mean, r) = moments(x);
                let parameters = w.iter().zip(&b);
                y.iter_mut().zip(x).zip(parameters).for_each(|((y, x), (w, b))| *y = w * ((x - mean) * r) + b);
            });
        },
        || layer_norm::forward(&x, &w, &b, 1e-5, &mut y),
    );
    line("layer norm, forward", n, 2.0, took);
    let took = best(
        || {
            plain.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
                let (mean, r) = moments(x);
                let (mut sum, mut dot) = (0.0f64, 0.0f64);
                for ((x, g), w) in x.iter().zip(dy).zip(&w) {
                    let g = f64::from(g * w);
                    sum += g;
                    dot += g * f64::from((x - mean) * r);
                }
                let (sum, dot) = ((sum / width as f64) as f32, (dot / width as f64) as f32);
                let rows = dx.iter_mut().zip(x).zip(dy).zip(&w);
                rows.for_each(|(((d, x), g), w)| *d = r * (w * g - sum - (x - mean) * r * dot));
            });
        },
        || layer_norm::input_gradient(&x, &w, 1e-5, &dy, &mut y),
    );
    line("layer norm, gradient", n, 3.0, took);
}

fn positions(tokens: usize) {
    for (name, pairing, rotary, stride, rotated) in [
        ("rope, neighbours", Pairing::Neighbours, 64, 4608, 34),
        ("rope, sections", Pairing::Sections, 128, 12_288, 64),
    ] {
        let heads = Heads { stride, rotated, head_dim: 128, rotary, pairing };
        let half = rotary / 2;
        let (cos, sin): (Vec<f32>, Vec<f32>) =
            (0..tokens * half).map(|i| ((i as f32 * 0.1).cos(), (i as f32 * 0.1).sin())).unzip();
        let (mut x, mut plain) = (wave(tokens * stride), wave(tokens * stride));
        // Value i goes with value i + gap inside a section of `span` values.
        let (span, gap) = if pairing == Pairing::Neighbours { (2, 1) } else { (half, half / 2) };
        let took = best(
            || {
                let tables = cos.par_chunks(half).zip(sin.par_chunks(half));
                plain.par_chunks_mut(stride).zip(tables).for_each(|(row, (cos, sin))| {
                    for head in row[..rotated * 128].chunks_exact_mut(128) {
                        let tables = cos.chunks_exact(gap).zip(sin.chunks_exact(gap));
                        for (section, (cos, sin)) in head[..rotary].chunks_exact_mut(span).zip(tables) {
                            let (low, high) = section.split_at_mut(gap);
                            for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                                (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                            }
                        }
                    }
                });
            },
            || rope::rotate(&mut x, heads, &cos, &sin, false),
        );
        line(name, tokens * rotated * rotary, 2.0, took);
    }
}

fn main() {
    println!("{:<28}{:>12}{:>12}{:>10}{:>9}", "kernel", "plain, ns", "ours, ns", "GB/s", "times");
    let tokens = 120;
    activations(tokens);
    losses(tokens / 4);
    norms(tokens);
    positions(tokens);
}
