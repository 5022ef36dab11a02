//! The reference, and what machines without the instructions use.

#![allow(unsafe_code)]

use super::super::{Along, Destination, Matrix};
use super::BLOCK;
use super::quantize::{Step, largest};
use rayon::prelude::*;
use std::ops::Range;

/// Results of a task.
const LANES: usize = 64;

/// Both directions: `x [T, depth]`, `out [T, width]`, to which the product is added with `add`.
pub fn product(matrix: &Matrix<'_>, along: Along, x: &[f32], bias: Option<&[f32]>, add: bool, out: &mut [f32]) {
    let (width, depth) = along.sizes(matrix);
    let left = Left::new(x, depth, along.scales_of_sum(matrix));
    let lanes = LANES.next_multiple_of(matrix.column_step());
    let target = Destination(out.as_mut_ptr());
    (0..width.div_ceil(lanes)).into_par_iter().for_each(|task| {
        let lanes = task * lanes..((task + 1) * lanes).min(width);
        for (number, first) in (0..depth).step_by(BLOCK).enumerate() {
            let sum = first..(first + BLOCK).min(depth);
            let floats = block(matrix, along, lanes.clone(), sum.clone());
            for (lane, floats) in lanes.clone().zip(floats.chunks(sum.len())) {
                let (weights, scale) = integers(matrix, along, lane, floats);
                for token in 0..x.len() / depth {
                    let (values, step) = left.of(token, number, sum.clone());
                    let exact: i32 = values.iter().zip(&weights).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
                    let mut v = exact as f32 * step * scale;
                    let at = target.at(token * width + lane);
                    // SAFETY: this task alone touches the columns `lanes` of `out`, which outlives the loop.
                    unsafe {
                        if add || number > 0 {
                            v += at.read();
                        }
                        if let Some(bias) = bias.filter(|_| sum.end == depth) {
                            v += bias[lane];
                        }
                        at.write(v);
                    }
                }
            }
        }
    });
}

/// Activations as integers.
struct Left {
    depth: usize,
    values: Vec<i16>,
    steps: Vec<f32>,
}

impl Left {
    fn new(x: &[f32], depth: usize, scales: Option<&[f32]>) -> Self {
        let (mut values, mut steps) = (Vec::with_capacity(x.len()), Vec::new());
        for row in x.chunks_exact(depth) {
            for (number, block) in row.chunks(BLOCK).enumerate() {
                let scaled = |(i, v): (usize, &f32)| scales.map_or(*v, |s| v * s[number * BLOCK + i]);
                let block: Vec<f32> = block.iter().enumerate().map(scaled).collect();
                let step = Step::of(largest(block.iter().copied()));
                values.extend(block.iter().map(|v| i16::from(step.integer(*v))));
                steps.push(step.scale);
            }
        }
        Self { depth, values, steps }
    }

    fn of(&self, token: usize, block: usize, sum: Range<usize>) -> (&[i16], f32) {
        let at = token * self.depth;
        (&self.values[at + sum.start..at + sum.end], self.steps[token * self.depth.div_ceil(BLOCK) + block])
    }
}

/// Weights of a block without their row scales: `[lanes][sum]`.
pub(super) fn block(matrix: &Matrix<'_>, along: Along, lanes: Range<usize>, sum: Range<usize>) -> Vec<f32> {
    let (rows, cols) = match along {
        Along::Columns => (lanes, sum),
        Along::Rows => (sum, lanes),
    };
    // Groups begin at fixed columns.
    let step = matrix.column_step();
    let outer = cols.start / step * step..cols.end.next_multiple_of(step).min(matrix.cols);
    let mut values = vec![0.0; rows.len() * outer.len()];
    matrix.unpack(rows.clone(), outer.clone(), &mut values);
    let row = |r: usize| &values[r * outer.len() + cols.start - outer.start..][..cols.len()];
    match along {
        Along::Columns => (0..rows.len()).flat_map(row).copied().collect(),
        Along::Rows => (0..cols.len()).flat_map(|c| (0..rows.len()).map(move |r| row(r)[c])).collect(),
    }
}

/// Weights of one lane in a block as integers, and the factor of the lane there.
pub(super) fn integers(matrix: &Matrix<'_>, along: Along, lane: usize, floats: &[f32]) -> (Vec<i16>, f32) {
    let of_lane = along.scale_of_lane(matrix, lane);
    if matrix.values.are_integers() {
        return (floats.iter().map(|v| *v as i16).collect(), of_lane);
    }
    let step = Step::of(largest(floats.iter().copied()));
    (floats.iter().map(|v| i16::from(step.integer(*v))).collect(), step.scale * of_lane)
}
