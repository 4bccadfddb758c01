//! A profile with a secret in it: refused with the line, which is shown without the secret.

use super::*;

/// A GitHub token, put together here so that no file holds one.
fn token() -> String {
    let digits: String = "a1B2c3D4e5F6g7H8i9".chars().chain("J0kLmN1oPqR2sTuV3w".chars()).collect();
    format!("ghp_{digits}")
}

#[test]
fn a_secret_is_refused_and_not_repeated() {
    let token = token();
    let random = "q7Lx2Vb9Ks4Wd8Zt1Rm6Yp3Hc5Nf0JgTaUeBoEiX";
    let hash = format!("$6$Xy7aB2kQ${}", "aB3dE5gH7jK9".repeat(8).split_at(86).0);
    let all = [
        with("command = [\"busybox\", \"httpd\", \"-f\"]", &format!("command = [\"busybox\", \"{token}\"]")),
        with("command = [\"busybox\", \"httpd\", \"-f\"]", &format!("command = [\"busybox\", \"--key={random}\"]")),
        with("version = \"1.2\"", &format!("version = \"1.2\" # {token}")),
        with("uid = 21000", &format!("uid = 21000\npassword = \"{hash}\"")),
        with("uid = 21000", "uid = 21000\npassword = \"hunter2\""),
    ];
    for error in &all {
        assert!(!error.contains(&token) && !error.contains(random) && !error.contains("hunter2"), "{error}");
        assert!(!error.contains(&hash), "{error}");
    }
    insta::assert_snapshot!("secrets", all.join("\n\n"));
}
