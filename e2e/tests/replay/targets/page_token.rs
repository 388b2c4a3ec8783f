//! Page tokens: a text is one only if we made it, and one with any change is none.

use std::sync::LazyLock;

use mesh_store::page::PageKey;

/// As the lists use it: a time and an id.
type Position = (String, String);

static KEY: LazyLock<PageKey> = LazyLock::new(|| PageKey::new(&[7; 32]));
static OTHER: LazyLock<PageKey> = LazyLock::new(|| PageKey::new(&[8; 32]));

/// A token of any text; and a position (behind two bytes that say what is changed) as a token.
pub(crate) fn page_token(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(position) = KEY.open::<Position>(text, "users")
    {
        assert_eq!(KEY.seal(&position, "users").ok().as_deref(), Some(text), "we did not make it");
    }
    if let [at, with, rest @ ..] = data {
        let text = String::from_utf8_lossy(rest);
        let (context, position) = text.split_once('\n').unwrap_or(("users", &text));
        let (time, id) = position.split_once('|').unwrap_or((position, ""));
        check(&(time.to_owned(), id.to_owned()), context, usize::from(*at), *with);
    }
}

/// A token comes back as its position; changed, cut off, carried away or opened with another key it does not.
fn check(position: &Position, context: &str, at: usize, with: u8) {
    let token = KEY.seal(position, context).expect("a position");
    let opened = KEY.open::<Position>(&token, context);
    if token.len() > 1024 {
        assert!(opened.is_err(), "longer than any token of ours");
        return;
    }
    assert_eq!(opened.ok().as_ref(), Some(position));
    let is_refused = |token: &str| KEY.open::<Position>(token, context).is_err();
    for at in [at % token.len(), token.len() - 1 - at % token.len(), token.len() - 1] {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == with { with ^ 1 } else { with };
        assert!(!str::from_utf8(&changed).is_ok_and(|text| !is_refused(text)), "changed at {at}");
        assert!(is_refused(&token[..at]) && is_refused(&token[at + 1..]), "cut at {at}");
    }
    assert!(
        is_refused(&format!("{token}A"))
            && is_refused(&format!("{token}="))
            && is_refused(&format!(" {token}"))
    );
    assert!(KEY.open::<Position>(&token, &format!("{context}x")).is_err(), "another list");
    assert!(context.is_empty() || KEY.open::<Position>(&token, &context[..0]).is_err(), "another list");
    assert!(OTHER.open::<Position>(&token, context).is_err(), "another service");
}
