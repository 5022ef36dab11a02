//! The data set for fine-tuning, in the form of AdvertiseGen.

use serde::{Deserialize, Serialize};

use super::advert::advert;
use super::attributes::{AttributeList, Split};
use crate::rng::Rng;

/// One row: a list and an advertisement for it. As a line of JSON it reads `{"content":"类型#…","summary":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdgenRow {
    /// The attribute list.
    pub content: String,
    /// The advertisement.
    pub summary: String,
}

/// The first `n` rows of one split for `seed`. No list of [`Split::Dev`] appears in [`Split::Train`] or in the base's rows.
pub fn adgen_rows(split: Split, n: usize, seed: u64) -> Vec<AdgenRow> {
    let stream = match split {
        Split::Train => 2,
        Split::Dev => 3,
    };
    let mut rng = Rng::new(seed, stream);
    (0..n)
        .map(|_| {
            let list = AttributeList::random(split, &mut rng);
            AdgenRow { content: list.to_string(), summary: advert(&list, &mut rng) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::corpus::base_rows;

    /// The list with its attributes in one fixed order.
    fn canonical(content: &str) -> String {
        let mut list = AttributeList::parse(content).expect("a row's content is a list");
        list.attributes = list.in_catalogue_order();
        list.to_string()
    }

    #[test]
    fn held_out_lists_are_held_out() {
        let train: HashSet<String> =
            adgen_rows(Split::Train, 20_000, 1).iter().map(|row| canonical(&row.content)).collect();
        let base: HashSet<String> = base_rows(20_000, 1)
            .iter()
            .flat_map(|row| row.prompt.split(['：', '。']).map(str::to_owned).collect::<Vec<_>>())
            .filter(|part| AttributeList::parse(part).is_some())
            .map(|part| canonical(&part))
            .collect();
        assert!(train.len() > 10_000 && base.len() > 10_000, "{} {}", train.len(), base.len());
        for row in adgen_rows(Split::Dev, 2_000, 1) {
            let list = canonical(&row.content);
            assert!(!train.contains(&list) && !base.contains(&list), "{list}");
        }
    }

    #[test]
    fn rows_are_lines_of_json() {
        let row = &adgen_rows(Split::Train, 1, 9)[0];
        let line = serde_json::to_string(row).expect("two strings");
        assert!(line.starts_with(r##"{"content":"类型#"##) && !line.contains('\n'), "{line}");
        assert_eq!(&serde_json::from_str::<AdgenRow>(&line).expect("what was just written"), row);
    }
}
