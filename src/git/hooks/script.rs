//! The shell scripts that git runs.

use super::Hook;

/// Raised whenever a script changes in meaning, for people who read it; any other text is replaced anyway.
const VERSION: u32 = 1;

const MARK: &str = "# clade hook ";

/// Whether a hook is one that we wrote, of any version.
pub(super) fn is_ours(bytes: &[u8]) -> bool {
    let second = bytes.split(|b| *b == b'\n').nth(1);
    second.is_some_and(|line| line.starts_with(MARK.as_bytes()))
}

/// The script of a hook.
pub(super) fn text(hook: Hook) -> String {
    let name = hook.name();
    let mut out = format!("#!/bin/sh\n{MARK}{VERSION} {name}: written by `clade init`, removed by `clade uninstall`\n");
    out.push_str(&format!("before=\"${{0%/*}}/{name}.before-clade\"\n"));
    let reads_input = matches!(hook, Hook::PrePush | Hook::ReferenceTransaction | Hook::PostRewrite);
    let run_before = if reads_input { BEFORE_WITH_INPUT } else { BEFORE };
    out.push_str("status=0\n");
    let honoured = matches!(hook, Hook::PrePush | Hook::ReferenceTransaction | Hook::PreCommit);
    let stop = if honoured { "exit $status" } else { ":" };
    out.push_str(&run_before.replace("STOP", stop));
    if hook == Hook::ReferenceTransaction {
        // This one runs for every change of any ref: it must cost nothing when no push is under way.
        out.push_str("[ \"$1\" = committed ] && [ -e \"${0%/*}/../clade/tmp/pushed.$PPID\" ] || exit $status\n");
    }
    match hook {
        Hook::PrePush => out.push_str(MISSING_STOPS),
        _ => out.push_str("command -v clade >/dev/null 2>&1 || exit $status\n"),
    }
    out.push_str(&format!("clade hook {name} --git-pid=$PPID -- \"$@\" || exit $?\nexit $status\n"));
    out
}

const BEFORE: &str = r#"if [ -x "$before" ]; then
    "$before" "$@" || { status=$?; STOP; }
fi
"#;

/// Input can be read only once, so it rests in a file where two want it. A shell variable would lose zero bytes
/// and line ends.
const BEFORE_WITH_INPUT: &str = r#"if [ -x "$before" ]; then
    input=$(mktemp "${TMPDIR:-/tmp}/clade-hook.XXXXXX") || exit 1
    trap 'rm -f "$input"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    cat >"$input" || exit 1
    "$before" "$@" <"$input" || { status=$?; STOP; }
    exec <"$input"
fi
"#;

const MISSING_STOPS: &str = r#"if ! command -v clade >/dev/null 2>&1; then
    echo "clade: the program 'clade' is not on the PATH, so the bytes of this push cannot be sent" >&2
    echo "clade: install it (cargo install git-clade), or push refs alone with 'git push --no-verify'" >&2
    exit 1
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_known_and_others_are_not() {
        for hook in Hook::ALL {
            let text = text(hook);
            assert!(is_ours(text.as_bytes()), "{text}");
            assert!(!text.contains("STOP"));
            assert_eq!(Hook::from_name(hook.name()), Some(hook));
        }
        assert!(is_ours(b"#!/bin/sh\n# clade hook 0 x\n"));
        for other in [&b""[..], b"#!/bin/sh\n", b"# clade hook 1", b"#!/bin/sh\necho # clade hook 1\n"] {
            assert!(!is_ours(other));
        }
    }
}
