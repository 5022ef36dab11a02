//! The `MergedLinear` of peft before version 0.3: the output of a fused layer was cut into equal parts, and each part that
//! `enable_lora` names had an `A` and a `B` of its own.

/// One matrix from a file, or the grouped convolution that the old form kept `B` in.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

/// Turns `B [out / parts · n, r]` of `n` enabled parts into the `B [out, n · r]` that, with the same `A [n · r, in]`, adds
/// the same: each enabled part reads its own `r` columns only, the others are 0.
///
/// Returns `None` when the sizes do not belong to such a layer.
pub fn spread(b: &Matrix, rank: usize, enable: &[bool]) -> Option<Matrix> {
    let enabled = enable.iter().filter(|on| **on).count();
    if enabled == 0 || rank == 0 || b.columns != rank || !b.rows.is_multiple_of(enabled) {
        return None;
    }
    if b.values.len() != b.rows * b.columns {
        return None;
    }
    let part = b.rows / enabled;
    let (rows, columns) = (part.checked_mul(enable.len())?, enabled.checked_mul(rank)?);
    let mut values = vec![0.0; rows.checked_mul(columns)?];
    let places = enable.iter().enumerate().filter(|(_, on)| **on).map(|(place, _)| place);
    for (source, place) in places.enumerate() {
        for row in 0..part {
            let from = (source * part + row) * rank;
            let to = (place * part + row) * columns + source * rank;
            values[to..to + rank].copy_from_slice(&b.values[from..from + rank]);
        }
    }
    Some(Matrix { rows, columns, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_to_themselves() {
        // Three parts of two rows, the outer two enabled, rank 1.
        let b = Matrix { rows: 4, columns: 1, values: vec![1.0, 2.0, 3.0, 4.0] };
        let spread = spread(&b, 1, &[true, false, true]).unwrap();
        assert_eq!((spread.rows, spread.columns), (6, 2));
        assert_eq!(spread.values, [1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 4.0]);
    }

    #[test]
    fn sizes_that_do_not_belong_together() {
        let b = Matrix { rows: 3, columns: 1, values: vec![0.0; 3] };
        assert_eq!(spread(&b, 1, &[true, false, true]), None);
        assert_eq!(spread(&b, 2, &[true]), None);
        assert_eq!(spread(&b, 1, &[false]), None);
    }
}
