//! Where the tokens of one sequence stand, for the rotary embedding and the mask.

use crate::error::DataError;
use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// How positions follow from the place of a token in its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Positions {
    /// 0, 1, 2, …: one row of positions, every token sees those before it.
    #[default]
    Linear,
    /// ChatGLM-6B's two rows. The context (all before `<sop>`) stands at 0, 1, 2, … with block position 0, and its tokens
    /// all see one another. From `<sop>` on every token stands at the place of the mask token, with block positions 1, 2, …
    Block {
        /// Tokens before `<sop>`.
        context_len: usize,
        /// Place of the mask token.
        mask_position: usize,
    },
}

impl Positions {
    /// Those of a whole sequence, prompt included. Where `[gMASK]` and `[MASK]` both occur, the first `[gMASK]` counts, as
    /// in the official model when it makes them itself: in training, and for a prompt without padding.
    ///
    /// # Errors
    /// [`DataError::Config`] when a sequence of ChatGLM-6B lacks `<sop>` or a mask token.
    pub fn of(tokenizer: &Tokenizer, ids: &[u32]) -> Result<Self, DataError> {
        Self::with_masks(tokenizer, ids, [tokenizer.gmask_id(), tokenizer.mask_id()])
    }

    /// As [`Positions::of`], but the first `[MASK]` counts where both occur, as in the official tokenizer, which makes the
    /// positions of a padded batch: in evaluation. The two differ only for texts whose special tokens are parsed.
    ///
    /// # Errors
    /// As [`Positions::of`].
    pub fn of_padded(tokenizer: &Tokenizer, ids: &[u32]) -> Result<Self, DataError> {
        Self::with_masks(tokenizer, ids, [tokenizer.mask_id(), tokenizer.gmask_id()])
    }

    fn with_masks(tokenizer: &Tokenizer, ids: &[u32], masks: [u32; 2]) -> Result<Self, DataError> {
        match tokenizer.variant() {
            Variant::ChatGlm2 | Variant::ChatGlm3 => Ok(Self::Linear),
            Variant::ChatGlm => {
                let place = |id: u32| ids.iter().position(|i| *i == id);
                let context_len = place(tokenizer.sop_id());
                let mask_position = masks.into_iter().find_map(place);
                let (Some(context_len), Some(mask_position)) = (context_len, mask_position) else {
                    let reason = "a ChatGLM-6B prompt needs [gMASK] (or [MASK]) and <sop>; one of them is missing";
                    return Err(DataError::Config(reason.into()));
                };
                Ok(Self::Block { context_len, mask_position })
            }
        }
    }

    /// Position and block position of token `index` of the sequence.
    pub fn at(self, index: usize) -> [u32; 2] {
        match self {
            Self::Linear => [index as u32, 0],
            Self::Block { context_len, .. } if index < context_len => [index as u32, 0],
            Self::Block { context_len, mask_position } => [mask_position as u32, (index - context_len + 1) as u32],
        }
    }

    /// Leading tokens that all see one another.
    pub fn context_len(self) -> usize {
        match self {
            Self::Linear => 0,
            Self::Block { context_len, .. } => context_len,
        }
    }

    /// Whether a sequence may be given to the network in pieces, each after the other.
    pub fn is_causal(self) -> bool {
        self == Self::Linear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_stands_at_the_mask_token() {
        let positions = Positions::Block { context_len: 3, mask_position: 2 };
        let rows: Vec<[u32; 2]> = (0..5).map(|i| positions.at(i)).collect();
        assert_eq!(rows, [[0, 0], [1, 0], [2, 0], [2, 1], [2, 2]]);
        assert_eq!(Positions::Linear.at(4), [4, 0]);
    }
}
