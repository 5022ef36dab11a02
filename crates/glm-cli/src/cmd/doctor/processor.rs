//! The processor, and how much of it this process may use.

use std::collections::{BTreeMap, BTreeSet};

use glm_kernels::cpu::machine::features;
use serde::Serialize;

/// The processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Processor {
    /// Name; `None` where the system does not say.
    pub name: Option<String>,
    /// Architecture that this program was made for.
    pub architecture: &'static str,
    /// Cores; `None` where the system does not say.
    pub cores: Option<usize>,
    /// Threads that the cores run side by side.
    pub hardware_threads: usize,
    /// Threads that this process may run side by side: less in a container, or when it was bound to some.
    pub usable: usize,
    /// Instruction sets that kernels could use.
    pub features: BTreeMap<&'static str, bool>,
    /// Threads of all programs that computed or waited to, over the last minute, when this one started.
    pub load: Option<f64>,
}

impl Processor {
    /// Looks at it.
    pub fn look() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        let listed = Listed::read(&text);
        Self {
            name: listed.name,
            architecture: std::env::consts::ARCH,
            cores: listed.cores,
            hardware_threads: listed.processors.max(usable),
            usable,
            features: features().into_iter().collect(),
            load: load.and_then(|text| text.split_whitespace().next()?.parse().ok()),
        }
    }

    /// Whether it has an instruction set.
    pub fn has(&self, feature: &str) -> bool {
        self.features.get(feature) == Some(&true)
    }
}

/// What `/proc/cpuinfo` lists.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: Option<String>,
    processors: usize,
    cores: Option<usize>,
}

impl Listed {
    fn read(text: &str) -> Self {
        let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
        let fields = |key: &'static str| {
            let of_key = move |line: &&str| line.split(':').next().is_some_and(|name| name.trim() == key);
            text.lines().filter(of_key).filter_map(value)
        };
        let cores: BTreeSet<_> = fields("physical id").zip(fields("core id")).collect();
        Self {
            name: fields("model name").next(),
            processors: fields("processor").count(),
            cores: (!cores.is_empty()).then_some(cores.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_counted_once() {
        let one = |processor: usize, core: usize| {
            format!(
                "processor\t: {processor}\nmodel name\t: Some CPU: 2 GHz\nphysical id\t: 0\ncore id\t\t: {core}\n\n"
            )
        };
        let text: String = [(0, 0), (1, 1), (2, 0), (3, 1)].map(|(p, c)| one(p, c)).concat();
        let expected = Listed { name: Some("Some CPU: 2 GHz".into()), processors: 4, cores: Some(2) };
        assert_eq!(Listed::read(&text), expected);
        assert_eq!(Listed::read("processor\t: 0\nBogoMIPS\t: 50\n"), Listed { name: None, processors: 1, cores: None });
        assert_eq!(Listed::read(""), Listed { name: None, processors: 0, cores: None });
    }
}
