//! Names written by others, made safe for a terminal.

use std::borrow::Cow;

/// `text` with control and text-direction characters shown as escapes. Raw bytes go to pipes; a terminal
/// must not be driven by a file name.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hostile) {
        Cow::Owned(
            text.chars().flat_map(|c| if is_hostile(c) { c.escape_unicode().collect() } else { vec![c] }).collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_drives_a_terminal() {
        assert_eq!(escape("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(escape("größe\n"), "größe\n");
    }
}
