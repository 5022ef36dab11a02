use glm_train::clip::{NonFinite, clip_grad_norm, first_non_finite, global_norm};
use serde_json::json;

use crate::{f32s, golden};

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 3e-7 * b.abs()
}

#[test]
fn clips_as_torch() {
    for (i, case) in golden("clip.json")["cases"].as_array().unwrap().iter().enumerate() {
        let before: Vec<Vec<f32>> = case["grads"].as_array().unwrap().iter().map(f32s).collect();
        let mut grads = before.clone();
        let mut named: Vec<_> = grads.iter_mut().map(|g| ("g", g.as_mut_slice())).collect();
        let norm = clip_grad_norm(&mut named, case["max_norm"].as_f64().unwrap()).unwrap();
        assert!(close(norm, f32s(&json!([case["norm"]]))[0]), "case {i}");
        for (found, expected) in grads.iter().zip(case["clipped"].as_array().unwrap()) {
            for (a, b) in found.iter().zip(f32s(expected)) {
                assert!(close(*a, b), "case {i}: {a} against {b}");
            }
        }
        let small = f64::from(norm) < case["max_norm"].as_f64().unwrap();
        assert_eq!(small, grads == before, "case {i}: gradients change exactly when the norm is above the limit");
    }
}

#[test]
fn limit_0_only_measures() {
    let mut a = [3.0f32, 4.0];
    assert_eq!(clip_grad_norm(&mut [("a", &mut a)], 0.0), Ok(5.0));
    assert_eq!(a, [3.0, 4.0]);
}

#[test]
fn the_first_bad_element_is_named_and_nothing_is_scaled() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut a = vec![10.0f32; 5];
        let mut b = vec![10.0f32; 70_000];
        b[65_432] = bad;
        b[69_999] = f32::NAN;
        let error = clip_grad_norm(&mut [("layer.a", &mut a), ("layer.b", &mut b)], 1.0).unwrap_err();
        assert_eq!((error.tensor.as_str(), error.index), ("layer.b", 65_432));
        assert_eq!(error.value.to_bits(), bad.to_bits());
        assert_eq!(a, [10.0; 5]);
        assert!(error.to_string().starts_with("layer.b[65432] is "), "{error}");
    }
    assert_eq!(first_non_finite([("ok", &[0.0f32, f32::MAX, -f32::MIN_POSITIVE][..])]), None::<NonFinite>);
}

#[test]
fn the_norm_does_not_depend_on_the_number_of_threads() {
    let values: Vec<f32> = (0..300_000).map(|i| ((i * 7919) % 1009) as f32 * 1e-3 - 0.5).collect();
    let norm = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| global_norm([&values[..]]).to_bits())
    };
    let exact = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
    assert_eq!(norm(1), norm(5));
    assert!(close(f32::from_bits(norm(1)), exact));
}
