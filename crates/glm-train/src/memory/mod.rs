//! Memory of the machine and of this process.

mod machine;
mod predict;

pub use machine::{Machine, machine};
pub use predict::{Prediction, Workload, predict};

use glm_model::GlmConfig;

fn proc_value(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim_start_matches(':').split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn number(file: &str) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Bytes that the limit of a container leaves; `None` without a limit. Pages of files that were read count as used and can
/// be had back.
fn container() -> Option<u64> {
    let left = |folder: &str, limit: &str, used: &str| {
        let (limit, used) = (number(&format!("{folder}/{limit}"))?, number(&format!("{folder}/{used}"))?);
        let stat = std::fs::read_to_string(format!("{folder}/memory.stat")).unwrap_or_default();
        let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
        Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
    };
    left("/sys/fs/cgroup", "memory.max", "memory.current")
        .or_else(|| left("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"))
}

/// Bytes that can be had without swapping, within the limit of a container; `None` where the system does not say (it does
/// on Linux).
pub fn available() -> Option<u64> {
    let machine = proc_value("/proc/meminfo", "MemAvailable")?;
    Some(container().map_or(machine, |left| left.min(machine)))
}

/// Bytes that kept activations may take of the memory that is free when training starts.
pub fn activation_budget(free: Option<u64>) -> u64 {
    free.map_or(0, |free| free / 2)
}

/// Largest resident size of this process so far, in bytes; `None` where the system does not say.
pub fn peak_resident() -> Option<u64> {
    proc_value("/proc/self/status", "VmHWM")
}

/// Bytes of activations that one frozen block keeps for the backward pass of a batch of `tokens`.
///
/// What the tape holds, in f32: three tensors of the hidden width (input, two sums), queries, keys and values as attention
/// reads them, the attention's output, and what the MLP's activation reads. What lies between is not kept: frozen norms and
/// layers are one operation with their neighbours.
pub fn block_activations(config: &GlmConfig, tokens: usize) -> u64 {
    let attention = config.num_attention_heads * config.head_dim;
    let inner = config.knobs.activation.width_before(config.ffn_hidden_size);
    let width = 3 * config.hidden_size + config.fused_width() + attention + inner;
    (width * tokens * 4) as u64
}

/// Bytes that a block whose weights train keeps beside [`block_activations`]: the outputs of both norms, of the layers
/// before they are added, of the projection before it is rotated and before its bias, and of the MLP's activation.
pub fn trained_activations(config: &GlmConfig, tokens: usize) -> u64 {
    let width = 4 * config.hidden_size + 2 * config.fused_width() + config.ffn_hidden_size;
    (width * tokens * 4) as u64
}

/// As [`block_activations`], of the last block, which computes behind its attention only the rows of `targets`.
pub fn last_block_activations(config: &GlmConfig, tokens: usize, targets: usize) -> u64 {
    let attention = config.num_attention_heads * config.head_dim;
    let inner = config.knobs.activation.width_before(config.ffn_hidden_size);
    // Input and attention of all rows; the rows that are taken of them, and what follows.
    let before = config.hidden_size + config.fused_width() + attention;
    let behind = 3 * config.hidden_size + attention + inner;
    ((before * tokens + behind * targets.min(tokens)) * 4) as u64
}
