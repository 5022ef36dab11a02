#![allow(unsafe_code)]
//! With AVX-512 VNNI (`vpdpbusd`): sums of four products of an unsigned and a signed byte. The weights are made unsigned by an
//! offset, and the sums begin with what it adds, taken off.

mod floats;
mod left;
mod panel;
mod tile;

use super::BLOCK;
use super::quantize::MAGIC;
use crate::cpu::frozen::ahead::Ahead;
use crate::cpu::frozen::bf16::transposed;
use crate::cpu::frozen::{Along, Destination, Matrix, with_words};
use left::Left;
use rayon::prelude::*;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_and_si512, _mm512_castps_si512, _mm512_fmadd_ps, _mm512_loadu_si512,
    _mm512_mask_shuffle_epi8, _mm512_permutexvar_epi8, _mm512_reduce_max_epu32, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_set4_epi32,
};
use std::sync::OnceLock;
use tile::{Finish, LANES, MOST_ROWS, Target, tile};

/// How much of a matrix a task holds as panels, in the second-level cache.
#[derive(Clone, Copy)]
struct Portion {
    /// Panels of [`LANES`] columns of the result.
    panels: usize,
    /// Blocks of the sum.
    blocks: usize,
}

/// Long rows of the matrix are read one after the other.
const ALONG_COLUMNS: Portion = Portion { panels: 1, blocks: 8 };
/// 128 columns: a cache line of INT4, which would be read again for every panel otherwise.
const ALONG_ROWS: Portion = Portion { panels: 4, blocks: 2 };

/// Panels of single blocks that a task holds, at most.
const MOST_PANELS: usize = 8;
const _: () = assert!(ALONG_COLUMNS.panels * ALONG_COLUMNS.blocks <= MOST_PANELS);
const _: () = assert!(ALONG_ROWS.panels * ALONG_ROWS.blocks <= MOST_PANELS);

/// `u32`s of a panel of a whole block.
const PANEL: usize = BLOCK / 4 * LANES;

/// Whether this machine has what the kernels need.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vl")
            && crate::cpu::isa::isa() == crate::cpu::isa::Isa::Avx512
    })
}

/// Both directions: `x [T, depth]`, `out [T, width]`, to which the product is added with `add`. Every task makes the panels of some columns of the result and multiplies
/// all rows of `x` with them.
pub(super) fn product(matrix: &Matrix<'_>, along: Along, x: &[f32], bias: Option<&[f32]>, add: bool, out: &mut [f32]) {
    assert!(available(), "int8 product: the machine lacks the instructions");
    let (width, depth) = along.sizes(matrix);
    let left = Left::new(x, depth, along.scales_of_sum(matrix));
    let portion = match along {
        Along::Columns => ALONG_COLUMNS,
        Along::Rows => ALONG_ROWS,
    };
    let (blocks, columns) = (depth.div_ceil(BLOCK), portion.panels * LANES);
    let block = |number: usize| number * BLOCK..((number + 1) * BLOCK).min(depth);
    let offset = panel::offset(matrix);
    let held = portion.panels * portion.blocks.min(blocks);
    let target = Destination(out.as_mut_ptr());
    (0..width.div_ceil(columns)).into_par_iter().for_each(|task| {
        with_words(held * PANEL, |panels| {
            let mut scales = [[0.0; LANES]; MOST_PANELS];
            let task = task * columns..((task + 1) * columns).min(width);
            let lanes = || task.clone().step_by(LANES).map(|start| start..(start + LANES).min(task.end));
            for first in (0..blocks).step_by(portion.blocks) {
                let numbers = first..(first + portion.blocks).min(blocks);
                let place = |number: usize, panel: usize| (number - first) * portion.panels + panel;
                for number in numbers.clone() {
                    for (panel, lanes) in lanes().enumerate() {
                        let at = place(number, panel);
                        let out = &mut panels[at * PANEL..(at + 1) * PANEL];
                        // SAFETY: the machine has the sets (asserted above).
                        scales[at] = unsafe { panel::fill(matrix, along, lanes, block(number), out) };
                    }
                }
                // The next part of the sum, or the next task's first.
                let next = match numbers.end < blocks {
                    true => (task.clone(), numbers.end),
                    false => (task.end.min(width)..(task.end + columns).min(width), 0),
                };
                let next_sum = block(next.1).start..block((next.1 + portion.blocks).min(blocks) - 1).end;
                let ahead = Ahead::new(matrix, along, next.0, next_sum);
                let (mut done, parts) = (0, left.strips().count() * numbers.len());
                for (row, height) in left.strips() {
                    for number in numbers.clone() {
                        ahead.fetch(done, parts);
                        done += 1;
                        let part = left.part((row, height), number);
                        let mut starts = [0; MOST_ROWS];
                        starts.iter_mut().zip(part.sums).for_each(|(start, sum)| *start = -offset * sum);
                        for (panel, lanes) in lanes().enumerate() {
                            let at = place(number, panel);
                            let last = bias.filter(|_| number + 1 == blocks);
                            let bias = last.map(|bias| padded(&bias[lanes.clone()]));
                            let (steps, scales) = (part.steps, &scales[at]);
                            let finish = Finish { starts: &starts, steps, scales, add: add || number > 0, bias };
                            let panel = &panels[at * PANEL..][..part.data.len() / height * LANES];
                            let target = Target { first: target.at(row * width + lanes.start), stride: width };
                            // SAFETY: this task alone writes its columns of the result, `[T, width]`, which outlives it.
                            unsafe { whole_or_part(height, part.data, panel, &finish, target, lanes.len()) };
                        }
                    }
                }
            }
        });
    });
}

fn padded(values: &[f32]) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes[..values.len()].copy_from_slice(values);
    lanes
}

/// A tile of which the target has the first `columns` columns.
///
/// # Safety
/// As [`tile`], for so many columns.
unsafe fn whole_or_part(rows: usize, left: &[u32], panel: &[u32], finish: &Finish<'_>, target: Target, columns: usize) {
    // SAFETY: passed on from the caller; the copy has all columns.
    unsafe {
        if columns == LANES {
            return tile(rows, left, panel, finish, target);
        }
        let mut copy = [0.0f32; MOST_ROWS * LANES];
        let at = |r: usize| target.first.add(r * target.stride);
        for r in 0..rows {
            std::ptr::copy_nonoverlapping(at(r), copy[r * LANES..].as_mut_ptr(), columns);
        }
        tile(rows, left, panel, finish, Target { first: copy.as_mut_ptr(), stride: LANES });
        for r in 0..rows {
            std::ptr::copy_nonoverlapping(copy[r * LANES..].as_ptr(), at(r), columns);
        }
    }
}

/// Floats without their sign, ordered as integers.
#[inline]
#[target_feature(enable = "avx512f")]
fn magnitude(values: __m512) -> __m512i {
    _mm512_and_si512(_mm512_castps_si512(values), _mm512_set1_epi32(0x7fff_ffff))
}

/// The largest of [`magnitude`]s, as a float.
#[inline]
#[target_feature(enable = "avx512f")]
fn largest_of(magnitudes: __m512i) -> f32 {
    f32::from_bits(_mm512_reduce_max_epu32(magnitudes))
}

/// Integers of floats: byte `4 c + i` is that of value `c` of vector `i`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn fours_of(values: [__m512; 4], inverse: __m512) -> __m512i {
    let integer = |i: usize| _mm512_castps_si512(_mm512_fmadd_ps(values[i], inverse, _mm512_set1_ps(MAGIC)));
    // The lowest byte of every element, four times; of which each vector gives the one at its place.
    let lowest = _mm512_set4_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0);
    let x = _mm512_mask_shuffle_epi8(integer(0), 0x2222_2222_2222_2222, integer(1), lowest);
    let x = _mm512_mask_shuffle_epi8(x, 0x4444_4444_4444_4444, integer(2), lowest);
    _mm512_mask_shuffle_epi8(x, 0x8888_8888_8888_8888, integer(3), lowest)
}

/// Integers of 64 floats, in order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn bytes_of(values: [__m512; 4], inverse: __m512) -> __m512i {
    const ORDER: [u8; 64] = {
        let mut order = [0u8; 64];
        let mut i = 0;
        while i < 64 {
            order[i] = (i % 16 * 4 + i / 16) as u8;
            i += 1;
        }
        order
    };
    // SAFETY: the array is 64 bytes long.
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    _mm512_permutexvar_epi8(order, fours_of(values, inverse))
}
