//! Is this line an OpenSSH public key? Form only: sshd(8) "AUTHORIZED_KEYS FILE FORMAT", blobs by RFC 4253 6.6, RFC 5656
//! 3.1, RFC 8709 4 and OpenSSH's PROTOCOL.u2f. Options in front of the key are refused.

/// Key types that sshd in the image accepts, with the number of fields behind the type in their blob.
const TYPES: [(&str, usize); 7] = [
    ("ssh-ed25519", 1),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
    ("ssh-rsa", 2),
];

/// Says what is wrong with it.
pub(super) fn check(line: &str) -> Result<(), String> {
    if line.contains("PRIVATE KEY") {
        return Err("this is a private key: it belongs to nobody but its owner".into());
    }
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let Some(&(_, fields)) = TYPES.iter().find(|(n, _)| *n == name) else {
        if name == "ssh-dss" {
            return Err("DSA keys are no longer secure".into());
        }
        return Err(format!("`{}` is not a key type", name.chars().take(24).collect::<String>()));
    };
    let blob = words.next().ok_or("the key itself is missing behind its type")?;
    let comment = words.collect::<Vec<_>>().join(" ");
    if let Some(c) = comment.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.@+: ()".contains(*c))) {
        return Err(format!("`{c}` is not allowed in its comment"));
    }
    let bytes = crate::base64::decode(blob).ok_or("the key is not Base64")?;
    let mut rest = bytes.as_slice();
    let inner = take(&mut rest).ok_or("the key is cut off")?;
    if inner != name.as_bytes() {
        return Err("the key inside is of another type than it says".into());
    }
    let parts: Vec<_> = (0..fields).map_while(|_| take(&mut rest)).collect();
    if parts.len() != fields || !rest.is_empty() {
        return Err("the key is cut off, or has something behind it".into());
    }
    match name {
        "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" if parts[0].len() != 32 => Err("the key is cut off".into()),
        "ssh-rsa" => {
            let modulus = parts[1].iter().skip_while(|&&b| b == 0).count() * 8;
            if modulus < 3072 {
                Err(format!("an RSA key of {modulus} bits is too short; 3072 at least"))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

/// A string as RFC 4251 section 5 writes it: four bytes of length, then the bytes.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (head, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_foreign_lines_are_refused() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        assert_eq!(check(key), Ok(()));
        assert_eq!(check(&format!("{key} anna@example")), Ok(()));
        assert!(check(&format!("command=\"id\" {key}")).is_err());
        assert!(check(&format!("{key} `id`")).is_err());
        assert!(check(&key[..60]).is_err());
        assert!(check(&key.replace("ssh-ed25519", "ssh-rsa")).is_err());
    }
}
