//! Memory of the machine.

use super::{number, proc_value};
use serde::Serialize;

/// Bytes of memory as the system tells them; `None` where it does not say (it does on Linux).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Memory of the machine.
    pub total: Option<u64>,
    /// What can be had without swapping, within the limit of a container.
    pub available: Option<u64>,
    /// Limit of the container, if it is less than the machine has.
    pub container_limit: Option<u64>,
    /// Swap space in use.
    pub swap_used: Option<u64>,
}

/// Looks at the machine.
pub fn machine() -> Machine {
    let memory = |key| proc_value("/proc/meminfo", key);
    let total = memory("MemTotal");
    let limit = number("/sys/fs/cgroup/memory.max")
        .or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .filter(|limit| total.is_some_and(|total| *limit < total));
    let swap_used = memory("SwapTotal").zip(memory("SwapFree")).map(|(total, free)| total.saturating_sub(free));
    Machine { total, available: super::available(), container_limit: limit, swap_used }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_free_than_there_is() {
        let Machine { total, available, container_limit, .. } = machine();
        assert!(available <= total && container_limit <= total, "{available:?} {container_limit:?} {total:?}");
    }
}
