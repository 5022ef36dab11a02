//! Chinese or English, by the environment.

/// The language of messages that people read at leisure; errors are always in English, so that they can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// That of the environment; as everywhere in POSIX, `LC_ALL` wins over `LC_MESSAGES`, and that over `LANG`.
    pub fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
        let chinese = locale.is_some_and(|locale| locale.to_ascii_lowercase().starts_with("zh"));
        if chinese { Self::Chinese } else { Self::English }
    }

    /// The text of this language.
    pub fn choose<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_variable_that_is_set_decides() {
        let of = |set: &[(&str, &str)]| {
            Language::of(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(of(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", ""), ("LC_MESSAGES", "zh_TW")]), Language::Chinese);
    }
}
