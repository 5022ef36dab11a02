//! Golden tensors.

use crate::fixture;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;

/// All tensors of one safetensors fixture.
pub struct Golden {
    path: String,
    floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    integers: BTreeMap<String, (Vec<usize>, Vec<i64>)>,
}

impl Golden {
    /// Reads a fixture.
    ///
    /// # Panics
    /// When it is absent or broken: a test cannot go on.
    pub fn open(path: &str) -> Self {
        let file = fixture(path);
        let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let tensors = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut golden = Self { path: path.into(), floats: BTreeMap::new(), integers: BTreeMap::new() };
        for (name, view) in tensors.tensors() {
            let (shape, data) = (view.shape().to_vec(), view.data());
            match view.dtype() {
                Dtype::F32 => {
                    let values = data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                    golden.floats.insert(name, (shape, values));
                }
                Dtype::I64 => {
                    let values = data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
                    golden.integers.insert(name, (shape, values));
                }
                Dtype::U8 => {
                    let values = data.iter().map(|b| i64::from(*b)).collect();
                    golden.integers.insert(name, (shape, values));
                }
                _ => {}
            }
        }
        golden
    }

    /// Whether a float tensor of that name is there.
    pub fn has(&self, name: &str) -> bool {
        self.floats.contains_key(name)
    }

    /// Whether an integer tensor (or a mask) of that name is there.
    pub fn has_integers(&self, name: &str) -> bool {
        self.integers.contains_key(name)
    }

    /// Names of the float tensors that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        self.floats.keys().map(String::as_str).filter(|n| n.starts_with(prefix)).collect()
    }

    /// Shape and values of a float tensor.
    ///
    /// # Panics
    /// When it is absent.
    pub fn floats(&self, name: &str) -> (&[usize], &[f32]) {
        let (shape, values) = self.floats.get(name).unwrap_or_else(|| panic!("{}: no floats {name}", self.path));
        (shape, values)
    }

    /// Shape and values of an integer tensor.
    ///
    /// # Panics
    /// When it is absent.
    pub fn integers(&self, name: &str) -> (&[usize], &[i64]) {
        let (shape, values) = self.integers.get(name).unwrap_or_else(|| panic!("{}: no integers {name}", self.path));
        (shape, values)
    }

    /// Rows of an integer matrix.
    ///
    /// # Panics
    /// When it is absent.
    pub fn integer_rows(&self, name: &str) -> Vec<Vec<i64>> {
        let (shape, values) = self.integers(name);
        values.chunks(shape[shape.len() - 1]).map(<[i64]>::to_vec).collect()
    }
}

/// `‖a − b‖ / ‖b‖` in `f64`.
///
/// # Panics
/// When the lengths differ.
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    let sum = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).sum::<f64>().sqrt();
    let difference = sum(&|i| f64::from(a[i] - b[i]).powi(2));
    difference / sum(&|i| f64::from(b[i]).powi(2)).max(f64::MIN_POSITIVE)
}

/// Largest `|a − b|`; NaN when a value is NaN.
///
/// # Panics
/// When the lengths differ.
pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    a.iter().zip(b).fold(0.0, |most, (a, b)| {
        let d = (a - b).abs();
        if d.is_nan() || d > most { d } else { most }
    })
}
