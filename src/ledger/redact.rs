//! Taking secrets out of command lines and parameters before they are written down.
//!
//! It looks at names (`--token X`, `api_key=…`), at shapes (`ghp_…`, JWTs, private keys, addresses with a
//! password) and at the values of secret-looking environment variables. It would rather replace a harmless
//! value under a secret name than keep a secret; commits, paths, sizes and rates stay.

use super::Params;

/// What a secret is replaced by.
pub const REDACTED: &str = "[redacted]";

/// Shorter values of environment variables are not looked for: they would match everywhere.
const MIN_ENV_SECRET_BYTES: usize = 6;

/// How much a name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The value is a secret.
    Secret,
    /// The value is a secret if it looks random.
    KeyLike,
    /// The name says nothing.
    Plain,
}

/// Replaces secrets in a command line. `env` are the names and values of environment variables; values
/// under secret-looking names are replaced wherever they occur.
#[must_use]
pub fn redact_command(args: &[String], env: &[(String, String)]) -> Vec<String> {
    let secrets = secret_values(env);
    let mut out = Vec::with_capacity(args.len());
    let mut before = Name::Plain;
    let mut before_user = false;
    for arg in args {
        let is_flag = arg.starts_with("--") || (arg.len() == 2 && arg.starts_with('-'));
        let hide = !is_flag
            && !arg.is_empty()
            && !is_reference(arg)
            && match before {
                Name::Secret => true,
                Name::KeyLike => looks_random(arg),
                Name::Plain => false,
            };
        out.push(if hide {
            REDACTED.to_owned()
        } else if before_user {
            redact_user(&redact_with(arg, &secrets))
        } else {
            redact_with(arg, &secrets)
        });
        before_user = arg == "-u" || arg == "--user";
        before = match arg.strip_prefix('-') {
            Some(name) if !arg.contains('=') => classify(name.trim_start_matches('-')),
            _ if arg == "login" => Name::KeyLike,
            _ => Name::Plain,
        };
    }
    out
}

/// Replaces secrets in parameters, at any depth. Values under a secret name are replaced whole, except
/// `true`, `false` and null.
#[must_use]
pub fn redact_params(params: &Params, env: &[(String, String)]) -> Params {
    let secrets = secret_values(env);
    params.iter().map(|(k, v)| (k.clone(), redact_value(classify(k), v, &secrets))).collect()
}

/// Replaces secrets in a free text by their names and shapes.
#[must_use]
pub fn redact_text(text: &str) -> String {
    redact_with(text, &[])
}

fn secret_values(env: &[(String, String)]) -> Vec<&str> {
    let mut values: Vec<&str> = env
        .iter()
        .filter(|(name, value)| {
            value.len() >= MIN_ENV_SECRET_BYTES
                && match classify(name) {
                    Name::Secret => !value.starts_with('/'),
                    Name::KeyLike => looks_random(value),
                    Name::Plain => false,
                }
        })
        .map(|(_, value)| value.as_str())
        .collect();
    // The longest first, so that no rest of a longer one is left.
    values.sort_by_key(|v| std::cmp::Reverse((v.len(), *v)));
    values.dedup();
    values
}

fn redact_value(name: Name, value: &serde_json::Value, secrets: &[&str]) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(k, v)| {
                let own = classify(k);
                let name = if own == Name::Plain { name } else { own };
                (k.clone(), redact_value(name, v, secrets))
            });
            Value::Object(fields.collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(|v| redact_value(name, v, secrets)).collect()),
        Value::String(text) => {
            let hide = match name {
                Name::Secret => !text.is_empty() && !is_reference(text),
                Name::KeyLike => looks_random(text),
                Name::Plain => false,
            };
            Value::String(if hide { REDACTED.to_owned() } else { redact_with(text, secrets) })
        }
        Value::Number(_) if name == Name::Secret => Value::String(REDACTED.to_owned()),
        other => other.clone(),
    }
}

fn redact_with(text: &str, secrets: &[&str]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for secret in secrets {
        spans.extend(text.match_indices(secret).map(|(at, found)| (at, at + found.len())));
    }
    private_keys(text, &mut spans);
    user_infos(text, &mut spans);
    shapes(text, &mut spans);
    assignments(text, &mut spans);
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in spans {
        if start >= at {
            out.push_str(&text[at..start]);
            out.push_str(REDACTED);
        }
        at = at.max(end);
    }
    out.push_str(&text[at..]);
    out
}

/// What a name says, by its words: `apiKey`, `api-key` and `API_KEY` are the same words.
fn classify(name: &str) -> Name {
    const SECRET: [&str; 19] = [
        "token",
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "pw",
        "secret",
        "secrets",
        "apikey",
        "credential",
        "credentials",
        "creds",
        "authorization",
        "bearer",
        "jwt",
        "cookie",
        "pat",
        "authtoken",
    ];
    // `api key` and the like: the word before `key`.
    const BEFORE_KEY: [&str; 12] = [
        "api",
        "access",
        "private",
        "auth",
        "account",
        "encryption",
        "signing",
        "master",
        "shared",
        "service",
        "ssh",
        "deploy",
    ];
    // Tokens of a language model are none of a person.
    const MODEL_TOKEN: [&str; 21] = [
        "pad", "eos", "bos", "mask", "unk", "cls", "sep", "image", "start", "end", "stop", "special", "new", "added",
        "per", "max", "min", "num", "prompt", "first", "last",
    ];
    // A name that ends so says where or how, not what.
    const ABOUT: [&str; 21] = [
        "file",
        "path",
        "dir",
        "name",
        "ttl",
        "expiry",
        "url",
        "uri",
        "env",
        "id",
        "ids",
        "type",
        "count",
        "limit",
        "length",
        "len",
        "dim",
        "size",
        "column",
        "budget",
        "embedding",
    ];
    let words = words(name);
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let last = words.len().saturating_sub(1);
    // AWS names the identifier of a key so; it goes with the key.
    if words.windows(3).any(|w| w[0] == "access" && w[1] == "key" && w[2] == "id") {
        return Name::Secret;
    }
    if ABOUT.contains(&word(last)) {
        return Name::Plain;
    }
    let mut best = Name::Plain;
    for (i, w) in words.iter().enumerate() {
        let previous = if i > 0 { word(i - 1) } else { "" };
        if w == "token" && MODEL_TOKEN.contains(&previous) {
            continue;
        }
        if SECRET.contains(&w.as_str())
            || (w == "key" && BEFORE_KEY.contains(&previous))
            || (w == "string" && previous == "connection")
        {
            return Name::Secret;
        }
        if matches!(w.as_str(), "key" | "auth" | "sig" | "signature" | "session" | "sas") {
            best = Name::KeyLike;
        }
    }
    best
}

/// The words of a name in lower case, cut at what is no letter or digit and where upper case begins.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        let cut = !c.is_alphanumeric() || (c.is_uppercase() && lower_before);
        if cut && words.last().is_some_and(|w| !w.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|w| !w.is_empty());
    words
}

/// A shell variable or something already replaced: no secret in itself.
fn is_reference(value: &str) -> bool {
    value.starts_with(REDACTED) || (value.starts_with('$') && !value.contains(char::is_whitespace))
}

/// Whether a value looks like a random key: long, of one charset, letters and digits, many different ones.
fn looks_random(value: &str) -> bool {
    let raw = value.as_bytes();
    let charset = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-.~".contains(b);
    if raw.len() < 20 || !raw.iter().all(charset) || value.starts_with(['/', '.', '~']) {
        return false;
    }
    if !raw.iter().any(u8::is_ascii_digit) || !raw.iter().any(u8::is_ascii_alphabetic) {
        return false;
    }
    let mut counts = [0u32; 256];
    for b in raw {
        counts[usize::from(*b)] += 1;
    }
    let total = raw.len() as f64;
    let bits: f64 = counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / total).map(|p| -p * p.log2()).sum();
    bits >= 3.2
}

/// `user:password` after `-u`, unless both are numbers (ids of a container's user).
fn redact_user(arg: &str) -> String {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match arg.split_once(':') {
        Some((user, password)) if !number(user) || !number(password) => {
            format!("{user}:{REDACTED}")
        }
        _ => arg.to_owned(),
    }
}

fn private_keys(text: &str, spans: &mut Vec<(usize, usize)>) {
    for (start, _) in text.match_indices("-----BEGIN") {
        let rest = &text[start..];
        let head = &rest[..rest.find('\n').unwrap_or(rest.len()).min(rest.len())];
        if !head.contains("PRIVATE KEY") {
            continue;
        }
        let end = rest.find("-----END").map_or(rest.len(), |at| {
            let tail = &rest[at + 8..];
            at + 8 + tail.find("-----").map_or(tail.len(), |n| n + 5)
        });
        spans.push((start, start + end));
    }
}

/// `scheme://user:password@host`. A bare user name of ssh stays.
fn user_infos(text: &str, spans: &mut Vec<(usize, usize)>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = &text[start..];
        let stop = |c: char| c.is_whitespace() || "/?#'\"<>".contains(c);
        let authority = &rest[..rest.find(stop).unwrap_or(rest.len())];
        let Some(sign) = authority.rfind('@') else {
            continue;
        };
        let user = &authority[..sign];
        let web = text[..at].ends_with("http") || text[..at].ends_with("https");
        if !user.is_empty() && (web || user.contains(':')) {
            spans.push((start, start + sign));
        }
    }
}

/// Tokens that are known by their shape.
fn shapes(text: &str, spans: &mut Vec<(usize, usize)>) {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let raw = text.as_bytes();
    let mut start = 0;
    while start < raw.len() {
        if !in_token(raw[start]) {
            start += 1;
            continue;
        }
        let len = raw[start..].iter().position(|b| !in_token(*b)).unwrap_or(raw.len() - start);
        let word = &text[start..start + len];
        if is_token(word) {
            spans.push((start, start + len));
        } else if word.eq_ignore_ascii_case("bearer") {
            let rest = &text[start + len..];
            let gap = rest.len() - rest.trim_start().len();
            let value = &rest[gap..];
            let end = value.find(|c: char| c.is_whitespace() || "'\"".contains(c));
            let end = end.unwrap_or(value.len());
            if gap > 0 && end >= 8 && !is_reference(value) {
                spans.push((start + len + gap, start + len + gap + end));
            }
        }
        start += len;
    }
}

fn is_token(word: &str) -> bool {
    // Prefix, and the least length of what follows it.
    const PREFIXES: [(&str, usize); 18] = [
        ("ghp_", 10),
        ("gho_", 10),
        ("ghu_", 10),
        ("ghs_", 10),
        ("ghr_", 10),
        ("github_pat_", 10),
        ("glpat-", 10),
        ("npm_", 20),
        ("pypi-AgE", 10),
        ("dckr_pat_", 10),
        ("shpat_", 10),
        ("xoxa-", 8),
        ("xoxb-", 8),
        ("xoxp-", 8),
        ("xoxr-", 8),
        ("xoxs-", 8),
        ("AIza", 30),
        ("ya29.", 10),
    ];
    let long_enough =
        |(prefix, least): &(&str, usize)| word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least);
    if PREFIXES.iter().any(long_enough) {
        return true;
    }
    let aws = ["AKIA", "ASIA"].iter().find_map(|p| word.strip_prefix(p));
    if aws.is_some_and(|r| r.len() >= 12 && r.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())) {
        return true;
    }
    if word.strip_prefix("hf_").is_some_and(|r| r.len() >= 16 && r.bytes().all(|b| b.is_ascii_alphanumeric())) {
        return true;
    }
    if word
        .strip_prefix("sk-")
        .or_else(|| word.strip_prefix("sk_live_"))
        .is_some_and(|r| r.len() >= 16 && (r.bytes().any(|b| b.is_ascii_digit()) || !r.contains(['-', '.'])))
    {
        return true;
    }
    let parts: Vec<&str> = word.split('.').collect();
    word.starts_with("eyJ") && parts.len() == 3 && parts[..2].iter().all(|p| p.len() >= 8)
}

/// `name=value` and `name: value` inside a text, quoted or not.
fn assignments(text: &str, spans: &mut Vec<(usize, usize)>) {
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let raw = text.as_bytes();
    for (at, sign) in text.match_indices(['=', ':']) {
        if sign == ":" && text[at..].starts_with("://") {
            continue;
        }
        let mut end = at;
        while end > 0 && b"\"'\\ ".contains(&raw[end - 1]) {
            end -= 1;
        }
        let mut start = end;
        while start > 0 && in_name(raw[start - 1]) {
            start -= 1;
        }
        let name = classify(&text[start..end]);
        if name == Name::Plain {
            continue;
        }
        let mut from = at + 1;
        while from < raw.len() && b"\"'\\ ".contains(&raw[from]) {
            from += 1;
        }
        let header = sign == ":" && {
            let words = words(&text[start..end]);
            words.iter().any(|w| w == "authorization" || w == "cookie")
        };
        let stop = |c: char| match c {
            '"' | '\'' | '\n' | '\r' => true,
            _ if header => false,
            _ => c.is_whitespace() || "&;,}\\".contains(c),
        };
        let value = &text[from..];
        let value = &value[..value.find(stop).unwrap_or(value.len())];
        let hide = match name {
            Name::Secret => !value.is_empty() && !is_reference(value),
            _ => looks_random(value),
        };
        if hide {
            spans.push((from, from + value.len()));
        }
    }
}
