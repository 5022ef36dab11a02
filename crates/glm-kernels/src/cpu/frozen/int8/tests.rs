use super::super::tests::{Forms, sizes, wave};
use super::*;
use proptest::prelude::*;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Integer sums are exact, so not a bit may differ.
    #[test]
    fn products_are_those_of_the_scalar_twin(tokens in 1usize..40, (rows, cols) in sizes()) {
        let forms = Forms::new(rows, cols);
        let (x, dy, bias) = (wave(tokens * cols, 0.5), wave(tokens * rows, 0.7), wave(rows, 0.9));
        for matrix in forms.all() {
            let (mut y, mut expected) = (vec![9.0; tokens * rows], vec![0.0; tokens * rows]);
            matmul(&matrix, &x, Some(&bias), &mut y);
            scalar::product(&matrix, Along::Columns, &x, Some(&bias), false, &mut expected);
            prop_assert_eq!(bits(&y), bits(&expected));
            let (mut dx, mut expected) = (vec![9.0; tokens * cols], vec![0.0; tokens * cols]);
            for add in [false, true] {
                input_gradient(&matrix, &dy, &mut dx, add);
                scalar::product(&matrix, Along::Rows, &dy, None, add, &mut expected);
                prop_assert_eq!(bits(&dx), bits(&expected));
            }
        }
    }
}

/// Sizes with several blocks of the sum in both directions, with and without remainders, and more than a task holds.
const LONG: [(usize, usize); 6] = [(1300, 33), (2560 + 64, 128), (33, 8192 + 640), (40, 1030), (1056, 256), (48, 8320)];

#[test]
fn long_products_are_those_of_the_scalar_twin() {
    for (rows, cols) in LONG {
        let forms = Forms::new(rows, cols);
        let (x, dy, bias) = (wave(17 * cols, 0.5), wave(17 * rows, 0.7), wave(rows, 0.9));
        for matrix in forms.all() {
            let form = std::mem::discriminant(&matrix.values);
            let (mut y, mut expected) = (vec![9.0; 17 * rows], vec![0.0; 17 * rows]);
            matmul(&matrix, &x, Some(&bias), &mut y);
            scalar::product(&matrix, Along::Columns, &x, Some(&bias), false, &mut expected);
            assert!(bits(&y) == bits(&expected), "{form:?} [{rows}, {cols}]");
            let (mut dx, mut expected) = (vec![9.0; 17 * cols], vec![0.0; 17 * cols]);
            for add in [false, true] {
                input_gradient(&matrix, &dy, &mut dx, add);
                scalar::product(&matrix, Along::Rows, &dy, None, add, &mut expected);
                assert!(bits(&dx) == bits(&expected), "gradient {form:?} [{rows}, {cols}], add {add}");
            }
        }
    }
}

/// What rounding may do at most: half a step of every activation and of every weight that is no integer, block by block.
#[test]
fn errors_stay_below_half_a_step_of_every_factor() {
    for (rows, cols) in LONG {
        let forms = Forms::new(rows, cols);
        let tokens = 9;
        let (x, dy) = (wave(tokens * cols, 0.5), wave(tokens * rows, 0.7));
        for matrix in forms.all() {
            for (along, x) in [(Along::Columns, &x), (Along::Rows, &dy)] {
                let (width, depth) = along.sizes(&matrix);
                let mut found = vec![9.0; tokens * width];
                match along {
                    Along::Columns => matmul(&matrix, x, None, &mut found),
                    Along::Rows => input_gradient(&matrix, x, &mut found, false),
                }
                let weights = scalar::block(&matrix, along, 0..width, 0..depth);
                let of_sum = |i: usize| along.scales_of_sum(&matrix).map_or(1.0, |s| s[i]);
                for (at, found) in found.iter().enumerate() {
                    let (token, lane) = (at / width, at % width);
                    let x: Vec<f32> = (0..depth).map(|i| x[token * depth + i] * of_sum(i)).collect();
                    let w = &weights[lane * depth..][..depth];
                    let largest = |v: &[f32]| v.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                    let (mut exact, mut bound) = (0.0f64, 0.0f64);
                    for (x, w) in x.chunks(BLOCK).zip(w.chunks(BLOCK)) {
                        let half = |v: &[f32]| f64::from(largest(v)) / 254.0;
                        let (of_x, of_w) = (half(x), if matrix.values.are_integers() { 0.0 } else { half(w) });
                        for (x, w) in x.iter().zip(w) {
                            let (x, w) = (f64::from(*x), f64::from(*w));
                            exact += x * w;
                            bound += of_x * w.abs() + of_w * x.abs() + of_x * of_w;
                        }
                    }
                    let scale = f64::from(along.scale_of_lane(&matrix, lane));
                    let error = (f64::from(*found) - exact * scale).abs();
                    let allowed = bound * scale.abs() * 1.001 + 1e-6;
                    assert!(error <= allowed, "{along:?} [{rows}, {cols}] at {at}: {error} above {allowed}");
                }
            }
        }
    }
}

#[test]
fn values_that_are_no_numbers_show() {
    let forms = Forms::new(64, 640);
    for matrix in forms.all() {
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut x = wave(9 * 640, 0.5);
            x[3 * 640 + 600] = wrong;
            let mut y = vec![0.0; 9 * 64];
            matmul(&matrix, &x, None, &mut y);
            let is_of_token = |(at, y): (usize, &f32)| y.is_nan() == (at / 64 == 3);
            assert!(y.iter().enumerate().all(is_of_token));
        }
        // Too small for a factor, and nothing at all.
        for small in [1e-38, 0.0] {
            let mut y = vec![9.0; 9 * 64];
            matmul(&matrix, &vec![small; 9 * 640], None, &mut y);
            assert!(y.iter().all(|y| *y == 0.0));
        }
    }
}

/// Queries, keys and values: forward in bfloat16, gradients in 8 bits, and few rows in bfloat16 both ways.
#[test]
fn numbers_for_scores_round_gradients_to_8_bits_alone() {
    use super::super::{Compute, input_gradient, matmul};
    let (rows, cols) = (96, 160);
    let forms = Forms::new(rows, cols);
    for (tokens, of_gradient) in [(8, Compute::Bf16), (17, Compute::Int8)] {
        let (x, dy) = (wave(tokens * cols, 0.5), wave(tokens * rows, 0.7));
        for matrix in forms.all() {
            let y = |compute| {
                let mut y = vec![9.0; tokens * rows];
                matmul(&matrix, compute, &x, None, &mut y);
                bits(&y)
            };
            let dx = |compute| {
                let mut dx = vec![9.0; tokens * cols];
                input_gradient(&matrix, compute, &dy, &mut dx);
                bits(&dx)
            };
            let scores = Compute::Int8.for_scores();
            assert!(y(scores) == y(Compute::Bf16), "forward, {tokens} rows");
            assert!(dx(scores) == dx(of_gradient), "gradient, {tokens} rows");
        }
    }
}
