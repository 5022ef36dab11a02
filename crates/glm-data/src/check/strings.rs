//! Strings in the texts that should make their author look again.

use super::report::SpecialString;
use crate::format::{Conversation, Said};

/// Names of special tokens of all variants.
const SPECIALS: [&str; 19] = [
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "<sop>",
    "<eop>",
    "<|startofpiece|>",
    "<|endofpiece|>",
    "<|endoftext|>",
    "<unk>",
    "<pad>",
    "<s>",
    "</s>",
    "<|tab|>",
    "<|blank_",
    "<image_",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
];

/// Each special string once for each message that holds it.
pub(super) fn special_strings(conversation: &Conversation, line: usize) -> impl Iterator<Item = SpecialString> + '_ {
    conversation.messages.iter().flat_map(move |said: &Said| {
        // Nearly every text has none of these characters.
        let candidates = if said.content.contains(['[', '<']) { &SPECIALS[..] } else { &[] };
        let found = candidates.iter().filter(|special| said.content.contains(**special));
        found.map(move |special| SpecialString { line, role: said.role, text: (*special).into() })
    })
}

/// Whether a text holds U+FFFD, which a wrong decoding left behind.
pub(super) fn is_damaged(conversation: &Conversation) -> bool {
    conversation.messages.iter().any(|said| said.content.contains(char::REPLACEMENT_CHARACTER))
}
