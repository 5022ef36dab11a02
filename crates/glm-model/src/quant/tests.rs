use super::*;

fn tensor(values: &[f32], shape: &[usize]) -> (Vec<u8>, Vec<usize>) {
    (values.iter().flat_map(|v| v.to_le_bytes()).collect(), shape.to_vec())
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 1.37).sin() * (1.0 + (i % 17) as f32)).collect()
}

fn relative_error(weight: &dyn FrozenWeight, reference: &[f32]) -> f64 {
    let (out, inner) = weight.shape();
    let mut row = vec![0.0; inner];
    let (mut error, mut norm) = (0.0, 0.0);
    for r in 0..out {
        weight.row(r, &mut row);
        for (a, b) in row.iter().zip(&reference[r * inner..]) {
            error += f64::from(a - b).powi(2);
            norm += f64::from(*b).powi(2);
        }
    }
    (error / norm).sqrt()
}

#[test]
fn every_scheme_stays_within_its_error_and_its_size() {
    let values = wave(24 * 128);
    let (data, shape) = tensor(&values, &[24, 128]);
    let tensor = TensorBytes { dtype: ElementType::F32, shape, data: &data };
    let group = |group| Scheme::Int4Group { group };
    let dense = |dtype| Scheme::Dense { dtype: Some(dtype) };
    // Largest relative error ‖W' − W‖ / ‖W‖ and largest number of bits a value, scales included.
    let cases = [
        (dense(DenseType::F32), 0.0, 32.0),
        (dense(DenseType::F16), 3e-4, 16.0),
        (dense(DenseType::Bf16), 3e-3, 16.0),
        (Scheme::Int8, 7e-3, 8.5),
        (Scheme::Int4, 0.14, 4.5),
        (group(64), 0.1, 4.25),
        (group(32), 0.095, 4.5),
    ];
    for (scheme, most_error, most_bits) in cases {
        let weight = scheme.freeze(&tensor, None).unwrap();
        let error = relative_error(&*weight, &values);
        assert!(error <= most_error, "{scheme}: {error}");
        let bits = weight.bytes() as f64 * 8.0 / values.len() as f64;
        assert!(bits <= most_bits, "{scheme}: {bits}");
    }
}

/// Only the order of the bytes may differ.
#[test]
fn interleaved_rows_are_those_of_the_official_form() {
    for [out, inner] in [[32, 512], [96, 256], [48, 13696]] {
        let values = wave(out * inner);
        let (data, shape) = tensor(&values, &[out, inner]);
        let tensor = TensorBytes { dtype: ElementType::F32, shape, data: &data };
        let official = RowInt4::quantize(&tensor).unwrap();
        let frozen = Scheme::Int4.freeze(&tensor, None).unwrap();
        assert_eq!(frozen.shape(), (out, inner));
        assert_eq!(frozen.bytes() as u64, Scheme::Int4.bytes([out, inner], 4));
        // A line is left free after rows that take turns: 32, 32 and 16 of them.
        let free = if inner == 13696 { out / 16 } else { out / 32 } * 64;
        assert_eq!(frozen.bytes(), out * inner / 2 + free + out * 4);
        let glm_kernels::cpu::frozen::Values::Int4(packed) = frozen.matrix().values else { panic!("no INT4") };
        assert!(packed.turns() > 1, "[{out}, {inner}] is not interleaved");
        let (mut expected, mut found) = (vec![0.0; inner], vec![0.0; inner]);
        for row in 0..out {
            official.row(row, &mut expected);
            frozen.row(row, &mut found);
            assert_eq!(found, expected, "row {row}");
        }
        let bytes = |data, len| TensorBytes { dtype: ElementType::I8, shape: vec![len], data };
        let scales: Vec<u8> = official.half_scales().iter().flat_map(|s| s.to_le_bytes()).collect();
        let scales = TensorBytes { dtype: ElementType::F16, shape: vec![out], data: &scales };
        let (all, fewer) = (packed.bytes(), &packed.bytes()[1..]);
        let load = |weight: &TensorBytes<'_>, scales: &TensorBytes<'_>| {
            InterleavedInt4::load([out, inner], weight, scales, None)
        };
        let again = load(&bytes(all, all.len()), &scales).unwrap();
        again.row(out - 1, &mut found);
        assert_eq!(found, expected);
        let infinite: Vec<u8> = (0..out).flat_map(|_| f16::INFINITY.to_le_bytes()).collect();
        let infinite = TensorBytes { dtype: ElementType::F16, shape: vec![out], data: &infinite };
        let few = TensorBytes { dtype: ElementType::F16, shape: vec![out - 1], data: &scales.data[2..] };
        let whole = bytes(all, all.len());
        for (weight, scales) in [(&bytes(fewer, fewer.len()), &scales), (&whole, &infinite), (&whole, &few)] {
            let error = load(weight, scales).unwrap_err();
            assert!(error.contains(&format!("expected {} bytes with {out} finite scales", all.len())), "{error}");
        }
    }
}

#[test]
fn rows_of_zeros_and_extreme_rows() {
    let mut values = vec![0.0f32; 4 * 64];
    values[64] = 65504.0;
    values[130] = 6e-8;
    let (data, shape) = tensor(&values, &[4, 64]);
    let tensor = TensorBytes { dtype: ElementType::F32, shape, data: &data };
    for scheme in [Scheme::Int8, Scheme::Int4, Scheme::Int4Group { group: 32 }] {
        let weight = scheme.freeze(&tensor, None).unwrap();
        let mut row = vec![1.0; 64];
        weight.row(0, &mut row);
        assert!(row.iter().all(|v| *v == 0.0), "{scheme}");
        weight.row(1, &mut row);
        assert!((row[0] - 65504.0).abs() < 40.0, "{scheme}: {}", row[0]);
    }
}

#[test]
fn what_cannot_be_quantized_is_said() {
    let (data, shape) = tensor(&[1.0, f32::NAN, 1.0, 1e6], &[2, 2]);
    let odd = TensorBytes { dtype: ElementType::F32, shape: vec![4, 1], data: &data };
    let tensor = TensorBytes { dtype: ElementType::F32, shape, data: &data };
    assert!(Scheme::Int8.freeze(&tensor, None).unwrap_err().contains("row 0"));
    assert!(Scheme::Int4.freeze(&odd, None).unwrap_err().contains("multiple of 2"));
    assert!(Scheme::Int4Group { group: 32 }.freeze(&tensor, None).unwrap_err().contains("group width 32"));
    let mut large = [0.5; 32];
    large[7] = 1e6;
    let (bytes, shape) = self::tensor(&large, &[1, 32]);
    let large = TensorBytes { dtype: ElementType::F32, shape, data: &bytes };
    assert!(Scheme::Int4Group { group: 32 }.freeze(&large, None).unwrap_err().contains("row 0 holds 1000000"));
    let integers = TensorBytes { dtype: ElementType::I32, shape: vec![2, 2], data: &data };
    assert!(Scheme::Int8.freeze(&integers, None).unwrap_err().contains("i32"));
}
