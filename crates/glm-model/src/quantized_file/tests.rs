use super::*;
use crate::Network;
use crate::glm::Weight;
use crate::quant::DenseType;
use crate::random_base::RandomBase;
use crate::weights::FileFormat;
use crate::weights::{ElementType, TensorBytes, safetensors_metadata, stream_safetensors};
use glm_data::Variant;
use glm_kernels::cpu::frozen::Values;
use glm_testkit::fixture;
use std::fs;

const SCHEMES: [Scheme; 3] = [Scheme::Int4, Scheme::Int8, Scheme::Int4Group { group: 32 }];

/// A copy of a base, so that a test may change it, and a folder for quantized forms.
struct Bench {
    base: tempfile::TempDir,
    cache: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), base.path().join(entry.file_name())).unwrap();
        }
        Self { base, cache: tempfile::tempdir().unwrap() }
    }

    fn parts(&self, scheme: Scheme) -> (GlmConfig, WeightFolder, LoadOptions) {
        let options = LoadOptions { scheme, ..LoadOptions::default() };
        (GlmConfig::read(self.base.path()).unwrap(), WeightFolder::open(self.base.path()).unwrap(), options)
    }

    fn file(&self, scheme: Scheme) -> QuantizedFile {
        let (config, weights, options) = self.parts(scheme);
        QuantizedFile::new(self.cache.path(), &config, &weights, options).expect("it would be quantized")
    }

    fn load(&self, scheme: Scheme, quantized: Quantized) -> Network {
        let (config, weights, options) = self.parts(scheme);
        Network::from_quantized(config, &weights, options, quantized, &mut |_, _| {}).unwrap()
    }

    /// Writes the file.
    fn written(&self, scheme: Scheme) -> QuantizedFile {
        let file = self.file(scheme);
        file.write(&self.load(scheme, Quantized::default())).unwrap();
        file
    }

    /// Why the file is of no use now.
    #[track_caller]
    fn refused(&self, scheme: Scheme, part: &str) {
        let reason = self.file(scheme).open().expect_err("of no use");
        assert!(reason.contains(part), "{reason} lacks {part}");
    }
}

/// All weights of all linear layers.
fn values(network: &Network) -> Vec<f32> {
    let mut values = Vec::new();
    for linear in network.blocks().iter().flat_map(|block| block.linears()) {
        let Weight::Frozen(frozen) = &linear.weight else { panic!("it trains") };
        let (out, inner) = frozen.weight.shape();
        let mut row = vec![0.0; inner];
        for index in 0..out {
            frozen.weight.row(index, &mut row);
            values.extend_from_slice(&row);
        }
    }
    values
}

#[test]
fn what_was_written_is_what_is_quantized() {
    for name in ["glm2-tiny/model", "glm1-tiny/model"] {
        let bench = Bench::new(name);
        for scheme in SCHEMES {
            assert!(bench.file(scheme).open().unwrap().is_none(), "{name} {scheme}: it is not there yet");
            let file = bench.written(scheme);
            let quantized = bench.file(scheme).open().unwrap().expect("it is there");
            assert_eq!(quantized.0.len(), file.matrices.len());
            let (fresh, again) = (bench.load(scheme, Quantized::default()), bench.load(scheme, quantized));
            assert_eq!(values(&fresh), values(&again), "{name} {scheme}");
            assert_eq!(fresh.bytes(), again.bytes());
            let tensors = fs::metadata(file.path()).unwrap().len() - file.bytes();
            assert!(tensors < 20_000, "{name} {scheme}: {tensors} bytes beside the tensors");
        }
        let files = fs::read_dir(bench.cache.path()).unwrap().count();
        assert_eq!(files, SCHEMES.len(), "one file a scheme, and nothing else");
    }
}

/// A base that is wide enough for rows to be interleaved; the fixtures are not.
#[test]
fn interleaved_rows_are_kept_and_mapped() {
    let bench = Bench { base: tempfile::tempdir().unwrap(), cache: tempfile::tempdir().unwrap() };
    let sizes = [("num_layers", 1), ("hidden_size", 256), ("ffn_hidden_size", 512), ("kv_channels", 64)];
    let sizes = sizes.into_iter().chain([("num_attention_heads", 4), ("padded_vocab_size", 100)]).collect();
    let (dtype, format) = (DenseType::F16, FileFormat::Safetensors);
    let variant = Variant::ChatGlm2;
    let base = RandomBase { variant, sizes, seed: 3, dtype, format, shard_size: u64::MAX, tokenizer: None };
    base.write(bench.base.path(), &mut |_, _| {}).unwrap();
    bench.written(Scheme::Int4);
    let quantized = bench.file(Scheme::Int4).open().unwrap().expect("it is there");
    let (fresh, again) = (bench.load(Scheme::Int4, Quantized::default()), bench.load(Scheme::Int4, quantized));
    assert_eq!(values(&fresh), values(&again));
    for network in [&fresh, &again] {
        for linear in network.blocks().iter().flat_map(|block| block.linears()) {
            let Weight::Frozen(frozen) = &linear.weight else { panic!("a weight trains") };
            assert_eq!(frozen.weight.is_mapped(), std::ptr::eq(network, &again));
            let Values::Int4(packed) = frozen.weight.matrix().values else { panic!("no INT4") };
            assert!(packed.turns() > 1);
        }
    }
    assert_eq!(fresh.bytes(), again.bytes());
}

#[test]
fn a_base_that_changed_is_quantized_again() {
    let bench = Bench::new("glm2-tiny/model");
    bench.written(Scheme::Int4);
    let weights = bench.parts(Scheme::Int4).1;
    let path = weights.files().next().unwrap().0.to_path_buf();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    // The same bytes at another time: what changed cannot be told without reading all.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time + std::time::Duration::from_secs(1)).unwrap();
    bench.refused(Scheme::Int4, "files of the base have changed");
    file.set_modified(time).unwrap();
    assert!(bench.file(Scheme::Int4).open().unwrap().is_some());
    // Other values, although size and time are the same.
    let name = weights.names().next().unwrap();
    let start = weights.entry(name).unwrap().range.start;
    let mut bytes = fs::read(&path).unwrap();
    bytes[start] ^= 1;
    drop(weights);
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    bench.refused(Scheme::Int4, "weights of the base have changed");
    bench.written(Scheme::Int4);
    assert!(bench.file(Scheme::Int4).open().unwrap().is_some());
}

#[test]
fn damage_anywhere_is_found() {
    let bench = Bench::new("glm2-tiny/model");
    for scheme in SCHEMES {
        let path = bench.written(scheme).path().to_path_buf();
        let whole = fs::read(&path).unwrap();
        let header = whole.len() - bench.file(scheme).bytes() as usize;
        for at in [header, header + 777, (header + whole.len()) / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 16;
            fs::write(&path, &bytes).unwrap();
            bench.refused(scheme, "it is damaged");
        }
        for length in [0, 4, 100, header, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            bench.refused(scheme, "");
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        bench.refused(scheme, "");
        fs::write(&path, &whole).unwrap();
        assert!(bench.file(scheme).open().unwrap().is_some());
    }
}

/// A header that promises what it should over tensors that are others: whoever can write the file can write its header.
#[test]
fn a_forged_header_is_no_way_in() {
    let bench = Bench::new("glm2-tiny/model");
    let file = bench.written(Scheme::Int4);
    let header = safetensors_metadata(file.path()).unwrap();
    let mut tensors = file.tensors();
    let forged = |tensors: &[NewTensor], header: &BTreeMap<String, String>| {
        let out = fs::File::create(file.path()).unwrap();
        let content = |index: usize, out: &mut dyn std::io::Write| -> std::io::Result<()> {
            out.write_all(&vec![0; tensors[index].bytes() as usize])
        };
        stream_safetensors(out, tensors, header, &mut { content }).unwrap();
    };
    forged(&tensors, &header);
    bench.refused(Scheme::Int4, "it is damaged");
    let sums = BTreeMap::from([(identity::SUMS.to_owned(), "[]".to_owned())]);
    forged(&tensors, &header.clone().into_iter().chain(sums).collect());
    bench.refused(Scheme::Int4, "its checksums cannot be read");
    tensors[0].shape[0] += 1;
    forged(&tensors, &header);
    bench.refused(Scheme::Int4, "is not in it as expected");
    forged(&tensors[2..], &header);
    bench.refused(Scheme::Int4, "is not in it as expected");
    forged(&tensors[..0], &BTreeMap::new());
    bench.refused(Scheme::Int4, "another kind of file");
}

#[test]
fn only_what_is_quantized_while_it_is_loaded_has_a_file() {
    let bench = Bench::new("glm2-tiny/model");
    let (mut config, weights, mut options) = bench.parts(Scheme::Int8);
    let new = |config: &GlmConfig, options| QuantizedFile::new(bench.cache.path(), config, &weights, options);
    assert!(new(&config, options).is_some());
    options.trains = Trains::LastBlocks(1);
    assert!(new(&config, options).is_none());
    options = LoadOptions::default();
    assert!(new(&config, options).is_none());
    options.scheme = Scheme::Int4;
    config.quantization_bit = Some(4);
    assert!(new(&config, options).is_none());
}

/// When this fails because a quantizer gives other results than before, [`identity::FORMAT`] needs a new number, or files
/// that users have would go on giving the old ones; then the sums here are to be renewed.
#[test]
fn the_results_of_the_quantizers_belong_to_the_number_of_the_format() {
    let mut state = 1u32;
    let values: Vec<u8> = (0..64 * 512)
        .flat_map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 24) as f32 - 0.5).to_le_bytes()
        })
        .collect();
    let tensor = TensorBytes { dtype: ElementType::F32, shape: vec![64, 512], data: &values };
    let sum = |scheme: Scheme| {
        let weight = scheme.freeze(&tensor, None).unwrap();
        write::parts(&*weight).unwrap().map(|part| open::checksum(&part))
    };
    let found = SCHEMES.map(sum);
    assert_eq!(
        (identity::FORMAT, found),
        ("3", [[2661674329, 3123451369], [2805593413, 936873953], [3266641792, 3762103297]])
    );
}
