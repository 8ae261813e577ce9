//! Columns for people: cut at the width of a terminal, never on a pipe.

/// Rows of text in columns.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Adds a row. Rows may differ in length.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as lines, each begun by `indent` and cut at `width` characters where given.
    pub(crate) fn render(&self, indent: &str, width: Option<usize>) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (i, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if i + 1 < row.len() {
                    let pad = widths[i].saturating_sub(cell.chars().count()) + 2;
                    line.extend(std::iter::repeat_n(' ', pad));
                }
            }
            let line = line.trim_end();
            match width {
                Some(width) if line.chars().count() > width => {
                    out.extend(line.chars().take(width.saturating_sub(1)));
                    out.push('…');
                }
                _ => out.push_str(line),
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_are_cut() {
        let mut t = Table::default();
        t.row(["a", "bb", "c"]);
        t.row(["aaa", "b", "cc"]);
        assert_eq!(t.render("  ", None), "  a    bb  c\n  aaa  b   cc\n");
        assert_eq!(t.render("", Some(6)), "a    …\naaa  …\n");
    }
}
