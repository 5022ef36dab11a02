//! A dialogue, whatever the file format that it came from.

use crate::prompt::Role;

/// One message of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who speaks.
    pub role: Role,
    /// Name of the tool that an assistant's message calls; empty in every other message.
    pub metadata: String,
    /// The text.
    pub content: String,
    /// Whether the file allows this message to be trained; only messages of the assistant ever are.
    pub trained: bool,
}

impl Said {
    /// A message without metadata; the assistant's are trained.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, metadata: String::new(), content: content.into(), trained: role == Role::Assistant }
    }

    /// The assistant's call of a tool.
    pub fn call(tool: impl Into<String>, content: impl Into<String>) -> Self {
        Self { metadata: tool.into(), ..Self::new(Role::Assistant, content) }
    }
}

/// A dialogue: system messages, then turns of user and assistant, with tool calls and their results between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// The messages, in order.
    pub messages: Vec<Said>,
    /// Whether tools are described or called, which only ChatGLM3-6B has a form for.
    pub uses_tools: bool,
}

impl Conversation {
    /// Earlier turns, a question and its answer.
    pub fn of_turns(history: Vec<(String, String)>, query: String, answer: String) -> Self {
        let turns = history.into_iter().chain([(query, answer)]);
        let messages = turns.flat_map(|(q, a)| [Said::new(Role::User, q), Said::new(Role::Assistant, a)]).collect();
        Self { messages, uses_tools: false }
    }

    /// Text of the system messages, joined by line breaks; `None` without any.
    pub fn system(&self) -> Option<String> {
        system_text(self.messages.iter())
    }

    /// Places of the assistant's messages that may be trained.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = usize> {
        let trained = |(i, said): (usize, &Said)| (said.role == Role::Assistant && said.trained).then_some(i);
        self.messages.iter().enumerate().filter_map(trained)
    }
}

/// Text of the system messages among `messages`.
pub(crate) fn system_text<'a>(messages: impl Iterator<Item = &'a Said>) -> Option<String> {
    let texts: Vec<&str> = messages.filter(|said| said.role == Role::System).map(|said| &*said.content).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Collects messages and holds them to the order in which a dialogue goes.
#[derive(Debug, Default)]
pub(super) struct Builder {
    conversation: Conversation,
}

impl Builder {
    /// Notes that tools are described in the row.
    pub(super) fn uses_tools(&mut self) {
        self.conversation.uses_tools = true;
    }

    /// Adds a message.
    pub(super) fn push(&mut self, said: Said) -> Result<(), String> {
        let is_call = |said: &Said| said.role == Role::Assistant && !said.metadata.is_empty();
        let (expected, fits) = match self.conversation.messages.last() {
            None => ("the system or the user", matches!(said.role, Role::System | Role::User)),
            Some(last) => match last.role {
                Role::System => ("the user", matches!(said.role, Role::System | Role::User)),
                Role::User => ("the assistant", said.role == Role::Assistant),
                Role::Observation => ("the assistant", said.role == Role::Assistant),
                Role::Assistant if is_call(last) => ("the tool (its result)", said.role == Role::Observation),
                Role::Assistant => ("the user", said.role == Role::User || is_call(&said)),
            },
        };
        if !fits {
            return Err(format!("expected a message of {expected}, found one of {}", speaker(&said)));
        }
        self.conversation.uses_tools |= is_call(&said) || said.role == Role::Observation;
        self.conversation.messages.push(said);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Conversation, String> {
        match self.conversation.messages.last().map(|last| last.role) {
            None => Err("expected messages of user and assistant, found an empty list".into()),
            Some(Role::Assistant) => Ok(self.conversation),
            // A result of a tool without an answer teaches the call before it.
            Some(Role::Observation) => Ok(self.conversation),
            Some(_) => Err("the last message is not the assistant's, so nothing answers the one before".into()),
        }
    }

    /// A dialogue whose last message is to be answered.
    pub(super) fn finish_asked(self) -> Result<Conversation, String> {
        match self.conversation.messages.last() {
            None => Err("expected at least one message, found an empty list".into()),
            Some(last) if matches!(last.role, Role::User | Role::Observation) => Ok(self.conversation),
            Some(last) => Err(format!("expected the last message to be the user's, found one of {}", speaker(last))),
        }
    }
}

fn speaker(said: &Said) -> &'static str {
    match said.role {
        Role::System => "the system",
        Role::User => "the user",
        Role::Assistant if !said.metadata.is_empty() => "the assistant, calling a tool",
        Role::Assistant => "the assistant",
        Role::Observation => "the tool",
    }
}
