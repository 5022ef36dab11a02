//! Speed of products with frozen matrices:
//! `cargo bench -p glm-kernels --bench frozen [-- decode|train [int4|int4/32|int8|bf16|f16 …]]`.
//!
//! A few rows of activations, as in decoding: bytes of the matrix read in a second, beside what the machine can read.
//! Many rows, as in training: operations in a second.

use glm_kernels::cpu::frozen::{Compute, Interleaved, Matrix, Packed, Values, input_gradient, matmul};
use glm_kernels::cpu::machine::{bf16_peak, int8_peak};
use memmap2::MmapMut;
use rayon::prelude::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rows of activations in decoding.
const TOKENS: [usize; 4] = [1, 2, 4, 8];

fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn main() {
    if wanted("decode", &["decode", "train"]) {
        decode();
    }
    if wanted("train", &["decode", "train"]) {
        train();
    }
}

/// Whether `name` was asked for, or none of its kind.
fn wanted(name: &str, kind: &[&str]) -> bool {
    let mut names = std::env::args().skip(1).filter(|arg| kind.contains(&arg.as_str())).peekable();
    names.peek().is_none() || names.any(|arg| arg == name)
}

/// Of which the best is shown.
const REPEATS: usize = 12;

const FORMS: [&str; 6] = ["int4", "int4/32", "int8", "bf16", "f16", "f32"];

/// Reads `words` with all threads.
fn read(words: &[u64]) {
    let sum = |words: &[u64]| words.iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    black_box(words.par_chunks(1 << 14).map(sum).reduce(|| 0, u64::wrapping_add));
}

/// `len` bytes on large pages where the system has them, as bases keep their quantized weights.
fn on_large_pages(len: usize, bytes: impl Iterator<Item = u8>) -> MmapMut {
    let mut pages = MmapMut::map_anon(len).expect("there is memory");
    #[cfg(target_os = "linux")]
    let _ = pages.advise(memmap2::Advice::HugePage);
    pages.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    pages
}

/// Rows of INT4 without groups are interleaved, as bases keep them.
fn interleaved(rows: usize, row_bytes: usize) -> Interleaved {
    Interleaved::of(rows, row_bytes).expect("rows are whole lines")
}

/// Products are timed in turn with reading a buffer much larger than the caches: whatever else the machine does slows both.
fn decode() {
    // Matrices lie in it one behind the other and are used in turn. Bytes are of floats near 1.
    let word =
        |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0x0707_0707_0707_0707 | 0x3838_3838_3838_3838;
    let words: Vec<u64> = (0..(1usize << 29) / 8).map(word).collect();
    let pool = on_large_pages(size_of_val(words.as_slice()), words.iter().flat_map(|word| word.to_le_bytes()));
    let words = &words[..(256 << 20) / 8];
    println!("GB/s of weights read, and their share of what the machine reads");
    let heads = TOKENS.map(|t| format!("{:>14}", format!("T = {t}"))).concat();
    println!("{:<16}{:>8}{:>10}{heads}", "[rows, cols]", "form", "reading");
    for (rows, cols) in [(4096usize, 4096usize), (27392, 4096), (4096, 13696)] {
        let scales = vec![0.5; rows];
        for (name, bits, group) in
            [("int4", 4, 0), ("int4/32", 4, 32), ("int8", 8, 0), ("bf16", 16, 0), ("f16", 16, 0), ("f32", 32, 0)]
        {
            if !wanted(name, &FORMS) {
                continue;
            }
            let factors = (rows * cols * 2).checked_div(group).unwrap_or(0);
            let sizes = interleaved(rows, cols / 2);
            let len = if name == "int4" { sizes.len() } else { rows * cols * bits / 8 };
            let mut places = (0..pool.len() / (len + factors)).cycle().map(|i| i * (len + factors));
            let mut product = |tokens: usize, x: &[f32], y: &mut [f32]| {
                let (bytes, rest) = pool[places.next().expect("a matrix fits")..].split_at(len);
                let (values, row_scales) = match name {
                    "int4" => (Values::Int4(Packed::interleaved(bytes, sizes)), Some(scales.as_slice())),
                    "int4/32" => {
                        let scales = rest[..factors].as_chunks().0;
                        (Values::Int4Group { packed: bytes, scales, group }, None)
                    }
                    "int8" => (Values::Int8(bytes), Some(scales.as_slice())),
                    "bf16" => (Values::Bf16(bytes.as_chunks().0), None),
                    "f16" => (Values::F16(bytes.as_chunks().0), None),
                    _ => (Values::F32(bytes.as_chunks().0), None),
                };
                let matrix = Matrix { rows, cols, values, row_scales };
                matmul(&matrix, Compute::Bf16, &x[..tokens * cols], None, &mut y[..tokens * rows]);
            };
            let most = *TOKENS.last().expect("there are some");
            let (x, mut y) = (vec![0.75; most * cols], vec![0.0; most * rows]);
            let (mut reading, mut products) = (f64::INFINITY, [f64::INFINITY; TOKENS.len()]);
            for _ in 0..20 {
                reading = reading.min(seconds(|| read(words)));
                for (best, tokens) in products.iter_mut().zip(TOKENS) {
                    *best = best.min(seconds(|| product(tokens, &x, &mut y)));
                }
            }
            let machine = size_of_val(words) as f64 / 1e9 / reading;
            let weights = rows * cols * bits / 8 + factors;
            let rates = products.map(|seconds| weights as f64 / 1e9 / seconds);
            let rates = rates.map(|rate| format!("{rate:>8.1}{:>5.0}%", 100.0 * rate / machine)).concat();
            println!("{:<16}{name:>8}{machine:>10.1}{rates}", format!("[{rows}, {cols}]"));
        }
    }
}

/// Products in each kind of number are timed in turn: whatever else the machine does slows all.
fn train() {
    let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| (i as f32 * 0.37).sin()).collect() };
    let peak = |peak: Option<f64>| peak.map_or("-".into(), |peak| format!("{:.0}", peak / 1e9));
    let time = Duration::from_millis(200);
    println!("peak: bf16 {} GFLOP/s, int8 {} GOP/s", peak(bf16_peak(time)), peak(int8_peak(time)));
    println!("{:<38}{:>28}{:>28}", "", "y = x Wᵀ, G/s", "dx = dy W, G/s");
    let heads = format!("{:>10}{:>10}{:>8}", "bf16", "int8", "ratio").repeat(2);
    println!("{:<24}{:>8}{:>6}{heads}", "[rows, cols]", "form", "T");
    for (rows, cols) in [(4608usize, 4096usize), (27392, 4096), (4096, 13696)] {
        let bytes = (0..u32::MAX).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x7f);
        let fours = interleaved(rows, cols / 2);
        let bytes = on_large_pages(rows * cols, bytes);
        let wave_of =
            |bytes: fn(f32) -> [u8; 2]| on_large_pages(2 * rows * cols, wave(rows * cols).into_iter().flat_map(bytes));
        let halves = wave_of(|v| half::f16::from_f32(v).to_le_bytes());
        let brains = wave_of(|v| half::bf16::from_f32(v).to_le_bytes());
        let (halves, brains) = (halves.as_chunks().0, brains.as_chunks().0);
        let scales = wave(rows);
        let group_scales: Vec<[u8; 2]> = halves[..rows * cols / 32].to_vec();
        let packed = Packed::interleaved(&bytes[..fours.len()], fours);
        let row_major = &bytes[..rows * cols / 2];
        for (name, values, row_scales) in [
            ("int4", Values::Int4(packed), Some(scales.as_slice())),
            ("int4/32", Values::Int4Group { packed: row_major, scales: &group_scales, group: 32 }, None),
            ("int8", Values::Int8(&bytes), Some(scales.as_slice())),
            ("bf16", Values::Bf16(brains), None),
            ("f16", Values::F16(halves), None),
        ] {
            if !wanted(name, &FORMS) {
                continue;
            }
            let matrix = Matrix { rows, cols, values, row_scales };
            for tokens in [64, 128, 512] {
                let (x, dy) = (wave(tokens * cols), wave(tokens * rows));
                let (mut y, mut dx) = (vec![0.0; tokens * rows], vec![0.0; tokens * cols]);
                let kinds = [Compute::Bf16, Compute::Int8];
                let (mut forward, mut backward) = ([f64::INFINITY; 2], [f64::INFINITY; 2]);
                for _ in 0..REPEATS {
                    for (kind, compute) in kinds.into_iter().enumerate() {
                        forward[kind] = forward[kind].min(seconds(|| matmul(&matrix, compute, &x, None, &mut y)));
                        let took = seconds(|| input_gradient(&matrix, compute, &dy, &mut dx));
                        backward[kind] = backward[kind].min(took);
                    }
                }
                let work = 2.0 * (tokens * rows * cols) as f64 / 1e9;
                let shown =
                    |[bf16, int8]: [f64; 2]| format!("{:>10.0}{:>10.0}{:>8.2}", work / bf16, work / int8, bf16 / int8);
                let sizes = format!("[{rows}, {cols}]");
                println!("{sizes:<24}{name:>8}{tokens:>6}{}{}", shown(forward), shown(backward));
            }
        }
    }
}
