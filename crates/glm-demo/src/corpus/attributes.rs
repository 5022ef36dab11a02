//! A list of attributes in the form of AdvertiseGen: `类型#上衣*材质#牛仔布*颜色#白色`.

use std::fmt;

use super::catalogue::{self, KINDS, Kind};
use crate::rng::Rng;

/// One in this many lists belongs to [`Split::Dev`].
const DEV_SHARE: u64 = 16;
/// Weights of lists with 2, 3 and 4 attributes besides `类型`.
const SIZE_WEIGHTS: [usize; 3] = [25, 40, 35];
/// Percentage of lists whose attributes stand in random instead of the catalogue's order, so that a model does not depend on it.
const SHUFFLED: usize = 20;

/// Which half of the attribute lists a row may use. The halves share no list, in whatever order a list names its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Lists for training, the base's rows included.
    Train,
    /// Held-out lists, seen neither by the base nor in fine-tuning.
    Dev,
}

/// The attributes of one article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Key, such as 颜色.
    pub key: &'static str,
    /// Value, such as 白色.
    pub value: &'static str,
}

/// One article: its kind and 2–4 attributes with distinct keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeList {
    /// The kind of goods.
    pub kind: &'static Kind,
    /// Attributes besides `类型`, in the order in which the list names them.
    pub attributes: Vec<Attribute>,
}

impl AttributeList {
    /// A random list of the given split.
    pub fn random(split: Split, rng: &mut Rng) -> Self {
        loop {
            let list = Self::draw(rng);
            if list.split() == split {
                return list;
            }
        }
    }

    fn draw(rng: &mut Rng) -> Self {
        let kind = rng.pick(KINDS);
        let wanted = 2 + rng.weighted(&SIZE_WEIGHTS);
        let mut order: Vec<usize> = (0..kind.keys.len()).collect();
        rng.shuffle(&mut order);
        let mut chosen: Vec<(usize, Attribute)> = Vec::with_capacity(wanted);
        for i in order {
            let (key, values) = kind.keys[i];
            let fitting: Vec<&'static str> = values
                .iter()
                .copied()
                .filter(|value| chosen.iter().all(|(_, other)| catalogue::compatible(value, other.value)))
                .collect();
            if fitting.is_empty() {
                continue;
            }
            chosen.push((i, Attribute { key, value: fitting[rng.below(fitting.len())] }));
            if chosen.len() == wanted {
                break;
            }
        }
        if !rng.percent(SHUFFLED) {
            chosen.sort_by_key(|(i, _)| *i);
        }
        Self { kind, attributes: chosen.into_iter().map(|(_, attribute)| attribute).collect() }
    }

    /// Reads the form that `Display` writes. `None` when the kind, a key or a value is not in the catalogue.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('*').map(|part| part.split_once('#'));
        let ("类型", name) = parts.next()?? else { return None };
        let kind = catalogue::kind(name)?;
        let attributes = parts
            .map(|part| {
                let (key, value) = part?;
                let (key, values) = kind.keys.iter().find(|(k, _)| *k == key)?;
                Some(Attribute { key, value: values.iter().find(|v| **v == value)? })
            })
            .collect::<Option<_>>()?;
        Some(Self { kind, attributes })
    }

    /// The attributes in the catalogue's order, whatever the list's own order is.
    pub fn in_catalogue_order(&self) -> Vec<Attribute> {
        let place = |a: &Attribute| self.kind.keys.iter().position(|(key, _)| *key == a.key);
        let mut sorted = self.attributes.clone();
        sorted.sort_by_key(place);
        sorted
    }

    /// The value of `key`, if the list has it.
    pub fn value(&self, key: &str) -> Option<&'static str> {
        self.attributes.iter().find(|a| a.key == key).map(|a| a.value)
    }

    /// The split that this article belongs to: a hash (FNV-1a, 64 bits) of its attributes in the catalogue's order decides.
    pub fn split(&self) -> Split {
        let canonical = Self { kind: self.kind, attributes: self.in_catalogue_order() }.to_string();
        let hash = canonical
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        // The high bits are the better mixed ones.
        if (hash >> 32) % DEV_SHARE == 0 { Split::Dev } else { Split::Train }
    }
}

impl fmt::Display for AttributeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "类型#{}", self.kind.name)?;
        self.attributes.iter().try_for_each(|a| write!(f, "*{}#{}", a.key, a.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let text = "类型#上衣*材质#牛仔布*颜色#白色*图案#刺绣";
        let list = AttributeList::parse(text).expect("in the catalogue");
        assert_eq!((list.to_string().as_str(), list.value("颜色")), (text, Some("白色")));
        for bad in ["", "上衣", "类型#船", "类型#上衣*颜色#透明", "类型#上衣*鞋跟#平跟", "类型#上衣*颜色"]
        {
            assert_eq!(AttributeList::parse(bad), None, "{bad}");
        }
        let mut rng = Rng::new(3, 0);
        for _ in 0..2_000 {
            let list = AttributeList::random(Split::Train, &mut rng);
            assert_eq!(AttributeList::parse(&list.to_string()).as_ref(), Some(&list));
            assert!((2..=4).contains(&list.attributes.len()), "{list}");
        }
    }

    #[test]
    fn order_does_not_change_the_split() {
        let mut rng = Rng::new(4, 0);
        let mut dev = 0;
        for _ in 0..4_000 {
            let mut list = AttributeList::draw(&mut rng);
            let split = list.split();
            dev += usize::from(split == Split::Dev);
            list.attributes.reverse();
            assert_eq!(list.split(), split, "{list}");
        }
        assert!((180..320).contains(&dev), "{dev} of 4000 lists are held out, about 250 expected");
    }
}
