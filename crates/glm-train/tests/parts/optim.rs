use glm_train::Optim;
use glm_train::optim::{AdamW, AdamWConfig, Norms, OptimError, ParamSlice, decays};
use serde_json::Value;

use crate::{f32s, golden};

const CONFIG: AdamWConfig =
    AdamWConfig { form: Optim::AdamwTorch, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };

/// Takes over a state, last tensor first.
fn load(optimizer: &mut AdamW, steps: u64, state: &[(String, Vec<f32>)]) -> Result<(), OptimError> {
    let held = state.iter().rev().map(|(name, values)| (name.as_str(), values.len()));
    optimizer.load_state(steps, held, |name, moment| {
        let (_, values) = state.iter().find(|(held, _)| held == name).unwrap();
        moment.copy_from_slice(values);
        Ok(())
    })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Replays a golden run. `reload_at`: the state is moved to a new optimizer before that step.
///
/// The moments must equal torch's bit for bit. Parameters may be a rounding apart: torch's vector square root comes from
/// MKL and is one unit off in about a fifth of all cases, ours is correctly rounded.
fn replay(run: &Value, decayed: &Value, reload_at: Option<usize>) {
    let config = AdamWConfig {
        form: serde_json::from_value(run["optim"].clone()).unwrap(),
        weight_decay: run["weight_decay"].as_f64().unwrap(),
        eps: run["eps"].as_f64().unwrap(),
        ..CONFIG
    };
    let names: Vec<&String> = run["start"].as_object().unwrap().keys().collect();
    let mut values: Vec<Vec<f32>> = names.iter().map(|n| f32s(&run["start"][*n])).collect();
    let fresh = |values: &[Vec<f32>]| AdamW::new(config, names.iter().zip(values).map(|(n, v)| (n.as_str(), v.len())));
    let mut optimizer = fresh(&values);
    let mut moved = 0.0;
    for (i, step) in run["steps"].as_array().unwrap().iter().enumerate() {
        if reload_at == Some(i) {
            let mut other = fresh(&values);
            let state: Vec<_> = optimizer.state().map(|(n, v)| (n, v.to_vec())).collect();
            load(&mut other, optimizer.steps_done(), &state).unwrap();
            optimizer = other;
        }
        let grads: Vec<Vec<f32>> = names.iter().map(|n| f32s(&step["grads"][*n])).collect();
        let mut params: Vec<ParamSlice> = names
            .iter()
            .zip(values.iter_mut().zip(&grads))
            .map(|(name, (value, grad))| {
                let decay = decayed.as_array().unwrap().iter().any(|d| d.as_str() == Some(name));
                ParamSlice { name, value, grad, decay }
            })
            .collect();
        let lr = step["lr"].as_f64().unwrap();
        optimizer.step(lr, &mut params).unwrap();
        moved += lr as f32;
        for (name, value) in names.iter().zip(&values) {
            for (j, (found, expected)) in value.iter().zip(f32s(&step["params"][*name])).enumerate() {
                let bound = f32::EPSILON * (expected.abs() + moved);
                let what = format!("{} wd {} step {} {name}[{j}]", run["optim"], run["weight_decay"], i + 1);
                assert!((found - expected).abs() <= bound, "{what}: {found} against {expected}");
            }
        }
    }
    for (tensor, found) in optimizer.state() {
        let (kind, name) = tensor.split_once('.').unwrap();
        assert_eq!(bits(found), bits(&f32s(&run["moments"][kind][name])), "{} {tensor}", run["optim"]);
    }
}

#[test]
fn both_forms_follow_torch() {
    let golden = golden("adamw.json");
    for run in golden["runs"].as_array().unwrap() {
        replay(run, &golden["decays"], None);
    }
}

#[test]
fn a_reloaded_state_goes_on() {
    let golden = golden("adamw.json");
    for run in golden["runs"].as_array().unwrap() {
        replay(run, &golden["decays"], Some(3));
    }
}

#[test]
fn a_reload_changes_no_bit() {
    let run = |reload: bool| {
        let mut value = [1.0f32, -2.0];
        let mut optimizer = AdamW::new(CONFIG, [("w", 2)]);
        for i in 1..10 {
            if reload && i == 5 {
                let state: Vec<_> = optimizer.state().map(|(n, v)| (n, v.to_vec())).collect();
                let steps = optimizer.steps_done();
                optimizer = AdamW::new(CONFIG, [("w", 2)]);
                load(&mut optimizer, steps, &state).unwrap();
            }
            let grad = [1.0 / i as f32, 0.3];
            let mut params = [ParamSlice { name: "w", value: &mut value, grad: &grad, decay: true }];
            optimizer.step(0.01, &mut params).unwrap();
        }
        bits(&value)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn the_result_does_not_depend_on_where_an_element_stands() {
    // More than one task's share, so that chunk borders, vector bodies and tails all occur.
    let n = 100_003;
    let grad: Vec<f32> = (0..n).map(|i| ((i % 7) as f32 - 3.0) * 0.1).collect();
    for form in [Optim::AdamwHf, Optim::AdamwTorch] {
        let mut value = vec![0.5f32; n];
        let mut optimizer = AdamW::new(AdamWConfig { form, ..CONFIG }, [("w", n)]);
        for _ in 0..3 {
            let mut params = [ParamSlice { name: "w", value: &mut value, grad: &grad, decay: true }];
            optimizer.step(0.01, &mut params).unwrap();
        }
        for i in 0..n {
            assert_eq!(value[i].to_bits(), value[i % 7].to_bits(), "{form:?} element {i}");
        }
        assert!(value[0] > 0.5 && value[6] < 0.5, "down the gradient");
    }
}

#[test]
fn a_first_moment_that_forgets_fast_interpolates_from_the_gradient() {
    // lerp with weight 0.75: m = 0.75 g, and the bias correction takes the 0.75 out again.
    let mut optimizer = AdamW::new(AdamWConfig { beta1: 0.25, weight_decay: 0.0, ..CONFIG }, [("w", 1)]);
    let mut value = [1.0f32];
    optimizer.step(0.5, &mut [ParamSlice { name: "w", value: &mut value, grad: &[2.0], decay: true }]).unwrap();
    assert!((value[0] - 0.5).abs() < 1e-6, "{}", value[0]);
    let exp_avg = optimizer.state().find(|(n, _)| n == "exp_avg.w").unwrap().1[0];
    assert_eq!(exp_avg, 1.5);
}

#[test]
fn other_tensors_than_at_the_start_are_refused_and_change_nothing() {
    let mut optimizer = AdamW::new(CONFIG, [("a", 2), ("b", 1)]);
    let (mut a, mut b) = ([1.0f32, 2.0], [3.0f32]);
    let error = optimizer
        .step(0.1, &mut [ParamSlice { name: "a", value: &mut a, grad: &[1.0, 1.0], decay: true }])
        .unwrap_err();
    assert_eq!(error, OptimError::Count { expected: 2, found: 1 });
    let mut swapped = [
        ParamSlice { name: "b", value: &mut b, grad: &[1.0], decay: true },
        ParamSlice { name: "a", value: &mut a, grad: &[1.0, 1.0], decay: true },
    ];
    assert!(matches!(optimizer.step(0.1, &mut swapped), Err(OptimError::Name { place: 0, .. })));
    let mut short = [
        ParamSlice { name: "a", value: &mut a, grad: &[1.0], decay: true },
        ParamSlice { name: "b", value: &mut b, grad: &[1.0], decay: true },
    ];
    let error = optimizer.step(0.1, &mut short).unwrap_err();
    assert_eq!(error, OptimError::Length { tensor: "gradient of a".into(), expected: 2, found: 1 });
    assert_eq!((a, b, optimizer.steps_done()), ([1.0, 2.0], [3.0], 0));
}

#[test]
fn tensors_may_come_one_after_the_other_in_their_order() {
    let grads = [[0.5f32, -1.0], [0.25, 2.0]];
    let sizes = [("a", 2), ("b", 2)];
    let (mut together, mut single) = ([[1.0f32, 2.0]; 2], [[1.0f32, 2.0]; 2]);
    let (mut first, mut second) = (AdamW::new(CONFIG, sizes), AdamW::new(CONFIG, sizes));
    for _ in 0..3 {
        let [a, b] = &mut together;
        let param = |name, value, grad| ParamSlice { name, value, grad, decay: true };
        first.step(0.1, &mut [param("a", &mut a[..], &grads[0]), param("b", &mut b[..], &grads[1])]).unwrap();
        let mut step = second.begin_step(0.1);
        for ((name, _), (value, grad)) in sizes.into_iter().zip(single.iter_mut().zip(&grads)) {
            step.update(&mut ParamSlice { name, value, grad, decay: true }).unwrap();
        }
        step.finish().unwrap();
    }
    assert_eq!((bits(&together.concat()), first.steps_done()), (bits(&single.concat()), second.steps_done()));
    let mut step = second.begin_step(0.1);
    let mut wrong = ParamSlice { name: "b", value: &mut [1.0, 2.0], grad: &[1.0, 2.0], decay: true };
    let error = step.update(&mut wrong).unwrap_err();
    assert_eq!(error, OptimError::Name { place: 0, expected: "a".into(), found: "b".into() });
    assert_eq!(step.finish(), Err(OptimError::Count { expected: 2, found: 0 }));
}

#[test]
fn a_foreign_state_is_refused_and_changes_nothing() {
    let mut optimizer = AdamW::new(CONFIG, [("w", 1)]);
    let one = [1.0f32];
    let moment = |name: &str, values: &[f32]| (name.to_owned(), values.to_vec());
    let missing = load(&mut optimizer, 5, &[moment("exp_avg.w", &one)]).unwrap_err();
    assert_eq!(missing, OptimError::Missing { tensor: "exp_avg_sq.w".into() });
    let all = [moment("exp_avg.w", &one), moment("exp_avg_sq.w", &one), moment("exp_avg.v", &one)];
    let extra = load(&mut optimizer, 5, &all).unwrap_err();
    assert_eq!(extra, OptimError::Extra { tensor: "exp_avg.v".into() });
    let long = [moment("exp_avg.w", &[1.0, 2.0]), moment("exp_avg_sq.w", &one)];
    let long = load(&mut optimizer, 5, &long).unwrap_err();
    assert_eq!(long, OptimError::Length { tensor: "exp_avg.w".into(), expected: 1, found: 2 });
    assert_eq!(optimizer.steps_done(), 0);
    assert!(optimizer.state().all(|(_, v)| v == [0.0]));
}

#[test]
fn the_fixtures_say_which_tensors_decay() {
    for name in ["ptuning-noproj", "ptuning-proj"] {
        for (run_name, run) in glm_testkit::json(&format!("glm2-tiny/{name}.json"))["runs"].as_object().unwrap() {
            // The Trainer's first group decays, the second does not.
            for (group, expected) in run["param_groups"].as_array().unwrap().iter().zip([true, false]) {
                for tensor in group["params"].as_array().unwrap() {
                    let tensor = tensor.as_str().unwrap();
                    assert_eq!(decays(tensor, Norms::RmsNorm), expected, "{name} {run_name} {tensor}");
                }
            }
        }
    }
}

#[test]
fn only_torch_layer_norms_do_not_decay() {
    let norm = "transformer.layers.0.input_layernorm.weight";
    assert!(!decays(norm, Norms::LayerNorm));
    assert!(decays(norm, Norms::RmsNorm));
    assert!(decays("transformer.layers.0.mlp.dense_h_to_4h.weight", Norms::LayerNorm));
    assert!(!decays("transformer.layers.0.mlp.dense_h_to_4h.bias", Norms::RmsNorm));
}
