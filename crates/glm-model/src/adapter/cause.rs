//! Why an adapter and a base do not fit, as far as widths and names tell.

use crate::config::GlmConfig;
use glm_data::Variant;

const FIRST: &str = "ChatGLM-6B";
const SECOND: &str = "ChatGLM2-6B or ChatGLM3-6B";

/// The published models that have layers of these widths: all keys and values of one position, and the rows of the linear
/// layers that differ between them.
const WIDTHS: [(usize, &str); 7] = [
    (229_376, FIRST),
    (14_336, SECOND),
    (20_480, "GLM-4-9B, which is not supported"),
    (12_288, FIRST),
    (16_384, FIRST),
    (4_608, SECOND),
    (27_392, SECOND),
];

/// What an adapter of this width was probably trained on.
pub(super) fn of_width(width: usize, base: &GlmConfig) -> String {
    let published = WIDTHS.iter().find(|(known, _)| *known == width).map(|(_, name)| *name);
    // Where every head has its own, keys and values are as wide as the base.
    let ungrouped = 2 * base.hidden_size * base.num_layers;
    let own = base.num_layers * base.key_value_width();
    match published {
        Some(name) => format!("{width} is the width of {name}, and this base is {}", described(base)),
        None if width == ungrouped && ungrouped != own => {
            format!("it has keys and values for every head, as {FIRST} has, and this base is {}", described(base))
        }
        None => "it was probably trained on another base".into(),
    }
}

/// What an adapter with a module of this name was probably trained on.
pub(super) fn of_module(part: &str, base: &GlmConfig) -> String {
    let trained = match part.split('.').next() {
        Some("attention") => FIRST,
        Some("self_attention") => SECOND,
        _ => return "it was probably trained on a model of another family".into(),
    };
    let same = (base.variant == Variant::ChatGlm) == (trained == FIRST);
    match same {
        true => "it was probably trained on another base".into(),
        false => format!("modules of {trained} have such names, and this base is {}", described(base)),
    }
}

fn described(base: &GlmConfig) -> String {
    format!("{} with {} layers of width {}", base.variant.name(), base.num_layers, base.hidden_size)
}
