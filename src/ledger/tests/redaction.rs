//! Secrets go, everything else stays.

use crate::ledger::*;

fn command(line: &[&str]) -> Vec<String> {
    with_env(line, &[])
}

fn with_env(line: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let line: Vec<String> = line.iter().map(|a| (*a).to_owned()).collect();
    let env: Vec<_> = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let once = redact_command(&line, &env);
    assert_eq!(redact_command(&once, &env), once, "replacing twice is replacing once");
    once
}

const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1";

#[test]
fn values_of_secret_flags_go() {
    for flag in [
        "--token",
        "--password",
        "--api-key",
        "--apiKey",
        "--hf-token",
        "--secret",
        "--passwd",
        "--db_password",
        "-token",
        "--access-key",
        "--client-secret",
        "--auth-token",
        "--aws-secret-access-key",
        "--aws-access-key-id",
        "--bearer",
        "--credentials",
    ] {
        assert_eq!(command(&["run", flag, "hunter2", "x"]), ["run", flag, REDACTED, "x"], "{flag}");
        let joined = format!("{flag}=hunter2");
        assert_eq!(command(&[&joined]), [format!("{flag}={REDACTED}")]);
    }
    assert_eq!(
        command(&["api_key=abc", "+trainer.token=abc"]),
        [format!("api_key={REDACTED}"), format!("+trainer.token={REDACTED}")]
    );
    assert_eq!(command(&["--token", "--verbose"]), ["--token", "--verbose"]);
    assert_eq!(command(&["--key", KEY])[1], REDACTED);
    assert_eq!(command(&["wandb", "login", "0123456789abcdef0123456789abcdef01234567"])[2], REDACTED);
}

#[test]
fn secrets_inside_arguments_go() {
    for (arg, kept) in [
        ("Authorization: Bearer abc.def-ghi", "Authorization: [redacted]"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: [redacted]"),
        ("export API_KEY='abc'; python t.py", "export API_KEY='[redacted]'; python t.py"),
        (r#"{"lr": 0.1, "api_key": "abc"}"#, r#"{"lr": 0.1, "api_key": "[redacted]"}"#),
        ("https://x.org/d?token=abc&n=1", "https://x.org/d?token=[redacted]&n=1"),
        ("https://u:pw@x.org/d", "https://[redacted]@x.org/d"),
        ("https://ann@x.org/d", "https://[redacted]@x.org/d"),
        ("postgres://u:p@db/x", "postgres://[redacted]@db/x"),
        ("k AKIAIOSFODNN7EXAMPLE k", "k [redacted] k"),
        ("x=ghp_16C7e42F292c6912E7710c838347Ae178B4a", "x=[redacted]"),
        ("hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "[redacted]"),
        ("sk-proj-abcdefghij0123456789", "[redacted]"),
        ("sk-abcdefghijklmnopqrstuvwx", "[redacted]"),
        ("xoxb-123456789012-abcdef", "[redacted]"),
        ("glpat-abcdefghij0123456789", "[redacted]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "[redacted]"),
        ("curl -H 'X-Api-Key: abc' x", "curl -H 'X-Api-Key: [redacted]' x"),
    ] {
        assert_eq!(command(&[arg]), [kept], "{arg}");
    }
    let key = "a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbg\n-----END OPENSSH PRIVATE KEY----- z";
    assert_eq!(command(&[key]), ["a [redacted] z"]);
    let cut = "-----BEGIN RSA PRIVATE KEY-----\nb3Blbg";
    assert_eq!(command(&[cut]), [REDACTED]);
    assert_eq!(command(&["curl", "-u", "ann:pw"])[2], "ann:[redacted]");
}

#[test]
fn values_of_secret_variables_go() {
    let env = [("MY_TOKEN", "letmein-now"), ("HOME", "/home/ann"), ("DB_PASSWORD", "x1")];
    assert_eq!(with_env(&["--x", "aletmein-nowb"], &env)[1], "a[redacted]b");
    assert_eq!(with_env(&["/home/ann/x1"], &env), ["/home/ann/x1"]);
    let nested = [("A_TOKEN", "abcdef"), ("B_TOKEN", "abcdefgh")];
    assert_eq!(with_env(&["xabcdefghx"], &nested), ["x[redacted]x"]);
    let socket = [("SSH_AUTH_SOCK", "/tmp/agent.1"), ("TOKENIZERS_PARALLELISM", "falsefalse")];
    assert_eq!(with_env(&["/tmp/agent.1", "falsefalse"], &socket), ["/tmp/agent.1", "falsefalse"]);
}

#[test]
fn everything_else_stays() {
    for line in [
        &["python", "train.py", "--lr", "0.001", "--epochs=3", "--seed", "42"][..],
        &["--rev", "0123456789abcdef0123456789abcdef01234567"],
        &["--commit=0123456789abcdef0123456789abcdef01234567"],
        &["--oid", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
        &["--tokenizer", "bert-base-uncased", "--max-tokens", "4096", "--tokenizer=x/y"],
        &["--pad-token", "<pad>", "--eos_token_id", "2", "--max-token", "8"],
        &["--token-file", "/run/secrets/t", "--password-file=/etc/p", "--token-type", "word"],
        &["--key-column", "patient_id", "--sort-key", "name", "--primary-key", "id"],
        &["data/secret_garden.csv", "/home/ann/passwords/list.txt", "s3://bucket/a@b/c"],
        &["git@example.org:a/b.git", "ssh://git@example.org/a/b", "https://example.org/a@b"],
        &["--author", "ann", "--authors=bob", "docker", "-u", "1000:1000", "python", "-u", "x.py"],
        &["sk-learn", "sk-learn-contrib-extensions", "hf_hub_download", "hf_model.bin"],
        &["--token", "$HF_TOKEN", "--password=${PW}", "a=b", "k:v", "10:30", "C:\\x"],
        &["--keyboard", "qwertyuiopasdfghjklz1234567890", "--monkey", "x"],
        &["grüße=ä", "パス:値", "", "-", "--", "=", ":", "://", "@"],
    ] {
        assert_eq!(command(line), line);
    }
}

#[test]
fn parameters_at_any_depth() {
    let params: Params = serde_json::from_value(serde_json::json!({
        "lr": 0.001, "rev": "0123456789abcdef0123456789abcdef01234567", "max_tokens": 5,
        "use_auth_token": true, "token": "abc", "pin": {"password": 12345, "path": "a/b"},
        "list": ["x", "https://u:p@h/"], "creds": {"user": "ann"}, "tokenizer": {"vocab": "v.txt"},
        "env_copy": "letmein-now",
    }))
    .expect("an object");
    let env = [("X_SECRET".to_owned(), "letmein-now".to_owned())];
    let out = redact_params(&params, &env);
    let expected: Params = serde_json::from_value(serde_json::json!({
        "lr": 0.001, "rev": "0123456789abcdef0123456789abcdef01234567", "max_tokens": 5,
        "use_auth_token": true, "token": REDACTED, "pin": {"password": REDACTED, "path": "a/b"},
        "list": ["x", "https://[redacted]@h/"], "creds": {"user": REDACTED},
        "tokenizer": {"vocab": "v.txt"}, "env_copy": REDACTED,
    }))
    .expect("an object");
    assert_eq!(out, expected);
    assert_eq!(redact_params(&out, &env), expected);
}
