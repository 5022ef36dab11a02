use super::*;
use half::{bf16, f16};
use proptest::prelude::*;

pub(super) fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.37 + phase).sin()).collect()
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Every form that a matrix is kept in, of the same size.
pub(super) struct Forms {
    rows: usize,
    cols: usize,
    floats: Vec<[u8; 4]>,
    halves: Vec<[u8; 2]>,
    brains: Vec<[u8; 2]>,
    integers: Vec<u8>,
    /// Half of the integers in interleaved rows, two values a byte.
    interleaved: Option<(Interleaved, Vec<u8>)>,
    group_scales: Vec<[u8; 2]>,
    row_scales: Vec<f32>,
}

impl Forms {
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        let values = wave(rows * cols, 0.1);
        let integers = bytes(rows * cols);
        let interleaved = Interleaved::of(rows, cols / 2).filter(|_| cols.is_multiple_of(2)).map(|sizes| {
            let mut out = vec![0xff; sizes.len()];
            sizes.fill(&integers[..rows * cols / 2], &mut out);
            (sizes, out)
        });
        Self {
            rows,
            cols,
            floats: values.iter().map(|v| v.to_le_bytes()).collect(),
            halves: values.iter().map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            brains: values.iter().map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            interleaved,
            integers,
            group_scales: wave(rows * cols / 8, 0.6).iter().map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            row_scales: wave(rows, 0.3),
        }
    }

    pub(super) fn all(&self) -> Vec<Matrix<'_>> {
        let (rows, cols) = (self.rows, self.cols);
        let plain = |values| Matrix { rows, cols, values, row_scales: None };
        let scaled = |values| Matrix { row_scales: Some(&self.row_scales), ..plain(values) };
        let mut all = vec![
            plain(Values::F32(&self.floats)),
            plain(Values::F16(&self.halves)),
            plain(Values::Bf16(&self.brains)),
            scaled(Values::Int8(&self.integers)),
        ];
        let packed = &self.integers[..rows * cols / 2];
        if cols.is_multiple_of(2) {
            all.push(scaled(Values::Int4(Packed::rows(packed, cols / 2))));
        }
        let interleaved = self.interleaved.as_ref().map(|(sizes, bytes)| Packed::interleaved(bytes, *sizes));
        all.extend(interleaved.map(|packed| scaled(Values::Int4(packed))));
        for group in [8, 32, 64, 256].into_iter().filter(|group| cols.is_multiple_of(*group)) {
            all.push(plain(Values::Int4Group { packed, scales: &self.group_scales, group }));
        }
        all
    }
}

/// Sizes with and without remainders in the direction of the sum and across it.
pub(super) fn sizes() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        (1usize..100, 1usize..200),
        (1usize..5, 1usize..5).prop_map(|(r, c)| (r * 32, c * 32)),
        (1usize..100, 1usize..5).prop_map(|(r, c)| (r, c * 64)),
        (1usize..4, 1usize..4).prop_map(|(r, c)| (r * 32, c * 128)),
    ]
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect()
}

fn close(found: &[f32], expected: &[f32], scale: f32) -> Result<(), TestCaseError> {
    for (a, b) in found.iter().zip(expected) {
        prop_assert!((a - b).abs() <= scale * (1e-4 + b.abs() * 1e-4), "{a} {b}");
    }
    Ok(())
}

/// Most rows of activations with which weights that are not bfloat16 are not rounded to it.
fn most_exact(matrix: &Matrix<'_>) -> usize {
    #[cfg(target_arch = "x86_64")]
    return super::bf16::vector::most_tokens(&matrix.values);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = matrix;
        0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn products_in_f32_equal_the_scalar_twin(tokens in 1usize..18, (rows, cols) in sizes()) {
        let forms = Forms::new(rows, cols);
        let (x, dy, bias) = (wave(tokens * cols, 0.5), wave(tokens * rows, 0.7), wave(rows, 0.9));
        for matrix in forms.all() {
            let (mut y, mut expected) = (vec![9.0; tokens * rows], vec![0.0; tokens * rows]);
            matmul(&matrix, Compute::F32, &x, Some(&bias), &mut y);
            scalar::matmul(&matrix, &x, &mut expected);
            expected.chunks_mut(rows).for_each(|row| row.iter_mut().zip(&bias).for_each(|(v, b)| *v += b));
            close(&y, &expected, 128.0)?;
            let (mut dx, mut expected) = (vec![9.0; tokens * cols], vec![0.0; tokens * cols]);
            input_gradient(&matrix, Compute::F32, &dy, &mut dx);
            scalar::input_gradient(&matrix, &dy, &mut expected);
            close(&dx, &expected, 128.0)?;
        }
    }

    /// Two bfloat16 hold 16 bits of an activation.
    #[test]
    fn split_products_are_nearly_those_of_f32(tokens in 1usize..40, (rows, cols) in sizes()) {
        let forms = Forms::new(rows, cols);
        let (x, bias) = (wave(tokens * cols, 0.5), wave(rows, 0.9));
        for matrix in forms.all() {
            let (mut y, mut expected) = (vec![9.0; tokens * rows], vec![0.0; tokens * rows]);
            matmul(&matrix, Compute::Bf16Split, &x, Some(&bias), &mut y);
            matmul(&matrix, Compute::F32, &x, Some(&bias), &mut expected);
            let mut magnitude = vec![0.0; rows * cols];
            matrix.unpack(0..rows, 0..cols, &mut magnitude);
            let scale = |row: usize| matrix.row_scales.map_or(1.0, |s| s[row].abs());
            for (at, (a, b)) in y.iter().zip(&expected).enumerate() {
                let row = at % rows;
                let sum: f32 = magnitude[row * cols..(row + 1) * cols].iter().map(|w| w.abs()).sum::<f32>() * scale(row);
                prop_assert!((a - b).abs() <= 2.0 * sum / 65536.0 + 1e-4, "{a} {b} of {sum}");
            }
        }
    }

    /// With factors that are bfloat16 already nothing is rounded but the sums, and the twin is the one of f32.
    #[test]
    fn products_in_bf16_equal_the_scalar_twin_of_rounded_factors(tokens in prop_oneof![1usize..44, 60usize..70], (rows, cols) in sizes()) {
        if !Compute::Bf16.available() {
            return Ok(());
        }
        let forms = Forms::new(rows, cols);
        let (x, dy, bias) = (rounded(&wave(tokens * cols, 0.5)), wave(tokens * rows, 0.7), wave(rows, 0.9));
        for matrix in forms.all() {
            let mut values = vec![0.0; rows * cols];
            matrix.unpack(0..rows, 0..cols, &mut values);
            let bytes = |values: &[f32]| values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>();
            let (values, rounded_values) = (bytes(&values), bytes(&rounded(&values)));
            let rounding_twin = Matrix { values: Values::F32(&rounded_values), ..matrix };
            let exact_twin = Matrix { values: Values::F32(&values), ..matrix };
            let twin = if tokens > most_exact(&matrix) { rounding_twin } else { exact_twin };
            let (mut y, mut expected) = (vec![9.0; tokens * rows], vec![0.0; tokens * rows]);
            matmul(&matrix, Compute::Bf16, &x, Some(&bias), &mut y);
            scalar::matmul(&twin, &x, &mut expected);
            expected.chunks_mut(rows).for_each(|row| row.iter_mut().zip(&bias).for_each(|(v, b)| *v += b));
            close(&y, &expected, 128.0)?;
            // The factor of a row goes into the gradient before it is rounded.
            let scales = matrix.row_scales.map_or(vec![1.0; rows], <[f32]>::to_vec);
            let scaled: Vec<f32> = dy.iter().zip(scales.iter().cycle()).map(|(d, s)| d * s).collect();
            let (mut dx, mut expected) = (vec![9.0; tokens * cols], vec![0.0; tokens * cols]);
            input_gradient(&matrix, Compute::Bf16, &dy, &mut dx);
            scalar::input_gradient(&Matrix { row_scales: None, ..rounding_twin }, &rounded(&scaled), &mut expected);
            close(&dx, &expected, 128.0)?;
        }
    }
}

/// Sizes of real layers, with and without remainders.
const LONG: [(usize, usize); 6] = [(77, 4097), (51, 4098), (49, 2720), (13, 13696 + 64), (150, 4096), (48, 8320)];

/// Against sums in f64: what is left is the rounding of sums in f32, relative to the sum of sizes.
#[test]
fn long_products_of_few_rows_are_as_exact_as_their_sums() {
    for (rows, cols) in LONG {
        let forms = Forms::new(rows, cols);
        let bias = wave(rows, 0.9);
        for (matrix, tokens) in forms.all().into_iter().flat_map(|matrix| (1..=8).map(move |tokens| (matrix, tokens))) {
            let x = rounded(&wave(tokens * cols, 0.5));
            let products = [Compute::Bf16, Compute::F32].map(|compute| {
                let mut y = vec![9.0; tokens * rows];
                matmul(&matrix, compute, &x, Some(&bias), &mut y);
                y
            });
            let mut weights = vec![0.0; cols];
            for row in 0..rows {
                matrix.row(row, &mut weights);
                for (y, (t, x)) in products.iter().flat_map(|y| y.chunks(rows).zip(x.chunks(cols).enumerate())) {
                    let products = || x.iter().zip(&weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
                    let (expected, size) = (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                    let error = (f64::from(y[row]) - expected - f64::from(bias[row])).abs();
                    let form = std::mem::discriminant(&matrix.values);
                    assert!(
                        error <= 1e-6 * (1.0 + size),
                        "{form:?} [{rows}, {cols}] {t} of {tokens}: {error} of {size}"
                    );
                }
            }
        }
    }
}

/// Most rows of activations of which each is multiplied as it would be alone.
fn most_alike(matrix: &Matrix<'_>, compute: Compute) -> usize {
    match compute {
        Compute::Bf16 => most_exact(matrix),
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        _ => (1..=8).rev().find(|tokens| f32::few::suits(matrix, *tokens)).unwrap_or(1),
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        _ => 1,
    }
}

/// A row of activations gives the same bits alone, beside others, and with any number of threads.
#[test]
fn products_of_few_rows_do_not_depend_on_their_neighbours() {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for (rows, cols) in LONG {
        let forms = Forms::new(rows, cols);
        let bias = wave(rows, 0.9);
        let kinds = [Compute::Bf16, Compute::F32].into_iter().filter(|kind| kind.available());
        for (matrix, compute) in
            forms.all().into_iter().flat_map(|matrix| kinds.clone().map(move |kind| (matrix, kind)))
        {
            let most = most_alike(&matrix, compute);
            let x = wave(most * cols, 0.5);
            let product = |x: &[f32], threads: usize| {
                let mut y = vec![9.0; x.len() / cols * rows];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
                pool.install(|| matmul(&matrix, compute, x, Some(&bias), &mut y));
                bits(&y)
            };
            let alone: Vec<u32> = x.chunks(cols).flat_map(|x| product(x, 1)).collect();
            for tokens in (2..=most.min(9)).chain([most / 2, most].into_iter().filter(|tokens| *tokens > 9)) {
                let together = product(&x[..tokens * cols], 1 + tokens % 3);
                assert!(together == alone[..tokens * rows], "[{rows}, {cols}] T {tokens}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn some_rows_are_those_of_the_whole((rows, cols) in sizes(), tokens in 1usize..40, cut in 0.0f32..1.0) {
        let forms = Forms::new(rows, cols);
        for matrix in forms.all() {
            // Rows that are interleaved stay together.
            let turns = matrix.bytes().turns();
            let first = (rows as f32 * cut) as usize / turns * turns;
            let part = matrix.slice(first..rows);
            let (mut whole, mut some) = (vec![0.0; cols], vec![0.0; cols]);
            for row in first..rows {
                matrix.row(row, &mut whole);
                part.row(row - first, &mut some);
                prop_assert_eq!(&whole, &some);
            }
            if first == rows {
                continue;
            }
            // The gradient of the whole is that of its first rows and, added to it, that of the others.
            for compute in [Compute::F32, Compute::Bf16].into_iter().filter(|compute| compute.available()) {
                let dy = wave(tokens * rows, 0.9);
                let of = |columns: std::ops::Range<usize>| -> Vec<f32> {
                    dy.chunks(rows).flat_map(|row| row[columns.clone()].to_vec()).collect()
                };
                let (mut expected, mut found) = (vec![0.0; tokens * cols], vec![0.0; tokens * cols]);
                input_gradient(&matrix, compute, &dy, &mut expected);
                if first > 0 {
                    input_gradient(&matrix.slice(0..first), compute, &of(0..first), &mut found);
                }
                add_input_gradient(&part, compute, &of(first..rows), &mut found);
                let size = expected.iter().fold(1.0, |most: f32, v| most.max(v.abs()));
                close(&found, &expected, size)?;
            }
        }
    }
}

/// Sums that are longer than what a task holds of them as panels.
#[test]
fn long_products_of_many_rows_equal_the_scalar_twin_of_rounded_factors() {
    if !Compute::Bf16.available() {
        return;
    }
    let tokens = 67;
    for (rows, cols) in [(33, 4097), (64, 4096 + 128), (33, 1024 + 64), (1056, 256), (1040, 4352)] {
        let forms = Forms::new(rows, cols);
        let (x, bias) = (rounded(&wave(tokens * cols, 0.5)), wave(rows, 0.9));
        for matrix in forms.all() {
            let mut values = vec![0.0; rows * cols];
            matrix.unpack(0..rows, 0..cols, &mut values);
            let twin = |values: Vec<f32>, x: &[f32]| {
                let bytes: Vec<[u8; 4]> = values.iter().map(|v| v.to_le_bytes()).collect();
                let mut y = vec![0.0; tokens * rows];
                scalar::matmul(&Matrix { values: Values::F32(&bytes), ..matrix }, x, &mut y);
                y
            };
            let values = rounded(&values);
            let sizes: Vec<f32> = x.iter().map(|v| v.abs()).collect();
            let sizes = twin(values.iter().map(|v| v.abs()).collect(), &sizes);
            let expected = twin(values.clone(), &x);
            let mut y = vec![9.0; tokens * rows];
            matmul(&matrix, Compute::Bf16, &x, Some(&bias), &mut y);
            for (at, ((a, b), size)) in y.iter().zip(&expected).zip(&sizes).enumerate() {
                let b = b + bias[at % rows];
                assert!((a - b).abs() <= 1e-5 * (1.0 + size.abs()), "[{rows}, {cols}] {at}: {a} {b} of {size}");
            }
            // The factor of a row goes into the gradient before it is rounded.
            let dy = wave(tokens * rows, 0.7);
            let scales = matrix.row_scales.map_or(vec![1.0; rows], <[f32]>::to_vec);
            let scaled = rounded(&dy.iter().zip(scales.iter().cycle()).map(|(d, s)| d * s).collect::<Vec<_>>());
            let twin = |values: Vec<f32>, dy: &[f32]| {
                let bytes: Vec<[u8; 4]> = values.iter().map(|v| v.to_le_bytes()).collect();
                let mut dx = vec![0.0; tokens * cols];
                let matrix = Matrix { values: Values::F32(&bytes), row_scales: None, ..matrix };
                scalar::input_gradient(&matrix, dy, &mut dx);
                dx
            };
            let sizes: Vec<f32> = scaled.iter().map(|v| v.abs()).collect();
            let sizes = twin(values.iter().map(|v| v.abs()).collect(), &sizes);
            let expected = twin(values, &scaled);
            let mut dx = vec![9.0; tokens * cols];
            input_gradient(&matrix, Compute::Bf16, &dy, &mut dx);
            for (at, ((a, b), size)) in dx.iter().zip(&expected).zip(&sizes).enumerate() {
                let far = (a - b).abs() > 1e-5 * (1.0 + size.abs());
                assert!(!far, "gradient [{rows}, {cols}] {at}: {a} {b} of {size}");
            }
        }
    }
}
