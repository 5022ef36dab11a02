//! What this machine reaches at its best, measured: the measure of everything else.

use std::collections::BTreeMap;
use std::time::Duration;

use glm_kernels::cpu::machine::{bf16_peak, f32_peak, int8_peak, read_bandwidth};
use glm_model::Compute;
use glm_train::memory;
use serde::Serialize;

/// Least bytes that are read where memory allows.
const LEAST_READ: u64 = 512 << 20;
/// How often a buffer is read.
const PASSES: usize = 8;
/// How long operations are counted.
const COUNTED: Duration = Duration::from_millis(200);

/// The best of this machine, by all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peaks {
    /// Bytes of memory read a second.
    pub read_bytes_per_second: f64,
    /// Multiplications and additions a second in f32.
    pub f32_flops: f64,
    /// The same of products of bfloat16 with sums in f32; `None` without instructions for them.
    pub bf16_flops: Option<f64>,
    /// The same of products of bytes with exact sums; `None` without instructions for them.
    pub int8_ops: Option<f64>,
}

impl Peaks {
    /// Measures; about a second.
    pub fn measure() -> Self {
        let most = memory::available().map_or(LEAST_READ, |free| free / 8);
        let bytes = LEAST_READ.max(4 * last_caches()).min(most);
        // Operations first: threads that have just woken up read more slowly.
        let (f32_flops, bf16_flops, int8_ops) = (f32_peak(COUNTED), bf16_peak(COUNTED), int8_peak(COUNTED));
        Self { read_bytes_per_second: read_bandwidth(bytes as usize, PASSES), f32_flops, bf16_flops, int8_ops }
    }

    /// Operations a second in these numbers.
    pub fn of(&self, compute: Compute) -> f64 {
        match compute {
            Compute::F32 => self.f32_flops,
            Compute::Int8 => self.int8_ops.unwrap_or(self.f32_flops),
            Compute::Bf16 | Compute::Bf16Split | Compute::Bf16Int8Gradient => self.bf16_flops.unwrap_or(self.f32_flops),
        }
    }
}

/// Bytes of all third-level caches; 0 where the system does not say.
fn last_caches() -> u64 {
    let Ok(processors) = std::fs::read_dir("/sys/devices/system/cpu") else { return 0 };
    let mut caches = BTreeMap::new();
    for processor in processors.flatten() {
        let read = |file: &str| std::fs::read_to_string(processor.path().join("cache/index3").join(file));
        if let (Ok(shared_by), Ok(size)) = (read("shared_cpu_list"), read("size")) {
            caches.insert(shared_by, size.trim().trim_end_matches('K').parse::<u64>().unwrap_or(0) * 1024);
        }
    }
    caches.into_values().sum()
}
