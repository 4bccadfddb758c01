//! The field of a password, shadow(5), by the rules of crypt(5): what a password can match is a hash of one of its forms,
//! exactly; whatever else stands there (`x`, `*`, `!`, `*LK*`) locks the account.

/// What the field of a password says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// No password is asked for.
    Empty,
    /// No password matches.
    Locked,
    /// A hash, also one that `passwd --lock` keeps behind an exclamation mark.
    Hash,
}

/// Prefix of a form, and how many characters its hash has behind the last `$`.
const FORMS: [(&str, usize); 15] = [
    ("$y$", 43),
    ("$gy$", 43),
    ("$sm3y$", 43),
    ("$7$", 43),
    ("$2a$", 53),
    ("$2b$", 53),
    ("$2x$", 53),
    ("$2y$", 53),
    ("$6$", 86),
    ("$5$", 43),
    ("$sm3$", 43),
    ("$sha1$", 28),
    ("$md5", 22),
    ("$1$", 22),
    ("$3$", 32),
];

impl Password {
    /// Of a field of shadow(5), gshadow(5) or passwd(5).
    pub fn of(field: &str) -> Self {
        match field {
            "" => Self::Empty,
            field if hash(field.trim_start_matches('!')) => Self::Hash,
            _ => Self::Locked,
        }
    }
}

fn hash(field: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
    if let Some((prefix, length)) = FORMS.iter().find(|(prefix, _)| field.starts_with(prefix)) {
        let last = field[prefix.len() - 1..].rsplit('$').next().unwrap_or_default();
        return last.len() == *length && digits(last);
    }
    if let Some(rest) = field.strip_prefix('_') {
        return rest.len() == 19 && digits(rest);
    }
    // DES, and bigcrypt's blocks of eleven behind it.
    let length = field.len();
    digits(field) && (length == 13 || (length > 13 && length <= 178 && (length - 13).is_multiple_of(11)))
}

#[cfg(test)]
mod tests {
    use super::Password::{self, Empty, Hash, Locked};

    /// What libxcrypt makes of the password `U*U*U`, in each of its forms.
    #[test]
    fn what_a_password_can_match_is_a_hash_of_crypt() {
        for field in [
            "ab9YovNfzixZE",
            "_J9..rasmasNxIREOWqY",
            "$1$dXc3I7Rw$hzxB7BYl4t6x2gyX3AyM71",
            "$3$$4a8c3c762ab3d8555d9c56c10c22192c",
            "$md5$saltsalt$$386AD2YSJ0BL6rEEgfKda/",
            "$sha1$40000$jtNX3nZ2$RwpXivb1gST0rOl6VsQCgW5eDG0m",
            "$5$rounds=10000$saltstringsaltst$VhtBYepmewbFjgvFbizUDnXviN95vXO5ce2AtomUyDB",
            "$6$saltstring$o.lX/OaU2BzTI4xKucC0wOS/UNGkMMQmo.oR0lK8c02WCKnUDCDwFqIpBVCQIbVQJIQ4Faa9gWyJzey0r8KtF0",
            "$2b$05$abcdefghijklmnopqrstuupkvHj1c6E382bN8hwXRlu1xE4bc1pgG",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$rCaNQAFMt7Z54R4jbj1vFWRGPnlIHT2bGJeR/Yt7rT5",
            "$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$0m81nkPhQ/v8P.lFnbs1GPhgkaqFpY7BTJ..dOsDxT0",
            "$7$CU..../....SodiumChloride$2CBqbzVDOgwK/E/yTy5UUtzx16gu2V5envV7HYVSwK0",
        ] {
            assert_eq!(Password::of(field), Hash, "{field}");
            assert_eq!(Password::of(&format!("!{field}")), Hash, "locked, and the hash is still there");
            assert_eq!(Password::of(&field[..field.len() - 1]), Locked, "one character is missing: {field}");
        }
    }

    #[test]
    fn what_none_can_match_is_a_lock() {
        for field in ["x", "*", "!", "!*", "!!", "*LK*", "*NP*", "NP", "LOCKED", "$6$", "$unknown$salt$hash"] {
            assert_eq!(Password::of(field), Locked, "{field}");
        }
        assert_eq!(Password::of(""), Empty);
    }
}
