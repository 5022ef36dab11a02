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
    /// By the first that is set of `LC_ALL`, `LC_MESSAGES` and `LANG`.
    pub fn of_environment() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        Self::of(set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG")).as_deref())
    }

    fn of(locale: Option<&str>) -> Self {
        if locale.is_some_and(|locale| locale.starts_with("zh")) { Self::Chinese } else { Self::English }
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
    fn locales() {
        assert_eq!(Language::of(Some("zh_CN.UTF-8")), Language::Chinese);
        assert_eq!(Language::of(Some("C.UTF-8")), Language::English);
        assert_eq!(Language::of(None), Language::English);
    }
}
