//! Decides once what goes to standard output, what to standard error, and in which form.

use super::escape::escape;
use clade::ops;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// An answer in its two forms: JSON by `Serialize`, text for people by [`Render::human`].
pub(crate) trait Render: Serialize {
    /// The `type` of the JSON form.
    const TYPE: &'static str;

    /// The text form. `width` is the terminal's width, `None` on a pipe.
    fn human(&self, width: Option<usize>) -> String;
}

/// The one place that prints.
pub(crate) struct Printer {
    json: bool,
    quiet: u8,
    stdout_terminal: bool,
    stderr_terminal: bool,
    color: bool,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: u32,
    r#type: &'a str,
    #[serde(flatten)]
    answer: &'a T,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    schema: u32,
    r#type: &'a str,
    kind: ops::Kind,
    code: u8,
    message: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    hints: &'a [String],
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: u8) -> Self {
        let stderr_terminal = io::stderr().is_terminal();
        let color = stderr_terminal
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        Self { json, quiet, stdout_terminal: io::stdout().is_terminal(), stderr_terminal, color }
    }

    /// Whether answers are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress may be drawn.
    pub(crate) fn draws_progress(&self) -> bool {
        self.stderr_terminal && !self.json && self.quiet == 0
    }

    /// Width to which tables are cut: the terminal's, none on a pipe.
    fn width(&self) -> Option<usize> {
        if !self.stdout_terminal {
            return None;
        }
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        Some(columns.or_else(terminal_width).unwrap_or(80))
    }

    /// Prints the answer. A reader that closed the pipe is no error.
    pub(crate) fn answer<T: Render>(&self, answer: &T) -> ops::Result<()> {
        let text = if self.json {
            let line = Envelope { schema: 1, r#type: T::TYPE, answer };
            let mut text = serde_json::to_string(&line)
                .map_err(|e| ops::Error::new(ops::Kind::Internal, format!("cannot encode the answer: {e}")))?;
            text.push('\n');
            text
        } else {
            answer.human(self.width())
        };
        self.raw(&text)
    }

    /// Prints text that already is an answer, for people and pipes alike.
    pub(crate) fn raw(&self, text: &str) -> ops::Result<()> {
        let text = if self.stdout_terminal { escape(text) } else { text.into() };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(ops::Error::new(ops::Kind::Io, format!("cannot write the answer: {e}")))
            }
            _ => Ok(()),
        }
    }

    /// Says what was done.
    pub(crate) fn status(&self, text: &str) {
        if self.quiet == 0 && !self.json {
            self.line("", None, text);
        }
    }

    /// Prints a line for whoever watches git: never silenced, without a label of its own.
    pub(crate) fn plain(&self, text: &str) {
        self.line("", None, text);
    }

    /// Warns of something that the person should know.
    pub(crate) fn warn(&self, text: &str) {
        if self.quiet < 2 {
            self.line("warning: ", Some(anstyle::AnsiColor::Yellow), text);
        }
    }

    /// Names the next step.
    pub(crate) fn hint(&self, text: &str) {
        if self.quiet == 0 && !self.json {
            self.line("hint: ", Some(anstyle::AnsiColor::Cyan), text);
        }
    }

    /// Prints a failure: never silenced.
    pub(crate) fn error(&self, error: &ops::Error) {
        if self.json {
            let line = ErrorLine {
                schema: 1,
                r#type: "error",
                kind: error.kind,
                code: error.exit_code(),
                message: error.to_string(),
                hints: &error.hints,
            };
            let text = serde_json::to_string(&line).unwrap_or_else(|_| error.to_string());
            let _ = writeln!(io::stderr(), "{text}");
            return;
        }
        self.line("error: ", Some(anstyle::AnsiColor::Red), &error.message);
        for cause in &error.causes {
            self.line("  because: ", None, cause);
        }
        for hint in &error.hints {
            self.line("hint: ", Some(anstyle::AnsiColor::Cyan), hint);
        }
    }

    fn line(&self, label: &str, color: Option<anstyle::AnsiColor>, text: &str) {
        let text = if self.stderr_terminal { escape(text) } else { text.into() };
        let mut err = io::stderr().lock();
        let _ = match color {
            Some(color) if self.color => {
                let style = anstyle::Style::new().fg_color(Some(color.into())).bold();
                writeln!(err, "{style}{label}{style:#}{text}")
            }
            _ => writeln!(err, "{label}{text}"),
        };
    }
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}
