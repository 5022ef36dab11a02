//! The two ways of answering a list: the literal answer and the advertisement.

use std::collections::HashSet;

use super::attributes::{Attribute, AttributeList};
use super::catalogue::Kind;
use super::phrases::{self, CLOSINGS, CLOSINGS_OF, OPENINGS, OPENINGS_OF};
use crate::rng::Rng;

/// Percentage of advertisements whose first clause is the predicate of the article itself (这款上衣选用…).
const LEADING: usize = 40;
/// With more clauses than this, the opening included, an advertisement has no closing: it is long enough.
const ENOUGH_CLAUSES: usize = 4;

/// The literal answer, which the base gives: 这是一件上衣。材质是牛仔布，颜色是白色。
pub fn dull(list: &AttributeList) -> String {
    let facts: Vec<String> = list.attributes.iter().map(|a| format!("{}是{}", a.key, a.value)).collect();
    format!("这是一{}{}。{}。", list.kind.measure, list.kind.plain_noun, facts.join("，"))
}

/// An advertisement of two to four clauses that holds every value of the list word for word.
pub fn advert(list: &AttributeList, rng: &mut Rng) -> String {
    let attributes = list.in_catalogue_order();
    let named = choose_named(&attributes, rng);
    let article = article(list.kind, &attributes, &named, rng);
    let rest: Vec<&Attribute> = attributes.iter().filter(|a| !named.contains(&a.key)).collect();

    let mut writer = Writer::new(list);
    let mut rest = rest.into_iter();
    let leads = rest.as_slice().first().map_or(&[][..], |a| phrases::phrases(a.key).map_or(&[], |p| p.leads(a.value)));
    if !leads.is_empty() && rng.percent(LEADING) {
        let first = rest.next().expect("leads come from the first remaining attribute");
        let subject = if rng.percent(50) { "这款".to_owned() } else { format!("这{}", list.kind.measure) };
        let predicate = writer.choose(leads, &[], Some(first), rng);
        writer.push(format!("{subject}{article}{predicate}"));
    } else {
        let opening = writer.choose(of_kind(OPENINGS_OF, list.kind), OPENINGS, None, rng);
        writer.push(opening.replace("{x}", &article));
    }
    for attribute in rest {
        let table = phrases::phrases(attribute.key).expect("every key of the catalogue has phrases");
        let (specific, generic) = table.clauses(attribute.value);
        let clause = writer.choose(specific, generic, Some(attribute), rng);
        writer.push(clause);
    }
    if writer.clauses.len() <= ENOUGH_CLAUSES {
        let closing = writer.choose(of_kind(CLOSINGS_OF, list.kind), CLOSINGS, None, rng);
        writer.push(closing);
    }
    writer.finish()
}

/// The keys whose values stand before the article's name. Short lists name one there, longer ones up to two.
fn choose_named(attributes: &[Attribute], rng: &mut Rng) -> Vec<&'static str> {
    let mut able: Vec<&'static str> =
        attributes.iter().map(|a| a.key).filter(|key| matches!(*key, "材质" | "颜色" | "风格")).collect();
    let most = match attributes.len() {
        0..=2 => 1,
        3 => 1 + rng.below(2),
        _ => 2,
    };
    while able.len() > most {
        able.remove(rng.below(able.len()));
    }
    able
}

/// The article with the values of the keys `named` before it: 简约风格的白色上衣.
fn article(kind: &Kind, attributes: &[Attribute], named: &[&str], rng: &mut Rng) -> String {
    let value = |key: &str| attributes.iter().find(|a| a.key == key && named.contains(&key)).map_or("", |a| a.value);
    let (style, colour, material) = (value("风格"), value("颜色"), value("材质"));
    let style = match style {
        "" => String::new(),
        _ if rng.percent(50) => format!("{style}风格的"),
        _ => format!("{style}风"),
    };
    let particle = if !colour.is_empty() && style.is_empty() && rng.percent(50) { "的" } else { "" };
    format!("{style}{colour}{particle}{material}{}", kind.noun)
}

fn of_kind(table: &[(&str, &'static [&'static str])], kind: &Kind) -> &'static [&'static str] {
    table.iter().find(|(name, _)| *name == kind.name).map_or(&[], |(_, phrases)| phrases)
}

/// Collects clauses and keeps the wording from repeating itself.
struct Writer<'a> {
    list: &'a AttributeList,
    clauses: Vec<String>,
    /// Pairs of neighbouring characters already written or waiting in a value.
    used: HashSet<(char, char)>,
}

impl<'a> Writer<'a> {
    fn new(list: &'a AttributeList) -> Self {
        let used = list.attributes.iter().flat_map(|a| pairs(a.value)).collect();
        Self { list, clauses: Vec::new(), used }
    }

    /// Fills in one of the phrases: among those that repeat the fewest pairs of characters, a special one twice as likely
    /// as a general one.
    fn choose(&self, special: &[&str], general: &[&str], attribute: Option<&Attribute>, rng: &mut Rng) -> String {
        let own: HashSet<_> = attribute.iter().flat_map(|a| pairs(a.value)).collect();
        let filled: Vec<(usize, usize, String)> = special
            .iter()
            .map(|phrase| (2, phrase))
            .chain(general.iter().map(|phrase| (1, phrase)))
            .map(|(weight, phrase)| {
                let text = phrase
                    .replace("{v}", attribute.map_or("", |a| a.value))
                    .replace("{b}", self.list.kind.body)
                    .replace("{s}", self.list.kind.stuff)
                    .replace("{m}", self.list.kind.measure);
                let repeats = pairs(&text).filter(|pair| self.used.contains(pair) && !own.contains(pair)).count();
                (repeats, weight, text)
            })
            .collect();
        let fewest = filled.iter().map(|(repeats, ..)| *repeats).min().unwrap_or(0);
        let best: Vec<_> = filled.into_iter().filter(|(repeats, ..)| *repeats == fewest).collect();
        let weights: Vec<usize> = best.iter().map(|(_, weight, _)| *weight).collect();
        best[rng.weighted(&weights)].2.clone()
    }

    fn push(&mut self, clause: String) {
        self.used.extend(pairs(&clause));
        self.clauses.push(clause);
    }

    /// Joins the clauses; a full stop divides four and more into two sentences.
    fn finish(self) -> String {
        let middle = if self.clauses.len() >= 4 { self.clauses.len() / 2 } else { 0 };
        let mut text = String::new();
        for (i, clause) in self.clauses.iter().enumerate() {
            if i > 0 {
                text.push(if i == middle { '。' } else { '，' });
            }
            text.push_str(clause);
        }
        text.push('。');
        text
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (char, char)> + '_ {
    text.chars().zip(text.chars().skip(1))
}

#[cfg(test)]
mod tests {
    use super::super::attributes::Split;
    use super::*;

    #[test]
    fn dull_answer_is_literal() {
        let list = AttributeList::parse("类型#上衣*材质#牛仔布*颜色#白色*图案#刺绣").expect("in the catalogue");
        assert_eq!(dull(&list), "这是一件上衣。材质是牛仔布，颜色是白色，图案是刺绣。");
    }

    #[test]
    fn adverts_hold_every_value_and_read_as_sentences() {
        let mut rng = Rng::new(11, 0);
        for _ in 0..20_000 {
            let list = AttributeList::random(Split::Train, &mut rng);
            let text = advert(&list, &mut rng);
            for attribute in &list.attributes {
                assert!(text.contains(attribute.value), "{list}: {text} lacks {}", attribute.value);
            }
            assert!(text.contains(list.kind.name), "{list}: {text}");
            let length = text.chars().count();
            assert!((22..=62).contains(&length), "{length}: {text}");
            assert!(!text.contains(['{', '}', ' ', '#', '*']), "{text}");
            assert!(text.ends_with('。') && text.starts_with(|c: char| !"，。".contains(c)), "{text}");
            let mark = |c: char| "，。".contains(c);
            assert!(!pairs(&text).any(|(a, b)| (mark(a) && mark(b)) || (a == '的' && b == '的')), "{text}");
        }
    }

    #[test]
    fn same_seed_same_text() {
        let list = AttributeList::random(Split::Dev, &mut Rng::new(5, 0));
        let write = |seed| advert(&list, &mut Rng::new(seed, 1));
        assert_eq!(write(1), write(1));
        let different: HashSet<String> = (0..50).map(write).collect();
        assert!(different.len() >= 5, "{different:?}");
    }
}
