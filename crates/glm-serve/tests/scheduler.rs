//! Requests over sockets' back: what the scheduler answers is what each prompt gives alone, whatever is answered beside it.

#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

use glm_data::{Positions, Tokenizer, Variant};
use glm_infer::{Engine, GenerationConfig, Request};
use glm_model::{LoadOptions, Network};
use glm_serve::{Answerer, Event, Failure, Job, Limits, Metrics, Model, Models, Refused, Scheduler};
use glm_testkit::{fixture, json};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const MUCH: usize = 1 << 30;

fn limits(cache_bytes: usize) -> Limits {
    Limits { max_batch: 8, max_queue: 64, cache_bytes, keep_pasts: true }
}

/// A base of the fixtures with its adapters, and prompts.
fn room(base: &str, variant: Variant) -> (Models, Vec<Vec<u32>>) {
    let network = Network::load(&fixture(&format!("{base}/model")), LoadOptions::default(), &mut |_, _| {}).unwrap();
    let vocabulary = match variant {
        Variant::ChatGlm => "glm1-tokenizer/ice_text.model",
        _ => "tiny-tokenizer/tokenizer.model",
    };
    let tokenizer = Tokenizer::from_file(&fixture(vocabulary), variant).unwrap();
    let models = Models::new(Arc::new(Model::new(network, tokenizer)), "base");
    for (name, folder) in [
        ("prefix", "ptuning-noproj-checkpoint"),
        ("lora", "lora/adapter-all"),
        ("projected", "ptuning-proj-checkpoint"),
        ("qkv", "lora/adapter-qkv"),
    ] {
        models.load(name, &fixture(&format!("{base}/{folder}"))).unwrap();
    }
    let meta = json(&format!("{base}/generate.json"));
    let pad = meta["pad_token_id"].as_u64().unwrap();
    let rows = meta["generation"]["batch"]["input_ids"].as_array().unwrap();
    let prompt = |row: &serde_json::Value| {
        let ids = row.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).skip_while(|id| *id == pad);
        ids.map(|id| id as u32).collect()
    };
    (models, rows.iter().map(prompt).collect())
}

fn config(tokens: usize) -> GenerationConfig {
    GenerationConfig { do_sample: false, max_new_tokens: Some(tokens), ..GenerationConfig::default() }
}

fn request(models: &Models, answerer: &Answerer, prompt: &[u32], config: &GenerationConfig) -> Request {
    let network = &models.model().network;
    let positions = match network.config().variant {
        // The prompts of the goldens end with two special tokens, as every prompt of this variant.
        Variant::ChatGlm => Positions::Block { context_len: prompt.len() - 1, mask_position: prompt.len() - 2 },
        _ => Positions::Linear,
    };
    Request { positions, ..Request::new(prompt.to_vec(), answerer.slot(), config) }
}

type Events = UnboundedReceiver<(usize, Event)>;

fn job(models: &Models, answerer: &Arc<Answerer>, prompt: &[u32], config: &GenerationConfig) -> (Job, Events) {
    let (events, receiver) = unbounded_channel();
    let job = Job {
        request: request(models, answerer, prompt, config),
        config: config.clone(),
        answerer: Arc::clone(answerer),
        asked: Instant::now(),
        deadline: None,
        events,
        choice: 0,
    };
    (job, receiver)
}

/// All tokens that came, and what ended them.
fn end(events: &mut Events) -> (Vec<u32>, Event) {
    let mut told = Vec::new();
    loop {
        match events.blocking_recv().expect("every job ends").1 {
            Event::Token { id, .. } => told.push(id),
            end => return (told, end),
        }
    }
}

fn tokens(events: &mut Events) -> Vec<u32> {
    let (told, end) = end(events);
    let Event::Done { answer, used } = end else { panic!("{end:?}") };
    assert_eq!((&told, used.completion), (&answer.tokens, told.len()));
    told
}

/// What every prompt gives with every model, alone.
fn alone(models: &Models, prompts: &[Vec<u32>], config: &GenerationConfig) -> Vec<(Arc<Answerer>, Vec<u32>, Vec<u32>)> {
    let model = models.model();
    let engine = Engine::new(&model.network, &model.slots, model.special());
    let stop = AtomicBool::new(false);
    let pairs = models.all().into_iter().flat_map(|a| prompts.iter().map(move |prompt| (Arc::clone(&a), prompt)));
    pairs
        .map(|(answerer, prompt)| {
            let request = request(models, &answerer, prompt, config);
            let answer = engine.generate(&[request], config, &stop, &mut |_, _| {}).unwrap().remove(0);
            (answerer, prompt.clone(), answer.tokens)
        })
        .collect()
}

#[test]
fn every_mix_answers_as_each_does_alone() {
    for (base, variant) in [("glm2-tiny", Variant::ChatGlm2), ("glm1-tiny", Variant::ChatGlm)] {
        let (models, prompts) = room(base, variant);
        let config = config(12);
        let expected = alone(&models, &prompts, &config);
        let longest = prompts.iter().map(Vec::len).max().unwrap() + 12;
        let one = models.model().cache_bytes(longest);
        // With room for all, with room for three, whose rows give way to one another, and with room for one.
        for cache in [MUCH, 3 * one, one] {
            let metrics = Arc::new(Metrics::new(cache));
            let scheduler = Scheduler::start(Arc::clone(models.model()), limits(cache), metrics).unwrap();
            // Twice: the second time what is kept of the first is used.
            for round in 0..2 {
                let mut waiting = Vec::new();
                for (number, (answerer, prompt, expected)) in expected.iter().enumerate() {
                    let (job, events) = job(&models, answerer, prompt, &config);
                    scheduler.submit(&format!("client {}", number % 3), vec![job]).unwrap();
                    waiting.push((answerer.id.clone(), events, expected));
                }
                for (id, mut events, expected) in waiting {
                    assert_eq!(tokens(&mut events), *expected, "{base} {id}, {cache} bytes, round {round}");
                }
            }
        }
    }
}

#[test]
fn the_beginning_of_a_conversation_is_not_read_again() {
    let (models, prompts) = room("glm2-tiny", Variant::ChatGlm2);
    let scheduler = Scheduler::start(Arc::clone(models.model()), limits(MUCH), Arc::new(Metrics::new(MUCH))).unwrap();
    let long: Vec<u32> = prompts.concat().into_iter().cycle().take(64).collect();
    let config = config(8);
    let ask = |answerer: &Arc<Answerer>, prompt: &[u32]| {
        let (job, mut events) = job(&models, answerer, prompt, &config);
        scheduler.submit("client", vec![job]).unwrap();
        let (_, Event::Done { answer, used }) = end(&mut events) else { panic!("no answer") };
        (answer.tokens, used.cached)
    };
    let lora = models.find("lora").unwrap();
    let expected = |answerer: &Arc<Answerer>, prompt: &[u32]| {
        let model = models.model();
        let engine = Engine::new(&model.network, &model.slots, model.special());
        let request = request(&models, answerer, prompt, &config);
        engine.generate(&[request], &config, &AtomicBool::new(false), &mut |_, _| {}).unwrap().remove(0).tokens
    };
    let (first, cached) = ask(&lora, &long);
    assert_eq!((&first, cached), (&expected(&lora, &long), 0));
    // The conversation goes on after the answer; all but its last token, which the network never saw, is there.
    let next = [long.as_slice(), &first, &[5, 6, 7]].concat();
    assert_eq!(ask(&lora, &next), (expected(&lora, &next), long.len() + first.len() - 1));
    // The same question again, and one that begins alike.
    assert_eq!(ask(&lora, &long), (first, long.len() - 1));
    let other = [&long[..40], &[9, 9]].concat();
    assert_eq!(ask(&lora, &other), (expected(&lora, &other), 40));
    // Keys and values of one adapter are no use to another.
    let base = models.base();
    assert_eq!(ask(base, &long), (expected(base, &long), 0));
    // Another one under the same name is another one.
    models.replace("lora", &fixture("glm2-tiny/lora/adapter-qkv")).unwrap();
    let replaced = models.find("lora").unwrap();
    drop(lora);
    assert_eq!(ask(&replaced, &long), (expected(&replaced, &long), 0));
}

#[test]
fn who_goes_makes_room_and_who_is_late_is_told() {
    let (models, prompts) = room("glm2-tiny", Variant::ChatGlm2);
    let limits = Limits { max_batch: 1, max_queue: 2, ..limits(MUCH) };
    let metrics = Arc::new(Metrics::new(MUCH));
    let scheduler = Scheduler::start(Arc::clone(models.model()), limits, Arc::clone(&metrics)).unwrap();
    let mut endless = config(100_000);
    endless.repetition = None;
    let base = models.base();
    // No token ends this one: it runs until it is cancelled.
    let start = |deadline: Option<Duration>| {
        let (mut job, events) = job(&models, base, &prompts[0], &endless);
        job.deadline = deadline.map(|after| Instant::now() + after);
        (job, events)
    };
    let (job, mut running) = start(None);
    scheduler.submit("a", vec![job]).unwrap();
    assert!(matches!(running.blocking_recv(), Some((0, Event::Token { .. }))));
    let (late, mut too_late) = start(Some(Duration::from_millis(50)));
    let (other, waiting) = start(None);
    scheduler.submit("b", vec![late, other]).unwrap();
    let full = std::iter::from_fn(|| {
        let (job, events) = start(None);
        Some((scheduler.submit("c", vec![job]), events))
    });
    let refused = full.take(4).find_map(|(result, _)| result.err()).expect("the queue is full at last");
    assert!(matches!(refused, Refused::Full { retry_after: 1.., .. }), "{refused:?}");
    assert_eq!(end(&mut too_late).1, Event::Failed(Failure::Deadline));
    // Both clients go; a third one is answered.
    drop((running, waiting));
    let short = config(3);
    let (last, mut answered) = self::job(&models, base, &prompts[0], &short);
    let began = Instant::now();
    let mut last = Some(last);
    while let Some(job) = last.take() {
        if let Err(Refused::Full { .. }) = scheduler.submit("d", vec![job]) {
            assert!(began.elapsed() < Duration::from_secs(30), "no room");
            std::thread::sleep(Duration::from_millis(5));
            let (again, events) = self::job(&models, base, &prompts[0], &short);
            (last, answered) = (Some(again), events);
        }
    }
    assert_eq!(tokens(&mut answered).len(), 3);
    assert!(metrics.text().contains("outcome=\"cancelled\""), "{}", metrics.text());
    // What never fits is refused at once.
    let small = Limits { cache_bytes: models.model().cache_bytes(64), ..limits };
    let scheduler = Scheduler::start(Arc::clone(models.model()), small, metrics).unwrap();
    let (job, _events) = start(None);
    assert!(matches!(scheduler.submit("a", vec![job]), Err(Refused::TooLarge { .. })));
    // Stopped: nothing new is taken, what runs is ended.
    let (job, mut events) = self::job(&models, base, &prompts[0], &config(32));
    scheduler.submit("a", vec![job]).unwrap();
    scheduler.shut_down(Duration::from_secs(20));
    assert_eq!(tokens(&mut events).len(), 32);
    let (job, _events) = self::job(&models, base, &prompts[0], &short);
    assert!(matches!(scheduler.submit("a", vec![job]), Err(Refused::Stopping)));
}

#[test]
fn an_adapter_stays_until_its_last_answer() {
    let (models, prompts) = room("glm2-tiny", Variant::ChatGlm2);
    let scheduler = Scheduler::start(Arc::clone(models.model()), limits(MUCH), Arc::new(Metrics::new(MUCH))).unwrap();
    let config = config(200);
    let prefix = models.find("base:prefix").unwrap();
    let all = alone(&models, &prompts[..1], &config);
    let (_, _, expected) = all.into_iter().find(|(answerer, ..)| answerer.id == prefix.id).unwrap();
    let slot = prefix.slot().unwrap();
    let (job, mut events) = job(&models, &prefix, &prompts[0], &config);
    drop(prefix);
    scheduler.submit("a", vec![job]).unwrap();
    models.unload("prefix").unwrap();
    assert!(models.find("base:prefix").is_none() && models.unload("prefix").is_err());
    assert_eq!(tokens(&mut events), expected);
    drop(scheduler);
    assert!(!models.model().slots.contains(slot));
}

#[test]
fn a_long_prompt_and_what_was_kept_are_in_nobodys_way() {
    let (models, prompts) = room("glm2-tiny", Variant::ChatGlm2);
    let metrics = Arc::new(Metrics::new(MUCH));
    let scheduler = Scheduler::start(Arc::clone(models.model()), limits(MUCH), Arc::clone(&metrics)).unwrap();
    let base = models.base();
    let long: Vec<u32> = prompts.concat().into_iter().cycle().take(6000).collect();
    let (slow, mut slow_events) = job(&models, base, &long, &config(2));
    let (quick, mut quick_events) = job(&models, base, &prompts[0], &config(2));
    scheduler.submit("long", vec![slow]).unwrap();
    scheduler.submit("short", vec![quick]).unwrap();
    assert_eq!(tokens(&mut quick_events).len(), 2);
    assert!(slow_events.try_recv().is_err(), "the long prompt was read first");
    assert_eq!(tokens(&mut slow_events).len(), 2);
    // Prompts that are read in both directions begin no others.
    let (models, prompts) = room("glm1-tiny", Variant::ChatGlm);
    let scheduler = Scheduler::start(Arc::clone(models.model()), limits(MUCH), Arc::clone(&metrics)).unwrap();
    let long: Vec<u32> = prompts[0][..prompts[0].len() - 2]
        .iter()
        .cycle()
        .take(40)
        .chain(&prompts[0][prompts[0].len() - 2..])
        .copied()
        .collect();
    let (job, mut events) = job(&models, models.base(), &long, &config(4));
    scheduler.submit("one", vec![job]).unwrap();
    assert_eq!(tokens(&mut events).len(), 4);
    scheduler.shut_down(Duration::from_secs(20));
    assert!(metrics.text().contains("glmtune_kv_cache_kept_bytes 0"), "{}", metrics.text());
}
