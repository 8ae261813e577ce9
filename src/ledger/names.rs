//! How names and paths contain each other. All are `/`-separated; a name covers itself and what is below.

/// `name/path`, or `name` alone when `path` is empty.
#[must_use]
pub fn join(name: &str, path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() { name.to_owned() } else { format!("{name}/{path}") }
}

/// What is left of `name` below `outer`: empty when both are equal, `None` when `name` is not below.
#[must_use]
pub fn rest_below<'a>(outer: &str, name: &'a str) -> Option<&'a str> {
    let outer = outer.trim_end_matches('/');
    let rest = name.strip_prefix(outer)?;
    if rest.is_empty() {
        return Some("");
    }
    rest.strip_prefix('/')
}

/// Whether `outer` is `name` or a folder above it.
#[must_use]
pub fn covers(outer: &str, name: &str) -> bool {
    rest_below(outer, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_components_count() {
        assert_eq!(rest_below("data", "data/x"), Some("x"));
        assert_eq!(rest_below("data/", "data/x"), Some("x"));
        assert_eq!(rest_below("data", "data"), Some(""));
        assert_eq!(rest_below("data", "database"), None);
        assert_eq!(rest_below("data/x", "data"), None);
        assert_eq!(join("a", ""), "a");
        assert_eq!(join("a", "b/"), "a/b");
    }
}
