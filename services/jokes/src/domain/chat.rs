//! A conversation that its caller keeps.

use crate::ports::{Role, Turn};

/// Most messages of a conversation.
pub const MAX_MESSAGES: usize = 50;
/// Most characters of a message.
pub const MAX_MESSAGE: usize = 4_000;
/// Most characters of all messages together.
pub const MAX_CONVERSATION: usize = 16_000;

/// What was said so far; the last turn is the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation(Vec<Turn>);

impl Conversation {
    /// Checks its size and its order.
    ///
    /// # Errors
    /// The field that is wrong, as in the contract, and what is wrong with it.
    pub fn new(turns: Vec<Turn>) -> Result<Self, (String, String)> {
        let fault = |field: String, what: String| Err((field, what));
        if turns.is_empty() || turns.len() > MAX_MESSAGES {
            return fault("messages".to_owned(), format!("must be 1 to {MAX_MESSAGES}"));
        }
        let mut all = 0;
        for (place, turn) in turns.iter().enumerate() {
            let length = turn.text.chars().count();
            all += length;
            if length == 0 || turn.text.trim().is_empty() || length > MAX_MESSAGE {
                let what = format!("must have 1 to {MAX_MESSAGE} characters and not only blanks");
                return fault(format!("messages[{place}].content"), what);
            }
        }
        if all > MAX_CONVERSATION {
            return fault(
                "messages".to_owned(),
                format!("must have together at most {MAX_CONVERSATION} characters"),
            );
        }
        if turns.last().map(|turn| turn.role) != Some(Role::User) {
            return fault(
                format!("messages[{}].role", turns.len() - 1),
                "the last message must be the user's".to_owned(),
            );
        }
        Ok(Self(turns))
    }

    /// The turns, oldest first.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Turn {
        Turn { role, text: text.to_owned() }
    }

    #[test]
    fn a_conversation_ends_with_the_user() {
        let said = vec![turn(Role::User, "Hi"), turn(Role::Assistant, "Hello"), turn(Role::User, "A joke!")];
        assert_eq!(Conversation::new(said).unwrap().turns().len(), 3);
        let said = vec![turn(Role::User, "Hi"), turn(Role::Assistant, "Hello")];
        assert_eq!(Conversation::new(said).unwrap_err().0, "messages[1].role");
    }

    #[test]
    fn everything_is_bounded() {
        let long = "x".repeat(MAX_MESSAGE);
        let field = |turns| Conversation::new(turns).unwrap_err().0;
        assert_eq!(field(vec![]), "messages");
        assert_eq!(field(vec![turn(Role::User, "x"); MAX_MESSAGES + 1]), "messages");
        assert_eq!(field(vec![turn(Role::User, &long); 5]), "messages");
        assert_eq!(field(vec![turn(Role::User, "  ")]), "messages[0].content");
        assert_eq!(field(vec![turn(Role::User, &format!("{long}x"))]), "messages[0].content");
    }
}
