//! The wording of the advertisements: tables of clauses, openings and closings.
//!
//! In a clause `{v}` is the value, `{b}` the part of the article that carries a pattern (衣身, 鞋面, …) and `{s}` 面料 or 材质.
//! In an opening `{x}` is the article with its first attributes (白色的牛仔布上衣) and `{m}` its measure word.

mod clothes;
mod common;
mod frames;
mod goods;
mod materials;

pub use frames::{CLOSINGS, CLOSINGS_OF, OPENINGS, OPENINGS_OF};

/// The clauses that an attribute key can become.
#[derive(Debug)]
pub struct KeyPhrases {
    /// The key.
    pub key: &'static str,
    /// Clauses that stand alone between two commas, for any value that is not in `specific_only`.
    pub generic: &'static [&'static str],
    /// Predicates that follow the article's name without a comma, for any value that is not in `specific_only`.
    pub lead: &'static [&'static str],
    /// Clauses for one value; each holds the value itself.
    pub specific: &'static [(&'static str, &'static [&'static str])],
    /// Values that the general wording does not suit.
    pub specific_only: &'static [&'static str],
}

impl KeyPhrases {
    /// The clauses made for `value`, and those for any value.
    pub fn clauses(&self, value: &str) -> (&'static [&'static str], &'static [&'static str]) {
        let specific = self.specific.iter().find(|(v, _)| *v == value).map_or(&[][..], |(_, phrases)| phrases);
        let generic = if self.specific_only.contains(&value) { &[][..] } else { self.generic };
        (specific, generic)
    }

    /// The predicates for `value`; none when the general wording does not suit it.
    pub fn leads(&self, value: &str) -> &'static [&'static str] {
        if self.specific_only.contains(&value) { &[] } else { self.lead }
    }
}

const TABLES: [&[KeyPhrases]; 4] = [common::PHRASES, materials::PHRASES, clothes::PHRASES, goods::PHRASES];

/// The phrases of `key`. Every key of the catalogue has an entry (a test holds that).
pub fn phrases(key: &str) -> Option<&'static KeyPhrases> {
    TABLES.into_iter().flatten().find(|p| p.key == key)
}

/// Every clause, opening and closing.
pub fn all() -> Vec<&'static str> {
    let clauses = TABLES.into_iter().flatten().flat_map(|table| {
        let specific = table.specific.iter().flat_map(|(_, phrases)| *phrases);
        table.generic.iter().chain(table.lead).chain(specific)
    });
    let of_kinds = OPENINGS_OF.iter().chain(CLOSINGS_OF).flat_map(|(_, phrases)| *phrases);
    clauses.chain(OPENINGS).chain(CLOSINGS).chain(of_kinds).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::KINDS;
    use super::*;

    #[test]
    fn every_value_of_every_key_has_wording_that_names_it() {
        for kind in KINDS {
            for (key, values) in kind.keys {
                let table = phrases(key).unwrap_or_else(|| panic!("no phrases for {key}"));
                for value in *values {
                    let (specific, generic) = table.clauses(value);
                    assert!(specific.len() + generic.len() >= 3, "{key} {value} has too few clauses");
                    assert!(specific.iter().all(|p| p.contains(value)), "{key} {value}: {specific:?}");
                    assert!(generic.iter().chain(table.lead).all(|p| p.contains("{v}")), "{key}");
                }
            }
        }
    }

    #[test]
    fn specific_wording_is_for_values_of_the_catalogue() {
        for table in TABLES.into_iter().flatten() {
            let known =
                |v: &str| KINDS.iter().flat_map(|k| k.keys).any(|(key, vs)| *key == table.key && vs.contains(&v));
            for value in table.specific.iter().map(|(v, _)| v).chain(table.specific_only) {
                assert!(known(value), "{} {value}", table.key);
            }
        }
    }
}
