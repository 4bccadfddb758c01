//! Secure Boot: the command line is compared before any root is mounted.

use super::state::added;
use super::*;

#[test]
fn the_signed_command_line_is_compared_in_the_initrd() {
    let plain = generated(&recipe(PROFILE)).unwrap();
    let signed = generated(&recipe(&PROFILE.replace("[state]\n", "[signing]\n[state]\n"))).unwrap();
    insta::assert_snapshot!("signing", added(&signed, &plain));
    assert!(added(&plain, &signed).is_empty(), "nothing is taken away");
}
