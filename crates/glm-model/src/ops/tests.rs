//! Every op against central differences of its own forward, through candle's tape.

use super::*;
use crate::quant::{Compute, Dense, DenseType, Frozen};
use crate::variant::Activation;
use candle_core::Var;
use glm_kernels::cpu::attention::Shape as Heads;
use std::sync::Arc;

fn wave(shape: (usize, usize), phase: f32) -> Tensor {
    let values = (0..shape.0 * shape.1).map(|i| (i as f32 * 0.631 + phase).sin()).collect();
    tensor(values, shape).unwrap()
}

fn span(start: usize, len: usize, context: usize, past: std::ops::Range<usize>) -> Span {
    Span { start, len, context, past }
}

/// Compares `d Σ c·f(x) / dx` on the tape with central differences.
fn check(name: &str, at: &Tensor, f: impl Fn(&Tensor) -> Tensor) {
    let var = Var::from_tensor(at).unwrap();
    let y = f(var.as_tensor());
    let n = y.elem_count();
    let coefficients = tensor((0..n).map(|i| (i as f32 * 0.77).cos()).collect(), y.shape().clone()).unwrap();
    let objective = |y: &Tensor| -> f64 {
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let c = coefficients.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        y.iter().zip(&c).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let grads = (&y * &coefficients).unwrap().sum_all().unwrap().backward().unwrap();
    let grad = grads.get(var.as_tensor()).expect("a gradient").flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let values = at.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let h = 1e-2f32;
    for i in 0..values.len() {
        let at = |by: f32| {
            let mut values = values.clone();
            values[i] += by;
            objective(&f(&tensor(values, at.shape().clone()).unwrap()))
        };
        let difference = (at(h) - at(-h)) / (2.0 * f64::from(h));
        let tolerance = 2e-3 + difference.abs() * 2e-3;
        assert!((difference - f64::from(grad[i])).abs() < tolerance, "{name}[{i}]: {difference} {}", grad[i]);
    }
}

/// An MLP of `[before the activation, hidden, behind it]` values.
fn mlp([wide, hidden, narrow]: [usize; 3], activation: Activation, onto: Onto) -> FrozenMlp {
    let layer = |out: usize, inner: usize| {
        let bytes = (0..out * inner).flat_map(|i| (i as f32 * 0.9).sin().to_le_bytes()).collect();
        let weight = Frozen { weight: Arc::new(Dense::new(inner, DenseType::F32, bytes)), compute: Compute::F32 };
        (weight, Some(wave((1, out), 0.4).flatten_all().unwrap()))
    };
    let norm = FrozenNorm::Rms { weight: wave((1, hidden), 0.4).flatten_all().unwrap(), eps: 1e-5 };
    FrozenMlp { norm, layers: [layer(wide, hidden), layer(hidden, narrow)], activation, onto }
}

#[test]
fn gradients_equal_finite_differences() {
    let bytes = (0..20).flat_map(|i| (i as f32).sin().to_le_bytes()).collect();
    let weight = Frozen { weight: Arc::new(Dense::new(4, DenseType::F32, bytes)), compute: Compute::F32 };
    check("frozen_linear", &wave((3, 4), 0.1), |x| frozen_linear(x, &weight, None).unwrap());
    let bias = wave((1, 5), 0.9).flatten_all().unwrap();
    check("frozen_linear with bias", &wave((3, 4), 0.1), |x| frozen_linear(x, &weight, Some(&bias)).unwrap());

    let norm = |width| FrozenNorm::Rms { weight: wave((1, width), 0.4).flatten_all().unwrap(), eps: 1e-5 };
    check("normed_linear", &wave((3, 4), 0.2), |x| normed_linear(x, norm(4), &weight, Some(&bias), None).unwrap());
    let stream = wave((3, 5), 0.6);
    let onto = || Onto::Normed { norm: norm(5), factor: 1.5 };
    let a = wave((3, 4), 0.3);
    check("added_linear", &a, |a| added_linear(a, &weight, Some(&bias), &stream, Onto::Input).unwrap());
    check("added_linear", &stream, |x| added_linear(&a, &weight, None, x, Onto::Input).unwrap());
    check("added_linear", &stream, |x| added_linear(&a, &weight, None, x, onto()).unwrap());
    for (activation, wide) in [(Activation::SwiGlu, 6), (Activation::GeluTanh, 3)] {
        check("frozen_mlp", &stream, |x| frozen_mlp(x, mlp([wide, 5, 3], activation, Onto::Input)).unwrap());
        check("frozen_mlp", &stream, |x| frozen_mlp(x, mlp([wide, 5, 3], activation, onto())).unwrap());
    }

    let other = wave((2, 3), 0.2);
    check("add left", &wave((2, 3), 0.1), |x| add(x, &other).unwrap());
    check("add right", &wave((2, 3), 0.1), |x| add(&other, x).unwrap());

    let norm = wave((1, 6), 0.4).flatten_all().unwrap();
    check("rms_norm input", &wave((3, 6), 0.2), |x| rms_norm(x, &norm, 1e-5).unwrap());
    let x = wave((3, 6), 0.2);
    check("rms_norm weight", &norm, |w| rms_norm(&x, w, 1e-5).unwrap());

    let bias = wave((1, 6), 1.4).flatten_all().unwrap();
    check("layer_norm input", &wave((3, 6), 0.2), |x| layer_norm(x, &norm, &bias, 1e-5).unwrap());
    check("layer_norm weight", &norm, |w| layer_norm(&x, w, &bias, 1e-5).unwrap());
    check("layer_norm bias", &bias, |b| layer_norm(&x, &norm, b, 1e-5).unwrap());

    check("add_scaled left", &wave((2, 3), 0.1), |x| add_scaled(x, 7.5, &other).unwrap());
    check("add_scaled right", &wave((2, 3), 0.1), |x| add_scaled(&other, 7.5, x).unwrap());

    check("gelu", &wave((2, 8), 0.3), |x| gelu(x).unwrap());
    check("swiglu", &wave((2, 8), 0.3), |x| swiglu(x).unwrap());

    use glm_kernels::cpu::rope::{Heads as Rotated, Pairing};
    let heads = Rotated { stride: 16, rotated: 3, head_dim: 4, rotary: 2, pairing: Pairing::Neighbours };
    let table = Arc::new(RopeTable::neighbours(&[0, 5], heads, 10000.0));
    check("rope", &wave((2, 16), 0.5), |x| rope(x, &table).unwrap());
    let heads = Rotated { stride: 48, rotated: 4, head_dim: 8, rotary: 8, pairing: Pairing::Sections };
    let table = Arc::new(RopeTable::sections(&[3, 2], &[0, 5], heads).from_rows_by_head(2));
    check("rope of two positions", &wave((2, 48), 0.5), |x| rope(x, &table).unwrap());

    check("cross_entropy", &wave((3, 5), 0.6), |x| cross_entropy(x, &[1, 4, 0], &[0.5, 1.0, 2.0]).unwrap().0);
    check("output_loss", &wave((3, 4), 0.6), |x| output_loss(x, &weight, &[1, 4, 0], &[0.5, 1.0, 2.0]).unwrap().0);

    let shape = Heads { heads: 4, groups: 2, head_dim: 2 };
    let spans = Arc::new(vec![span(0, 3, 2, 0..2), span(3, 2, 0, 1..3)]);
    let (qkv, past) = (wave((5, shape.fused()), 0.7), wave((3, shape.key_value()), 0.8));
    check("attention qkv", &qkv, |x| attention(x, Some(&past), shape, &spans).unwrap());
    check("attention past", &past, |x| attention(&qkv, Some(x), shape, &spans).unwrap());
    let alone = Arc::new(vec![span(0, 5, 3, 0..0)]);
    check("attention without past", &qkv, |x| attention(x, None, shape, &alone).unwrap());
}

/// Values and gradients (of the inputs given) of operations in one are those of the operations one by one, to the bit.
#[test]
fn what_is_done_in_one_equals_what_is_done_step_by_step() {
    use glm_kernels::cpu::rope::{Heads as Rotated, Pairing};
    let dense = |out: usize, inner: usize| {
        let bytes = (0..out * inner).flat_map(|i| (i as f32 * 0.37).sin().to_le_bytes()).collect();
        Frozen { weight: Arc::new(Dense::new(inner, DenseType::F32, bytes)), compute: Compute::F32 }
    };
    let vector = |n: usize, phase: f32| wave((1, n), phase).flatten_all().unwrap();
    let layer = || FrozenNorm::Layer { weight: vector(6, 0.4), bias: vector(6, 0.9), eps: 1e-5 };
    let plain = |x: &Tensor| layer_norm(x, &vector(6, 0.4), &vector(6, 0.9), 1e-5).unwrap();
    let same = |name: &str, at: &[&Tensor], one: &dyn Fn(&[Var]) -> Tensor, steps: &dyn Fn(&[Var]) -> Tensor| {
        let run = |f: &dyn Fn(&[Var]) -> Tensor| -> Vec<Vec<f32>> {
            let vars: Vec<Var> = at.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
            let y = f(&vars);
            let gradient = wave(y.dims2().unwrap(), 0.15);
            let store = seeded(&y, &gradient).unwrap().backward().unwrap();
            let gradients = vars.iter().map(|var| store.get(var.as_tensor()).expect("a gradient").clone());
            std::iter::once(y.clone()).chain(gradients).map(|t| t.flatten_all().unwrap().to_vec1().unwrap()).collect()
        };
        assert_eq!(run(one), run(steps), "{name}");
    };
    let heads = Rotated { stride: 24, rotated: 4, head_dim: 4, rotary: 4, pairing: Pairing::Sections };
    let table = Arc::new(RopeTable::sections(&[3, 2], &[0, 5], heads).from_rows_by_head(2));
    let (weight, bias, x) = (dense(24, 6), vector(24, 0.7), wave((2, 6), 0.5));
    same(
        "normed_linear",
        &[&x],
        &|v| normed_linear(&v[0], layer(), &weight, Some(&bias), Some(&table)).unwrap(),
        &|v| rope(&frozen_linear(&plain(&v[0]), &weight, Some(&bias)).unwrap(), &table).unwrap(),
    );
    let (weight, bias) = (dense(6, 4), vector(6, 0.7));
    let wide = wave((2, 4), 0.6);
    same(
        "added_linear",
        &[&wide, &x],
        &|v| added_linear(&v[0], &weight, Some(&bias), &v[1], Onto::Input).unwrap(),
        &|v| add(&v[1], &frozen_linear(&v[0], &weight, Some(&bias)).unwrap()).unwrap(),
    );
    for (activation, wide) in [(Activation::SwiGlu, 8), (Activation::GeluTanh, 4)] {
        let onto = || Onto::Normed { norm: layer(), factor: 7.5 };
        let parts = FrozenMlp { norm: layer(), ..mlp([wide, 6, 4], activation, onto()) };
        let linear = |i: usize, x: &Tensor| {
            let (weight, bias) = &parts.layers[i];
            frozen_linear(x, weight, bias.as_ref()).unwrap()
        };
        let active = |x: &Tensor| match activation {
            Activation::SwiGlu => swiglu(x).unwrap(),
            Activation::GeluTanh => gelu(x).unwrap(),
        };
        same("frozen_mlp", &[&x], &|v| frozen_mlp(&v[0], parts.clone()).unwrap(), &|v| {
            let normed = plain(&v[0]);
            add_scaled(&normed, 7.5, &linear(1, &active(&linear(0, &plain(&v[0]))))).unwrap()
        });
    }
    let narrow = wave((2, 4), 0.3);
    same(
        "added_linear onto a norm",
        &[&narrow, &x],
        &|v| {
            let onto = Onto::Normed { norm: layer(), factor: 7.5 };
            added_linear(&v[0], &weight, None, &v[1], onto).unwrap()
        },
        &|v| {
            let update = frozen_linear(&v[0], &weight, None).unwrap();
            add_scaled(&plain(&v[1]), 7.5, &update).unwrap()
        },
    );
    // A second backward pass over the same tape, which has given its rows away in the first.
    let onto = Onto::Normed { norm: layer(), factor: 7.5 };
    let var = Var::from_tensor(&x).unwrap();
    let y = frozen_mlp(&var, FrozenMlp { norm: layer(), ..mlp([8, 6, 4], Activation::SwiGlu, onto) }).unwrap();
    let root = seeded(&y, &wave((2, 6), 0.1)).unwrap();
    let twice = [(); 2].map(|()| root.backward().unwrap().get(&var).unwrap().to_vec2::<f32>().unwrap());
    assert_eq!(twice[0], twice[1]);
    // What does not train gets no gradient.
    let var = Var::from_tensor(&narrow).unwrap();
    let y = added_linear(&var, &weight, None, &x, Onto::Input).unwrap();
    let store = seeded(&y, &wave((2, 6), 0.1)).unwrap().backward().unwrap();
    assert!(store.get(var.as_tensor()).is_some() && store.get(&x).is_none());
}

#[test]
fn a_seeded_root_passes_its_gradient_on() {
    let var = Var::from_tensor(&wave((2, 3), 0.1)).unwrap();
    let gradient = wave((2, 3), 0.8);
    for scale in [1.0, 0.25] {
        let root = (seeded(&add(var.as_tensor(), var.as_tensor()).unwrap(), &gradient).unwrap() * scale).unwrap();
        let found = root.backward().unwrap().get(var.as_tensor()).unwrap().to_vec2::<f32>().unwrap();
        let expected = (&gradient * (2.0 * scale)).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
fn weights_rounded_to_bf16_pass_their_gradient_as_if_they_were_not() {
    // Half way between two bfloat16 numbers, ties go to the even one; beyond the largest there is infinity.
    let values = vec![1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, 1.004, -0.3, 0.0, f32::MAX];
    let var = Var::from_tensor(&tensor(values.clone(), (2, 3)).unwrap()).unwrap();
    let y = rounded_to_bf16(var.as_tensor()).unwrap();
    let expected = [1.0, 1.015_625, 1.007_812_5, -0.300_781_25, 0.0, f32::INFINITY];
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected);
    assert_eq!(var.flatten_all().unwrap().to_vec1::<f32>().unwrap(), values, "the master is kept");
    let gradient = wave((2, 3), 0.2);
    let store = seeded(&y, &gradient).unwrap().backward().unwrap();
    let found = store.get(var.as_tensor()).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(found, gradient.to_vec2::<f32>().unwrap());
}

#[test]
fn wrong_shapes_are_errors() {
    let weight = Frozen { weight: Arc::new(Dense::new(4, DenseType::F32, vec![0; 32])), compute: Compute::F32 };
    assert!(frozen_linear(&wave((2, 3), 0.0), &weight, None).is_err());
    let vector = |n: usize| wave((1, n), 0.0).flatten_all().unwrap();
    let norm = || FrozenNorm::Rms { weight: vector(3), eps: 1e-5 };
    assert!(normed_linear(&wave((2, 3), 0.0), norm(), &weight, None, None).is_err());
    let (a, onto) = (wave((2, 4), 0.0), wave((3, 2), 0.0));
    assert!(added_linear(&a, &weight, None, &onto, Onto::Input).is_err());
    assert!(frozen_mlp(&a, mlp([8, 5, 4], Activation::SwiGlu, Onto::Input)).is_err());
    let narrow = || Onto::Normed { norm: FrozenNorm::Rms { weight: vector(2), eps: 1e-5 }, factor: 1.0 };
    assert!(frozen_mlp(&a, mlp([8, 4, 4], Activation::SwiGlu, narrow())).is_err());
    let bytes = vec![0; 64];
    let square = Frozen { weight: Arc::new(Dense::new(4, DenseType::F32, bytes)), compute: Compute::F32 };
    assert!(normed_linear(&a, FrozenNorm::Rms { weight: vector(2), eps: 1e-5 }, &square, None, None).is_err());
    assert!(added_linear(&a, &square, None, &a, narrow()).is_err());
    assert!(frozen_mlp(&a, mlp([6, 4, 4], Activation::SwiGlu, Onto::Input)).is_err());
    assert!(layer_norm(&wave((2, 3), 0.0), &vector(3), &vector(2), 1e-5).is_err());
    assert!(layer_norm(&wave((2, 3), 0.0), &vector(4), &vector(4), 1e-5).is_err());
    for (labels, factors) in [(&[0, 3][..], &[1.0; 2][..]), (&[0], &[1.0]), (&[0, 1], &[1.0])] {
        assert!(cross_entropy(&wave((2, 3), 0.0), labels, factors).is_err());
        assert!(
            output_loss(&wave((2, 4), 0.0), &weight, &labels.iter().map(|l| l + 5).collect::<Vec<_>>(), factors)
                .is_err()
        );
    }
    assert!(output_loss(&wave((2, 4), 0.0), &weight, &[0, 1], &[1.0]).is_err());
    assert!(output_loss(&wave((2, 3), 0.0), &weight, &[0, 1], &[1.0; 2]).is_err());
    let shape = Heads { heads: 2, groups: 1, head_dim: 2 };
    let spans = Arc::new(vec![span(0, 3, 0, 0..0)]);
    assert!(attention(&wave((2, shape.fused()), 0.0), None, shape, &spans).is_err());
}
