//! The whole wording, for those who must know every character beforehand.

use super::catalogue::KINDS;
use super::dialogue::DIALOGUE;
use super::phrases;

/// Every text that the rows are put together from, without its places for values. A sample of rows, however large, may by
/// chance lack a rare word; this list lacks none.
pub fn wording() -> Vec<String> {
    let mut texts: Vec<&str> = phrases::all();
    for kind in KINDS {
        texts.extend([kind.name, kind.noun, kind.plain_noun, kind.measure, kind.body, kind.stuff]);
        texts.extend(kind.keys.iter().flat_map(|(key, values)| values.iter().chain([key])));
    }
    texts.extend(DIALOGUE.iter().flat_map(|(said, answer)| said.iter().chain([answer])));
    let places = ["{v}", "{b}", "{s}", "{x}", "{m}"];
    let bare = |text: &str| places.iter().fold(text.to_owned(), |text, place| text.replace(place, ""));
    texts.into_iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::corpus::base_rows;

    #[test]
    fn no_row_has_a_character_that_the_wording_and_a_few_rows_lack() {
        let few = base_rows(300, 1);
        let of_rows = few.iter().flat_map(|row| [row.prompt.clone(), row.response.clone()]);
        let known: HashSet<char> = of_rows.chain(wording()).flat_map(|text| text.chars().collect::<Vec<_>>()).collect();
        for row in base_rows(20_000, 5) {
            for c in row.prompt.chars().chain(row.response.chars()) {
                assert!(known.contains(&c), "{c} in {row:?}");
            }
        }
        assert!(known.len() <= 600, "{} distinct characters", known.len());
        assert!(!known.contains(&'{'));
    }
}
